"""Memory that a decoder process and the program share, so that pictures need not go through a pipe.

::

    | flag 0 | flag 1 | ... | slot 0 | slot 1 | ... |

    decoder process                    program
    waits for a flag that is 0
    sets it to 1, fills the slot
    names the slot in a message  ──>   uses the pictures
                                       sets the flag to 0

A slot holds the pictures of one snippet. Each flag is only changed by the side whose turn it is, so neither needs a
lock. The first free slot is taken, so that a program that keeps up stays in the processor's cache. The memory has no
name: it is gone with the last process that has it, however that ends.
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
POLL_INTERVAL = 1e-3
"""Seconds between looks at the flags while no slot is free."""
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
        return self.slots * (self.slot_bytes + 1)


class _Ring:
    def __init__(self, place: RingPlace) -> None:
        self.place = place
        memory = mmap.mmap(place.file, place.size)
        self._busy = np.frombuffer(memory, np.uint8, place.slots)
        self._slots = np.frombuffer(memory, np.uint8, offset=place.slots).reshape(place.slots, place.slot_bytes)

    def _pictures(self, slot: int, shape: tuple[int, ...]) -> Picture:
        return self._slots[slot, : int(np.prod(shape))].reshape(shape)


class PictureRing(_Ring):
    """Slots as the program has them.

    Args:
        slots: Snippets that they hold.
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

    def pictures(self, slot: int, shape: tuple[int, ...]) -> Picture:
        """The pictures (k, H, W, 3) in a slot; to be left alone after ``release``."""
        pictures = self._pictures(slot, shape)
        pictures.flags.writeable = False
        return pictures

    def release(self, slot: int) -> None:
        """Give a slot back."""
        self._busy[slot] = 0

    def close_file(self) -> None:
        """Close the descriptor, once the decoder process has it; the memory stays."""
        os.close(self.place.file)


class RingWriter(_Ring):
    """Slots as the decoder process has them.

    Args:
        place: Where they are.
        alive: Is called while no slot is free.
    """

    def __init__(self, place: RingPlace, alive: Callable[[], None]) -> None:
        super().__init__(place)
        os.close(place.file)
        self._alive = alive

    def write(self, pictures: Picture) -> int | None:
        """Wait for a slot and put a snippet's pictures into it; None where they do not fit."""
        if pictures.nbytes > self.place.slot_bytes:
            return None
        while self._busy[slot := int(self._busy.argmin())]:
            self._alive()
            time.sleep(POLL_INTERVAL)
        self._busy[slot] = 1
        self._pictures(slot, pictures.shape)[:] = pictures
        return slot


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
