"""What is printed where the encoding has few characters, where nobody reads, and where nothing can be written."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from commands import DSANET, HANGS, read_csv, run
from media import write_video
from tiny import WIDTH

POSIX_SHELL = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
NAME = "Grüße-猫.mp4"


@pytest.fixture
def clip(tmp_path):
    return write_video(tmp_path / NAME, frames=20)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_result_on_stdout_is_utf_8(clip, tiny_model, encoding):
    outcome = run(
        "detect", clip.name, "--model", tiny_model, "-o", "-", "-f", "json", cwd=clip.parent, PYTHONIOENCODING=encoding
    )
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["video"]["path"] == NAME


def test_lines_name_files_in_full(clip, tiny_model):
    outcome = run("detect", clip.name, "gone-猫.mp4", "--model", tiny_model, cwd=clip.parent, PYTHONIOENCODING="cp1252")
    assert outcome.returncode == 3
    assert "error: gone-猫.mp4: no such file" in outcome.stderr


def _read(terminal):
    with contextlib.suppress(OSError):  # at its end
        return os.read(terminal, 4096)
    return b""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="POSIX terminals")
def test_a_terminal_gets_what_it_can_show(clip, tiny_model):
    theirs, ours = os.openpty()
    with subprocess.Popen(
        [DSANET, "detect", "gone-é猫.mp4", "--model", tiny_model],
        cwd=clip.parent,
        env={**os.environ, "PYTHONIOENCODING": "latin-1", "COLUMNS": "200"},
        stdout=ours,
        stderr=ours,
    ) as process:
        os.close(ours)
        shown = b""
        while chunk := _read(theirs):
            shown += chunk
        assert process.wait() == 1
    assert b"gone-\xe9\\u732b.mp4: no such file" in shown


@pytest.fixture
def shell(tiny_model, tmp_path):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.full((20, WIDTH), 3.0, np.float32))

    def run(arguments, around, unbuffered=""):
        command = f"{DSANET} detect {arguments} --model {tiny_model} -t 0 {around}"
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            check=False, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=HANGS,
        )  # fmt: skip

    return run


@POSIX_SHELL
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("around", [">/dev/full 2>/dev/full", ">&- 2>&- <&-", "2>&1 | true"])
def test_the_work_goes_on_and_its_exit_code_is_that_of_the_analysis(shell, tmp_path, around, unbuffered):
    result = shell("a.npy b.npy gone.npy -f csv", around, unbuffered)
    assert (result.returncode, result.stdout, result.stderr) == (3, "", "")
    assert [row["status"] for row in read_csv(tmp_path / "dsanet-results" / "summary.csv")] == ["ok", "ok", "failed"]


@POSIX_SHELL
def test_a_result_that_does_not_reach_stdout_has_failed(shell):
    result = shell("a.npy -f csv -o -", ">/dev/full")
    assert result.returncode == 1
    assert "error: the result cannot be written to stdout: No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


@POSIX_SHELL
def test_a_reader_of_the_result_may_leave(shell):
    result = shell("a.npy -f csv -o -", "| head -1")
    assert result.returncode == 0
    assert result.stdout.startswith("start,end,score,label")
    assert "error" not in result.stderr
