"""The process that decodes videos: jobs come on stdin, snippets go to stdout, both pickled.

A decoder can crash, hang or run wild on a damaged file. Here only this process is lost, which imports no
torch and starts in a moment.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import BinaryIO

from dsanet_cli.console import DEBUG_VARIABLE, unexpected
from dsanet_cli.errors import VideoError
from dsanet_cli.video.messages import Alive, DecodeJob, Finished, Opened, Placed, Reply, Scanned, Start, Wanted
from dsanet_cli.video.picture_ring import RingPlace, RingWriter
from dsanet_cli.video.pictures import open_source
from dsanet_cli.video.reader import Snippet

Send = Callable[[Reply], None]

PULSE_INTERVAL = 0.5
"""Seconds."""


def main() -> None:
    """Decode one job after the other until stdin ends."""
    jobs = sys.stdin.buffer
    start = _read_start(jobs)
    tempfile.tempdir = start.folder
    replies = _claim_stdout()
    received: queue.SimpleQueue[DecodeJob | Wanted] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs, received, start.folder), daemon=True).start()

    send = _sender(replies, start.ring)
    send(Alive())

    while True:
        job = received.get()
        assert isinstance(job, DecodeJob)
        try:
            _decode(job, received, send)
        except VideoError as error:
            if os.environ.get(DEBUG_VARIABLE):
                traceback.print_exception(error)
            send(error)
        except BrokenPipeError:
            return
        except Exception as error:  # as in a batch: one video must never end the others
            send(VideoError(str(unexpected(job.path, error))))


def _sender(replies: BinaryIO, place: RingPlace | None) -> Send:
    def send(message: Reply) -> None:
        if ring is not None and isinstance(message, Snippet):
            frames = message.frames
            if (slot := ring.write(frames)) is not None:
                message = Placed(replace(message, frames=frames[:0]), slot, frames.shape)
        pickle.dump(message, replies, protocol=pickle.HIGHEST_PROTOCOL)
        replies.flush()

    ring = None if place is None else RingWriter(place, _Pulse(send))
    return send


def _read_start(jobs: BinaryIO) -> Start:
    """The first message; a person who starts this by hand is told that there is none."""
    start = None
    if not jobs.isatty():
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            start = pickle.load(jobs)
    if not isinstance(start, Start):
        sys.stderr.write("error: this is the part of dsanet that decodes, and started by it; use dsanet detect\n")
        sys.stderr.flush()
        os._exit(2)
    return start


def _decode(job: DecodeJob, received: queue.SimpleQueue[DecodeJob | Wanted], send: Send) -> None:
    decoding = job.decoding
    reader = open_source(
        job.path,
        decoding.size,
        decoding.sampled_frames,
        decoding.snippet_frames,
        job.threads,
        _Pulse(send),
        decoding.options,
        decoding.whole_only,
        decoding.snippet_seconds,
    )
    options = decoding.options
    info = reader.info
    end = info.duration if options.end is None else min(options.end, info.duration)
    send(Opened(end, options.start, info.created))
    if decoding.header_only:
        send(Finished(reader.info))
        return
    wanted: Collection[int] | None = None
    if decoding.scan:
        for snippet in reader.key_snippets():
            send(snippet)
        send(Scanned(reader.info))
        answer = received.get()
        assert isinstance(answer, frozenset)
        wanted = answer
    elif decoding.first_snippets is not None:
        wanted = range(decoding.first_snippets)
    if not decoding.scan or wanted:
        for snippet in reader.snippets(wanted):
            if not decoding.whole_only or snippet.whole or snippet.index == 0:
                send(snippet)
    send(Finished(reader.info))


class _Pulse:
    """Tells from time to time that this process is alive."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last > PULSE_INTERVAL:
            self._last = now
            self._send(Alive())


def _receive(jobs: BinaryIO, received: queue.SimpleQueue[DecodeJob | Wanted], folder: str) -> None:
    """Pass on what comes in; end the process with its parent, even in the middle of an endless decoder."""
    try:
        while True:
            received.put(pickle.load(jobs))
    except (EOFError, OSError, pickle.UnpicklingError):
        shutil.rmtree(folder, ignore_errors=True)  # a parent that was killed does not
        os._exit(0)


def _claim_stdout() -> BinaryIO:
    """Keep stdout for replies; whatever native code prints goes to stderr, and nowhere unless someone debugs."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    if not os.environ.get(DEBUG_VARIABLE):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(1)  # not waiting for the thread that reads stdin
