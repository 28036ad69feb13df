"""Running the installed command as a person does."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dsanet_cli.timeline.schema import timeline_schema
from dsanet_cli.video.demux import CHUNK_FRAMES

DSANET = Path(sys.executable).with_name("dsanet")
HANGS = 600
"""Seconds after which a command hangs; on a machine with other work, one that is well takes minutes."""


ROOT = Path(__file__).resolve().parents[1]


def run(*arguments, cwd=None, stdin="", **environment):
    """Run ``dsanet``; the results that ``detect`` leaves must fit the schema that the package ships."""
    done = subprocess.run(
        [DSANET, *map(str, arguments)],
        check=False,
        cwd=cwd,
        input=stdin,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    if arguments and arguments[0] == "detect":
        check_results(Path(cwd or ".") / _output(list(map(str, arguments))))
    return done


def _output(arguments):
    places = [value for name, value in itertools.pairwise(arguments) if name in ("-o", "--output")]
    return places[-1] if places else "dsanet-results"


def check_results(folder):
    """Every result below ``folder`` fits the schema, which also names each of its entries."""
    for path in folder.rglob("*.json"):
        text = path.read_text()
        if '"verdict"' in text:
            STRICT.validate(json.loads(text))


def _strict_schema():
    schema = timeline_schema()
    for definition in schema["$defs"].values():
        definition["additionalProperties"] = False
    return schema


STRICT = Draft202012Validator(_strict_schema())


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
