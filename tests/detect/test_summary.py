"""``summary.csv`` of a folder that many runs write to."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import threading
from pathlib import Path, PurePath

import fsspec
import numpy as np
import pytest
from tiny import WIDTH

from dsanet_cli.detect.run import BatchSettings, run_batch
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.detect.summary import SummaryRow, update_summary, write_summary
from dsanet_cli.errors import OutputError
from dsanet_cli.files.folders import LOCK_FILE, open_folder

PLACES = ("out", "memory://bucket/out")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def detect(tiny_model):
    def run(*sources, output="out", **settings):
        work = RunnerSettings(str(output), ("json",), str(tiny_model), replace_others=settings.pop("overwrite", False))
        return run_batch(BatchSettings(tuple(sources), recursive=False, work=work, quiet=True, **settings))

    return run


def features(*names, width=WIDTH):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        np.save(name, np.full((9, width), sum(map(ord, name)) / 999, np.float32))


def rows(place="out"):
    text = open_folder(str(place)).read(PurePath("summary.csv")).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def states(place="out"):
    return {row["path"]: row["status"] for row in rows(place)}


@pytest.mark.parametrize("place", PLACES)
def test_a_second_batch_adds_to_it(detect, place):
    features("1/a.npy", "1/b.npy", "2/c.npy", "2/d10.npy", "2/d9.npy")
    detect("1", output=place)
    detect("2", output=place)
    assert [row["path"] for row in rows(place)] == ["1/a.npy", "1/b.npy", "2/c.npy", "2/d9.npy", "2/d10.npy"]
    assert [row["result"] for row in rows(place)] == ["a.json", "b.json", "c.json", "d9.json", "d10.json"]
    detect("1", output=place)
    assert len(rows(place)) == 5


def test_single_runs_get_one_where_there_are_other_results(detect):
    features("a.npy", "b.npy")
    detect("a.npy")
    assert not Path("out/summary.csv").exists()
    detect("b.npy")
    assert states() == {"a.npy": "ok", "b.npy": "ok"}


def test_shards_share_it(detect):
    features(*(f"in/{n}.npy" for n in range(5)))
    for number in (1, 2, 3):
        detect("in", shard=(number, 3))
    assert [row["path"] for row in rows()] == [f"in/{n}.npy" for n in range(5)]
    assert not list(Path("out").glob("summary-*"))


@pytest.mark.parametrize("place", PLACES)
def test_what_failed_stays_until_it_succeeds(detect, place):
    features("1/a.npy", "2/b.npy", "2/c.npy")
    features("1/bad.npy", width=3)
    assert detect("1", "gone.npy", output=place).failed == 2
    detect("2", output=place)
    expected = {"1/a.npy": "ok", "1/bad.npy": "failed", "2/b.npy": "ok", "2/c.npy": "ok", "gone.npy": "failed"}
    assert states(place) == expected
    assert "3 wide" in next(row["error"] for row in rows(place) if row["path"] == "1/bad.npy")
    features("1/bad.npy", "gone.npy")
    detect("1", "gone.npy", output=place)
    assert set(states(place).values()) == {"ok"}


def test_what_failed_is_known_however_it_is_typed(detect, tmp_path, monkeypatch):
    features("in/a.npy")
    features("in/bad.npy", width=3)
    detect("in", output=tmp_path / "out")
    features("in/bad.npy")
    monkeypatch.chdir("in")
    detect(".", output=tmp_path / "out")
    assert set(states(tmp_path / "out").values()) == {"ok"}
    assert len(rows(tmp_path / "out")) == 2


def test_a_failure_is_not_hidden_by_an_older_result(detect):
    features("in/a.npy", "in/b.npy")
    detect("in")
    features("in/a.npy", width=3)
    detect("in", skip_existing=False)
    assert states() == {"in/a.npy": "failed", "in/b.npy": "ok"}
    features("c.npy")
    detect("c.npy")
    assert states() == {"in/a.npy": "failed", "in/b.npy": "ok", "c.npy": "ok"}
    features("in/a.npy")
    detect("in")
    assert states() == {"in/a.npy": "ok", "in/b.npy": "ok", "c.npy": "ok"}


def test_a_video_whose_name_was_taken_hides_nothing(detect):
    features("1/a.npy", "1/b.npy", "2/a.npy")
    detect("1")
    assert detect("2").failed == 1
    assert states() == {"1/a.npy": "ok", "1/b.npy": "ok", "2/a.npy": "failed"}
    detect("2", overwrite=True)
    assert states() == {"1/b.npy": "ok", "2/a.npy": "ok"}


def test_a_file_that_is_no_summary_is_not_replaced_unasked(detect):
    features("in/a.npy", "in/b.npy")
    Path("out").mkdir()
    Path("out/summary.csv").write_text("month,income\n")
    outcome = detect("in")
    assert (outcome.done, outcome.failed, outcome.summarised) == (2, 0, False)
    assert Path("out/summary.csv").read_text() == "month,income\n"
    assert detect("in", overwrite=True).summarised
    assert set(states().values()) == {"ok"}


def test_files_of_others_and_damaged_ones_are_no_results(detect):
    features("in/a.npy", "in/b.npy")
    Path("out/deep").mkdir(parents=True)
    for name, text in (("x.json", "{"), ("deep/y.json", '{"video": 1}'), ("deep/z.json", "[1]")):
        Path("out", name).write_text(text)
    detect("in")
    assert states() == {"in/a.npy": "ok", "in/b.npy": "ok"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_pipes_are_no_results_and_no_summary(detect):
    features("in/a.npy", "in/b.npy")
    Path("out").mkdir()
    os.mkfifo("out/x.json")
    assert detect("in").summarised
    assert states() == {"in/a.npy": "ok", "in/b.npy": "ok"}
    Path("out/summary.csv").unlink()
    os.mkfifo("out/summary.csv")
    assert not detect("in").summarised


def test_nothing_else_is_left_in_the_folder(detect):
    features("in/a.npy", "in/b.npy")
    detect("in")
    assert {path.name for path in Path("out").iterdir()} == {"a.json", "b.json", "summary.csv"}


def test_the_lock_keeps_others_waiting(tmp_path):
    folder, order = open_folder(str(tmp_path)), []

    def wait():
        with folder.lock():
            order.append("second")

    with folder.lock():
        assert (tmp_path / LOCK_FILE).exists()
        other = threading.Thread(target=wait)
        other.start()
        other.join(0.3)
        order.append("first")
    other.join(30)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_cells_are_one_line_and_no_formulas():
    stream = io.StringIO()
    names = [
        "=1+1.mp4",
        "+x",
        "-x",
        "@list.txt",
        "'quoted",
        "a\rb\nc.mp4",
        "\tx",
        os.fsdecode(b"b\xff.mp4"),
        "a, b",
    ]
    write_summary([SummaryRow.failed(name, f"{name}: broken") for name in names], stream)
    text = stream.getvalue()
    text.encode()
    assert text.count("\n") == len(names) + 1
    assert "\r" not in text
    found = [row["path"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert found == [
        "'=1+1.mp4", "'+x", "'-x", "'@list.txt", "''quoted", r"a\rb\nc.mp4", r"'\tx", r"b\xff.mp4", "a, b",
    ]  # fmt: skip


def test_strange_names_of_failures_survive(tmp_path):
    folder = open_folder(str(tmp_path))
    names = ["=1+1.mp4", "'=x", "a\rb.mp4"]
    update_summary(folder, [SummaryRow.failed(name, "broken") for name in names], True, False)
    before = (tmp_path / "summary.csv").read_bytes()
    update_summary(folder, [], False, False)
    assert (tmp_path / "summary.csv").read_bytes() == before
    update_summary(folder, [SummaryRow("a\rb.mp4", "ok")], False, False)
    assert sorted(row["status"] for row in rows(tmp_path)) == ["failed", "failed", "ok"]


def test_a_summary_of_an_earlier_version_is_read(tmp_path):
    (tmp_path / "summary.csv").write_text("path,status,error\nx.mp4,failed,broken\n")
    update_summary(open_folder(str(tmp_path)), [SummaryRow("y.mp4", "ok")], False, False)
    assert states(tmp_path) == {"x.mp4": "failed", "y.mp4": "ok"}


def test_a_folder_that_cannot_be_listed(monkeypatch):
    folder = open_folder("memory://bucket/out")
    monkeypatch.setattr(type(folder._system), "find", lambda *_, **__: 1 / 0)
    with pytest.raises(OutputError, match="memory://bucket/out/: cannot be listed"):
        update_summary(folder, [], True, False)


def test_columns():
    stream = io.StringIO()
    row = SummaryRow("in/a.mp4", "ok", "arson", 0.123456789, 2, 1.5, 60.04, 0.94666, None, "a.json")
    write_summary([row], stream)
    assert stream.getvalue().splitlines() == [
        ",".join(field.name for field in dataclasses.fields(SummaryRow)),
        "in/a.mp4,ok,arson,0.123457,2,1.500,60.040,0.9467,,a.json,,,,,",
    ]
