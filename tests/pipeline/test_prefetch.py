from __future__ import annotations

import gc
import threading
import time

import pytest

from dsanet_cli.pipeline.prefetch import prefetch


def running():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def wait_until(condition):
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_items_come_in_order():
    assert list(prefetch(range(100), 3)) == list(range(100))
    assert list(prefetch([], 3)) == []
    assert not running()


def test_production_runs_ahead_but_only_so_far():
    made: list[int] = []

    def items():
        for item in range(50):
            made.append(item)
            yield item

    ahead = prefetch(items(), 3)
    assert next(ahead) == 0
    # 1 taken, 3 waiting, 1 in the producer's hands
    assert wait_until(lambda: len(made) == 5)
    time.sleep(0.1)
    assert len(made) == 5
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("broken")

    ahead = prefetch(items(), 5)
    assert (next(ahead), next(ahead)) == (1, 2)
    with pytest.raises(ValueError, match="broken"):
        next(ahead)
    assert not running()


def test_leaving_early_stops_the_thread_and_closes_the_items():
    closed = threading.Event()

    def items():
        try:
            item = 0
            while True:
                yield item
                item += 1
        finally:
            closed.set()

    ahead = prefetch(items(), 2)
    assert next(ahead) == 0
    assert running()
    ahead.close()
    assert not running()
    assert closed.is_set()


def test_an_error_of_the_caller_stops_the_thread():
    def use():
        for item in prefetch(iter(range(1000)), 2):
            if item == 3:
                raise RuntimeError("caller")

    with pytest.raises(RuntimeError, match="caller"):
        use()
    gc.collect()
    assert wait_until(lambda: not running())


def test_dropping_the_iterator_stops_the_thread():
    ahead = prefetch(iter(range(1000)), 2)
    next(ahead)
    del ahead
    gc.collect()
    assert wait_until(lambda: not running())


def test_nothing_runs_before_the_first_item_is_asked_for():
    ahead = prefetch(iter(range(3)), 2)
    assert not running()
    ahead.close()


@pytest.mark.parametrize("depth", [0, 1])
def test_a_depth_below_one_counts_as_one(depth):
    assert list(prefetch(range(10), depth)) == list(range(10))
