"""Running the installed command as a person does."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsanet_cli.video.demux import CHUNK_FRAMES

DSANET = Path(sys.executable).with_name("dsanet")


ROOT = Path(__file__).resolve().parents[1]


def run(*arguments, cwd=None, stdin="", **environment):
    return subprocess.run(
        [DSANET, *map(str, arguments)],
        check=False,
        cwd=cwd,
        input=stdin,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def read_csv(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


FAULTY = {
    "PYTHONPATH": os.pathsep.join(
        [str(Path(__file__).parent / "faults"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
}
"""In the environment, makes videos fail as their names say."""


LONG = CHUNK_FRAMES + 60


def results(folder):
    """What lies in an output folder, by name; hidden files are no results."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def start(*arguments, **options):
    return subprocess.Popen(
        [DSANET, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for(process, text):
    """Read stderr up to the line that holds ``text``."""
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"ended without a line that says {text!r}")
