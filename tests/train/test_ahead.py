from __future__ import annotations

import threading
from contextlib import closing

import pytest

from dsanet_cli.train.ahead import loaded_ahead


class Disk:
    """Counts what is read; a number may be told to wait, or to be damaged."""

    def __init__(self, damaged=None):
        self.read, self.threads, self._damaged = [], set(), damaged
        self._changed = threading.Condition()

    def load(self, number):
        if number == self._damaged:
            raise OSError(f"{number}: damaged")
        with self._changed:
            self.read.append(number)
            self.threads.add(threading.current_thread())
            self._changed.notify_all()
        return f"item {number}"

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.read) >= count, timeout=60)


def test_items_come_in_order_from_one_other_thread():
    disk = Disk()
    assert list(loaded_ahead(disk.load, [4, 2, 9, 2])) == ["item 4", "item 2", "item 9", "item 2"]
    assert disk.read == [4, 2, 9, 2]
    assert len(disk.threads) == 1
    assert threading.current_thread() not in disk.threads


def test_the_next_ones_are_loaded_while_one_is_in_use_and_no_more():
    disk, taken = Disk(), []
    numbers = (taken.append(number) or number for number in range(100))
    with closing(loaded_ahead(disk.load, numbers, ahead=2)) as items:
        assert taken == []
        for number in range(3):
            assert next(items) == f"item {number}"
            assert taken == list(range(number + 3))
            disk.wait_for(number + 3)


def test_an_error_comes_in_place_of_its_item():
    items = loaded_ahead(Disk(damaged=2).load, range(5))
    assert [next(items), next(items)] == ["item 0", "item 1"]
    with pytest.raises(OSError, match="2: damaged"):
        next(items)


def test_nothing_goes_on_after_the_end():
    disk = Disk()
    items = loaded_ahead(disk.load, range(100))
    next(items)
    items.close()
    assert not any(thread.is_alive() for thread in disk.threads)
    assert len(disk.read) <= 3
