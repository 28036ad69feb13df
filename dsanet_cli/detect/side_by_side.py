"""Many small pieces of work, shared out among processes where that is worth their start."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

WORTH_PROCESSES = 100
"""Pieces of some 20 ms each, from which on other processes start."""
PIECES = 10
"""Handed to a process at once."""

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
_work: Callable[[Any], Any]


def each(make: Callable[[S], Callable[[T], R]], settings: S, pieces: Sequence[T], alone: bool = False) -> Iterator[R]:
    """What the work makes of each piece, in order.

    Args:
        make: Makes what does the work, once in each process; a function of a module.
        settings: What it makes that of.
        pieces: What to work on.
        alone: Do it all in this process.
    """
    processes = min(os.cpu_count() or 1, len(pieces) // WORTH_PROCESSES + 1)
    if processes == 1 or alone:
        yield from map(make(settings), pieces)
        return
    started = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, started, _start, (make, settings)) as pool:
        try:
            yield from pool.map(_do, pieces, chunksize=PIECES)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(make: Callable[[S], Callable[[Any], Any]], settings: S) -> None:
    global _work  # noqa: PLW0603  (a process has one)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends it
    _work = make(settings)


def _do(piece: Any) -> Any:
    return _work(piece)
