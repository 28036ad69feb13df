from __future__ import annotations

import re

import numpy as np
import pytest
from commands import run
from tiny import WIDTH

from dsanet_cli.detect.printing import Printer
from dsanet_cli.detect.summary import SummaryRow


@pytest.fixture
def detect(tiny_model, tmp_path):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.ones((4, WIDTH), np.float32))
    return lambda *arguments, **more: run("detect", "--model", tiny_model, *arguments, cwd=tmp_path, **more)


def test_one_input_ends_with_where_its_results_are(detect):
    result = detect("a.npy", "-t", 0)
    assert re.fullmatch(r"\[00:00\.00 -> 00:02\.13\] \w+ 0\.\d\d\n", result.stdout)
    assert result.stderr.splitlines()[-1] == "results in dsanet-results/: a.json, a.csv, a.png"


@pytest.mark.parametrize("argument", ["*.npy", "@list.txt"])
def test_events_of_several_inputs_name_their_video(detect, tmp_path, argument):
    (tmp_path / "list.txt").write_text("a.npy\nb.npy\n")
    lines = detect(argument, "-t", 0, "-f", "json").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["a.npy:", "b.npy:"]
    assert all("[00:00.00 -> 00:02.13]" in line for line in lines)


def test_quiet_is_events_and_errors_only(detect):
    quiet = detect("a.npy", "b.npy", "gone.npy", "-t", 1, "-q")
    assert quiet.stdout == ""
    assert quiet.stderr == "error: gone.npy: no such file or folder; check the name\n"
    assert len(detect("a.npy", "b.npy", "-t", 0, "-q", "-f", "json").stdout.splitlines()) == 2


def test_a_second_run_says_what_it_kept(detect):
    detect("a.npy", "-f", "json")
    assert "kept" not in detect("a.npy", "-f", "json").stderr
    result = detect("a.npy", "b.npy", "-f", "json", "--skip-existing")
    assert "1 result of an earlier run kept, 1 to do" in result.stderr
    assert "2 results of an earlier run kept, 0 to do" in detect("*.npy", "-f", "json", "--skip-existing").stderr


def test_the_table_has_the_analysed_share_and_is_not_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    path = f"{'long/' * 40}a.mp4"
    rows = [
        SummaryRow("gone.mp4", "failed"),
        SummaryRow(path, "ok", "arson", 0.9, 2, 3.5, 60.0, 0.99999),
        SummaryRow("b.mp4", "ok", "normal", 0.1, 0, None, 60.0, 1.0),
    ]
    Printer(on_stderr=False, quiet=False, several=True).table(rows)
    lines = [re.split(r"  +", line.strip()) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        ["video", "verdict", "score", "events", "first event", "analysed"],
        [path, "arson", "0.90", "2", "00:03.50", "99.9 %"],
        ["b.mp4", "normal", "0.10", "0", "100 %"],
        ["gone.mp4", "failed"],
    ]
