"""Damaged videos in one batch, and that the checks of ``fuzz.py`` see what they are for."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

pytest.importorskip("resource", reason="POSIX process groups")

import fuzz
from fuzz import VALID, Violation, check, prepare
from mutations import MUTATIONS, mutate, write_valid


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("fuzz"), files=60, seed=1)


@pytest.fixture(scope="module")
def batch(damaged):
    return damaged.run(damaged.names)


@pytest.fixture
def copy(batch, tmp_path):
    """The batch's folder again, to be tampered with."""
    shutil.copytree(batch.folder, tmp_path / "batch")
    return dataclasses.replace(batch, folder=tmp_path / "batch")


def test_each_damaged_video_is_a_result_or_a_line_of_error(batch):
    assert check(batch) == []
    statuses = {row["status"] for row in batch.summary() if VALID not in row["path"]}
    assert statuses == {"ok", "failed"}


def test_mutations_depend_on_seed_and_number_alone(tmp_path):
    valid = write_valid(tmp_path / "a")
    assert write_valid(tmp_path / "b") == valid
    first = [mutate(0, number, valid) for number in range(20)]
    assert [mutate(0, number, valid) for number in reversed(range(20))] == first[::-1]
    assert {data for _, data in first}.isdisjoint(data for _, data in (mutate(1, n, valid) for n in range(20)))


def test_every_mutation_is_used_and_changes_something(tmp_path):
    valid = write_valid(tmp_path)
    names = [mutate(0, number, valid)[0] for number in range(300)]
    assert all(any(mutation in name for name in names) for mutation in MUTATIONS)
    unchanged = sum(mutate(0, number, valid)[1] in valid.values() for number in range(300))
    assert unchanged < 15


def test_a_line_of_a_library_is_seen(copy):
    with (copy.folder / "stderr.txt").open("a") as stream:
        stream.write("[h264 @ 0x5581] error while decoding MB 4 5\n")
    assert check(copy) == [Violation("not a line of ours: [h# @ #] error while decoding MB # #")]


def test_a_traceback_and_an_unexpected_error_are_seen(copy):
    name = copy.names[0]
    with (copy.folder / "stderr.txt").open("a") as stream:
        stream.write(f"Traceback (most recent call last):\nerror: files/{name}: failed unexpectedly (KeyError(1))\n")
    assert check(copy)[-2:] == [Violation("a traceback"), Violation("failed unexpectedly (KeyError(1))", name)]


def test_a_missing_row_is_seen(copy):
    path = copy.folder / "out" / "summary.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if copy.names[0] not in line))
    assert check(copy) == [Violation("0 times in the summary", copy.names[0])]


def test_results_that_are_not_whole_are_seen(copy):
    name = next(row["path"] for row in copy.summary() if row["status"] == "ok").removeprefix("files/")
    path = fuzz._result(copy, name)
    path.with_suffix(".csv").unlink()
    assert check(copy) == [Violation("analysed, but without its CSV", name)]
    path.write_bytes(path.read_bytes()[:-20])
    (violation,) = check(copy)
    assert violation.name == name
    assert "not whole JSON" in violation.what


def test_leftovers_are_seen(copy):
    (copy.folder / "out" / ".clip.json.17-ab.part").touch()
    (copy.folder / "tmp" / "dsanet-x1").mkdir()
    assert [violation.what for violation in check(copy)] == [
        "left half written: .clip.json.#-ab.part",
        "left in TMPDIR: dsanet…",
    ]


@pytest.mark.parametrize(
    ("returncode", "what"),
    [(None, "does not end"), (-11, "killed by SIGSEGV"), (0, "exit code 0 instead of 3")],
)
def test_a_wrong_end_is_seen(copy, returncode, what):
    assert check(dataclasses.replace(copy, returncode=returncode)) == [Violation(what)]


def test_a_violation_without_a_name_is_narrowed_down_to_a_file(monkeypatch, damaged):
    guilty = damaged.names[17]
    monkeypatch.setattr(fuzz.Fuzz, "run", lambda self, names, folder="batch": names)
    monkeypatch.setattr(fuzz, "check", lambda names: [Violation("killed")] if guilty in names else [])
    assert damaged._culprit(Violation("killed"), damaged.names) == guilty
    assert damaged._culprit(Violation("another"), damaged.names) is None


def test_processes_left_behind_are_ended(damaged, tmp_path, monkeypatch):
    script = tmp_path / "dsanet"
    script.write_text("#!/bin/sh\nsleep 60 &\n")
    script.chmod(0o755)
    monkeypatch.setattr(fuzz, "DSANET", script)
    monkeypatch.setattr(fuzz, "GRACE_SECONDS", 0.2)
    assert damaged.run(damaged.names[:1], "left").processes_left
