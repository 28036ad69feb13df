"""The wheel, alone: installed into an empty environment, away from the checkout, it analyses a sample."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from commands import ROOT

PROGRAMS = "Scripts" if sys.platform == "win32" else "bin"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def run(*command, cwd):
    """What a command prints on stdout, without anything in the environment that leads back to this one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    result = subprocess.run(
        list(map(str, command)), check=False, cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def environment(tmp_path):
    """An empty virtual environment, which would fill the disk with gigabytes if it stayed."""
    venv.create(tmp_path / "env", with_pip=True)
    yield tmp_path / "env"
    shutil.rmtree(tmp_path / "env")


def test_a_sample_is_analysed_by_the_wheel_alone(environment, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    programs = environment / PROGRAMS
    run(programs / "python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    place = run(programs / "python", "-c", "import dsanet_cli; print(dsanet_cli.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(environment)
    shutil.copy(ROOT / "samples" / "RoadAccidents001.mp4", tmp_path)
    formats = ("-f", "csv", "-f", "png", "-f", "html")
    printed = run(programs / "dsanet", "detect", "RoadAccidents001.mp4", "-o", "out", *formats, cwd=tmp_path)
    assert "roadaccidents" in printed
    result = json.loads((tmp_path / "out" / "RoadAccidents001.json").read_text(encoding="utf-8"))
    assert result["verdict"]["anomalous"]
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".csv", ".png", ".zip", ".html"}
