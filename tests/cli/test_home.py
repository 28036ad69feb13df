"""Accounts without a home folder, as in containers with an unknown user."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import run
from media import write_video

NOWHERE = "/dev/null/home"
"""A folder that nobody can make."""
UNKNOWN_USER = """
import os, pwd, sys

def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = unknown
os.environ.pop("HOME", None)
from dsanet_cli.cli.app import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX users")
def test_a_user_without_home_and_entry_analyses_as_any_other(tiny_model, tmp_path):
    write_video(tmp_path / "a.mp4", 20)
    command = [sys.executable, "-c", UNKNOWN_USER, "detect", "a.mp4", "--model", str(tiny_model)]
    result = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "dsanet-results"}, "no folder called ~"
    assert "atplotlib" not in result.stderr


def test_a_home_that_cannot_be_is_no_reason_to_fail_or_to_warn(tiny_model, tmp_path):
    write_video(tmp_path / "a.mp4", 20)
    result = run("detect", "a.mp4", "--model", tiny_model, "-t", 1, cwd=tmp_path, HOME=NOWHERE, XDG_DATA_HOME="")
    assert result.returncode == 0, result.stderr
    assert "atplotlib" not in result.stderr
    assert NOWHERE not in result.stderr
    assert (tmp_path / "dsanet-results" / "a.png").exists()
    listed = run("models", "list", HOME=NOWHERE)
    assert listed.returncode == 0
    assert "scenes" in listed.stdout


def test_a_completion_that_cannot_be_installed_is_one_line():
    result = run("--install-completion", HOME=NOWHERE, SHELL="/bin/bash")
    assert result.returncode == 1
    assert result.stderr.startswith("error: the completion cannot be installed (")
    assert len(result.stderr.splitlines()) == 1
