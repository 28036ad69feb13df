"""Films are made in a process of their own: a damaged video may crash what reads it, or hold it up for ever."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path, PurePath
from typing import Any

from dsanet_cli.console import unexpected
from dsanet_cli.detect.films import StoppedError
from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.atomic import remove_unfinished
from dsanet_cli.files.folders import Folder, LocalFolder
from dsanet_cli.names import printable

STALL_TIMEOUT = 120.0
"""Seconds without a sign of life after which the process is given up."""
SIGNS = 1.0
"""Seconds between two of them, at least."""

LOOK = 0.2
"""Seconds after which it is seen that the run ends."""
_stopping = threading.Event()

Work = Callable[..., Any]
"""A function of a module; its last argument is called all the time."""


def stop() -> None:
    """End what runs apart now, and begin nothing more."""
    _stopping.set()


def run_apart(
    video: Path, target: PurePath, folder: Folder, work: Work, *arguments: Any, stall_timeout: float = STALL_TIMEOUT
) -> Any:
    """Call ``work(*arguments, alive)`` in another process.

    Args:
        video: What it reads, for messages.
        target: A file that it writes, below ``folder``; others are beside it.
        folder: Of results.
        work: What to call.
        arguments: All can be pickled; the first is the video.
        stall_timeout: Seconds.

    Returns:
        What it returns.

    Raises:
        DsanetError: as it does.
        VideoError: the process crashed, or made no progress.
        StoppedError: ``stop`` was called.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return _result(video, ours, stall_timeout)
    finally:
        ours.close()
        process.kill()
        process.join()
        if isinstance(folder, LocalFolder) and process.pid is not None:
            remove_unfinished((folder.path / target).parent, process.pid)


def _result(video: Path, connection: Connection, stall_timeout: float) -> Any:
    heard = time.monotonic()
    while time.monotonic() < heard + stall_timeout:
        if _stopping.is_set():
            raise StoppedError(f"{printable(video)}: stopped")
        if not connection.poll(LOOK):
            continue
        heard = time.monotonic()
        try:
            message = connection.recv()
        except EOFError:
            raise VideoError(f"{printable(video)}: what reads it crashed, so it is damaged; leave it out") from None
        if message is None:  # a sign of life
            continue
        result, error = message
        if error is not None:
            raise error
        return result
    raise VideoError(f"{printable(video)}: no progress for {stall_timeout:g} s, so it is damaged; leave it out")


def _run(connection: Connection, work: Work, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    due = 0.0

    def alive() -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + SIGNS
            connection.send(None)  # fails where nobody is left to read it, which ends this process

    try:
        outcome: tuple[Any, DsanetError | None] = work(*arguments, alive), None
    except DsanetError as error:
        outcome = None, error
    except Exception as error:
        outcome = None, unexpected(arguments[0], error)
    connection.send(outcome)
