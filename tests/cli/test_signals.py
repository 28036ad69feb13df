from __future__ import annotations

import os
import signal
import sys

import pytest

from dsanet_cli.cli.signals import Ending

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def ending():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield Ending()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_interrupts_and_gives_the_exit_code(ending, number):
    ending.handle()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert ending.exit_code(130) == 128 + number
    assert [ending.exit_code(code) for code in (0, 1, 3, None)] == [0, 1, 3, None]


def test_within_a_block_it_is_only_noted(ending):
    ending.handle()
    with ending.noted() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked()
        signal.raise_signal(signal.SIGTERM)  # schedulers repeat theirs
        signal.raise_signal(signal.SIGHUP)
    assert ending.exit_code(130) == 143


def test_after_the_block_it_interrupts_again(ending):
    ending.handle()
    with ending.noted():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_ends_at_once(ending, monkeypatch, first):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    ending.handle()
    with ending.noted():
        signal.raise_signal(first)
        signal.raise_signal(signal.SIGINT)
    assert codes == [128 + first]


def test_what_the_caller_wants_ignored_is(ending):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    ending.handle()
    signal.raise_signal(signal.SIGHUP)
    assert ending.signal is None


def test_nothing_came(ending):
    assert ending.exit_code(130) == 130
