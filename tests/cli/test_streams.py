"""What the program prints where the system's own encoding has few characters, as on Windows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess

import pytest
from commands import DSANET, run
from media import write_video

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
