"""Memory that a decoder process and the program share, so that pictures need not go through a pipe.

::

    decoder process writes ──>  | counter | slot 0 | slot 1 | ... | slot n-1 |  ──> program reads
                                     ^                                                  |
                                     └───────── snippets that it is done with ──────────┘

A slot holds the pictures of one snippet. Slots are used in turn, and only the program changes the counter, so neither
side needs a lock. The memory has no name: it is gone with the last process that has it, however that ends.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dsanet_cli.video.probe import Picture

SHARED_MEMORY = "/dev/shm"
COUNTER_BYTES = 64
"""The counter and what keeps the pictures apart from it, as caches of processors like it."""
POLL_INTERVAL = 1e-3
"""Seconds between looks at the counter while no slot is free."""
BLOCK = bytes(2**20)


@dataclass(frozen=True)
class RingPlace:
    """What a decoder process must know of its ring."""

    file: int
    """Descriptor, which the process inherits."""
    slots: int
    slot_bytes: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return COUNTER_BYTES + self.slots * self.slot_bytes


class _Ring:
    def __init__(self, place: RingPlace) -> None:
        self.place = place
        memory = mmap.mmap(place.file, place.size)
        self._counter = np.frombuffer(memory, np.uint64, 1)
        self._slots = np.frombuffer(memory, np.uint8, offset=COUNTER_BYTES).reshape(place.slots, place.slot_bytes)

    def _pictures(self, number: int, shape: tuple[int, ...]) -> Picture:
        """The place of the ``number``-th snippet's pictures."""
        return self._slots[number % self.place.slots, : int(np.prod(shape))].reshape(shape)


class PictureRing(_Ring):
    """A ring as its owner has it.

    Args:
        slots: Snippets that it holds.
        slot_bytes: Of the pictures of one.

    Raises:
        OSError: there is not so much memory, or the system cannot share it.
    """

    def __init__(self, slots: int, slot_bytes: int) -> None:
        file = _anonymous_file()
        try:
            place = RingPlace(file, slots, slot_bytes)
            _reserve(file, place.size)
            super().__init__(place)
        except BaseException:
            os.close(file)
            raise
        self._taken = 0

    def take(self, shape: tuple[int, ...]) -> Picture:
        """The pictures of the next snippet, (k, H, W, 3); to be left alone after ``release``."""
        pictures = self._pictures(self._taken, shape)
        pictures.flags.writeable = False
        self._taken += 1
        return pictures

    def skip(self) -> None:
        """The next snippet came another way."""
        self._taken += 1

    def release(self) -> None:
        """Give the slot of the oldest snippet back."""
        self._counter[0] += 1

    def close_file(self) -> None:
        """Close the descriptor, once the decoder process has it; the memory stays."""
        os.close(self.place.file)


class RingWriter(_Ring):
    """A ring as the decoder process has it.

    Args:
        place: Of the ring.
        alive: Is called while no slot is free.
    """

    def __init__(self, place: RingPlace, alive: Callable[[], None]) -> None:
        super().__init__(place)
        os.close(place.file)
        self._alive = alive
        self._written = 0

    def write(self, pictures: Picture) -> bool:
        """Wait for a slot and put a snippet's pictures into it; False where they do not fit."""
        while self._written - int(self._counter[0]) >= self.place.slots:
            self._alive()
            time.sleep(POLL_INTERVAL)
        number = self._written
        self._written += 1
        if pictures.nbytes > self.place.slot_bytes:
            return False
        self._pictures(number, pictures.shape)[:] = pictures
        return True


def _anonymous_file() -> int:
    if sys.platform == "win32":
        raise OSError("no memory is shared on Windows")
    # Where it has one, the folder's size is a limit that is kept, unlike that of memory at large.
    folder = SHARED_MEMORY if sys.platform == "linux" else None
    with tempfile.TemporaryFile(prefix="dsanet-", dir=folder) as file:  # has no name on these systems
        return os.dup(file.fileno())


def _reserve(file: int, size: int) -> None:
    """Make sure that there is memory behind every byte: where it is missing, the first write would end the process."""
    with contextlib.suppress(AttributeError):  # macOS lacks it
        os.posix_fallocate(file, 0, size)
        return
    for _ in range(0, size, len(BLOCK)):
        os.write(file, BLOCK)
