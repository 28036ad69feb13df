"""Making things in the background while the ones before are in use."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

PREFETCHED_BATCHES = 2
"""Batches of decoded frames waiting for the encoder at most."""


class _End:
    """Comes after the last item: the producer is done, or failed with ``error``."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate over ``items`` in a thread of their own, at most ``depth`` ahead of the caller.

    An exception from ``items`` is raised here after the items before it. If the caller stops early (closes
    or drops the generator), the thread ends with the item it is at, and ``items`` is closed within it.
    """
    ready: queue.Queue[T | _End] = queue.Queue(max(1, depth))
    stop = threading.Event()
    # A daemon, so that a generator nobody closes does not keep the program from ending.
    thread = threading.Thread(target=_produce, args=(items, ready, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        while thread.is_alive() and thread is not threading.current_thread():
            _discard(ready)  # makes room, in case the thread waits for it
            thread.join(timeout=0.05)


def _produce(items: Iterable[T], ready: queue.Queue[T | _End], stop: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            ready.put(item)
            if stop.is_set():
                break
    except BaseException as raised:  # KeyboardInterrupt included: all belong to the caller
        error = raised
    finally:
        if isinstance(items, Generator):
            items.close()
        ready.put(_End(error))


def _discard(ready: queue.Queue[T | _End]) -> None:
    try:
        while True:
            ready.get_nowait()
    except queue.Empty:
        pass
