"""Running the installed command as a person does."""

from __future__ import annotations

import atexit
import csv
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dsanet_cli.timeline.schema import timeline_schema
from dsanet_cli.video.demux import CHUNK_FRAMES

DSANET = Path(sys.executable).with_name("dsanet")
HANGS = 600
"""Seconds after which a command hangs; on a machine with other work, one that is well takes minutes."""


ROOT = Path(__file__).resolve().parents[1]


SET_LATER = {"TZ", "COLUMNS", "DSANET_MODELS", "DSANET_DEBUG", "PYTEST_CURRENT_TEST"}
"""Variables that nothing reads while the program and its libraries are imported."""


def run(*arguments, cwd=None, stdin="", **environment):
    """Run ``dsanet``; the results that ``detect`` leaves must fit the schema that the package ships.

    Where the environment allows it, the command is forked from a process that has imported torch and open_clip
    (``command_server.py``); ``start`` always starts the installed one.
    """
    command = [str(DSANET), *map(str, arguments)]
    folder = os.path.abspath(cwd or ".")
    given = {"COLUMNS": "200", **environment}
    if given.keys() <= SET_LATER and hasattr(os, "fork"):
        done = _server().run(command, folder, {**os.environ, **given}, stdin)
    else:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            input=stdin,
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=HANGS,
        )
    if arguments and arguments[0] == "detect":
        check_results(Path(folder, _output(command)))
    return done


_servers = {}
"""The one that runs, by its environment."""


def _server():
    """That of the environment at hand, but for what is set later: tests and libraries change it."""
    environment = {name: value for name, value in os.environ.items() if name not in SET_LATER}
    key = frozenset(environment.items())
    if key not in _servers:
        while _servers:
            _servers.popitem()[1].close()
        _servers[key] = CommandServer(environment)
    return _servers[key]


class CommandServer:
    """``command_server.py`` in a process of its own."""

    def __init__(self, environment):
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.settimeout(HANGS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, ROOT / "tests" / "command_server.py", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], env=environment,
            )  # fmt: skip
        atexit.register(self.close)

    def run(self, command, folder, environment, stdin):
        """As ``subprocess.run`` does it."""
        with (
            tempfile.TemporaryFile("w+") as given,
            tempfile.TemporaryFile("w+") as printed,
            tempfile.TemporaryFile("w+") as errors,
        ):
            given.write(stdin)
            given.seek(0)
            request = {"command": command, "folder": folder, "environment": environment}
            streams = [stream.fileno() for stream in (given, printed, errors)]
            socket.send_fds(self._connection, [json.dumps(request).encode()], streams)
            pid = int(self._connection.recv(100))
            try:
                status = int(self._connection.recv(100))
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                raise
            texts = [stream.seek(0) or stream.read() for stream in (printed, errors)]
        return subprocess.CompletedProcess(command, status, *texts)

    def close(self):
        """End it."""
        self._connection.close()
        self._process.wait()


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
