"""Commands without the seconds that each takes to import torch, open_clip and matplotlib.

``python tests/command_server.py DESCRIPTOR`` imports the program once. Then, for each request that comes through the
socket, it forks a process that runs ``main`` with the arguments, folder, environment and streams of the request.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
import time

LARGEST = 1 << 20
"""Bytes of a request."""
STREAMS = 3


def serve(connection):
    """Answer requests with the pid of the command, then its exit status; return in the forked processes."""
    while True:
        content, streams, *_ = socket.recv_fds(connection, LARGEST, STREAMS)
        if not content:
            sys.exit()
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(json.loads(content), streams)
            return
        for stream in streams:
            os.close(stream)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115  (for as long as the command runs)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["folder"])
    sys.argv = request["command"]


if __name__ == "__main__":
    del sys.path[0]  # this folder, which no command has on its path

    from dsanet_cli.cli.app import main

    runs = ("calibrate.run", "detect.run", "detect.runner", "evaluate.run", "extract.run", "train.run")
    for module in (*runs, "encoder.clip", "timeline.plot"):  # the last ones are imported where they are needed
        importlib.import_module(f"dsanet_cli.{module}")
    gc.freeze()  # else each command goes through all of this again as it ends

    serve(socket.socket(fileno=int(sys.argv[1])))
    main()
