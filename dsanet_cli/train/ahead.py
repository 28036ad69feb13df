"""Loading ahead: what later steps need is read from the disk while the current one computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

AHEAD = 2
"""Items that are loaded or being loaded beside the one in use; a batch of UCF-Crime takes 64 MiB."""

Loaded = TypeVar("Loaded")


def loaded_ahead(
    load: Callable[[int], Loaded], numbers: Iterable[int], ahead: int = AHEAD
) -> Generator[Loaded, None, None]:
    """What ``load`` makes of each number, in their order; one thread loads the next ones.

    Nothing is loaded before the first item is asked for, and nothing goes on after the generator is closed. What
    ``load`` raises is raised in place of its item, as if it had been loaded only then.

    Args:
        load: Runs in that thread, once for each number and one after the other.
        numbers: Of the items.
        ahead: Items at most that wait, or are being loaded, while one is in use.
    """
    left = iter(numbers)
    waiting: deque[Future[Loaded]] = deque()
    loader = ThreadPoolExecutor(1, "loader")
    try:
        waiting.extend(loader.submit(load, number) for number in islice(left, ahead))
        while waiting:
            item = waiting.popleft().result()
            waiting.extend(loader.submit(load, number) for number in islice(left, 1))
            yield item
    finally:
        loader.shutdown(cancel_futures=True)
