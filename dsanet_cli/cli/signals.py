"""Signals that ask for the end: Ctrl-C, and what ``kill``, schedulers and closing terminals send."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dsanet_cli.cli.options import INTERRUPTED

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_ENDING = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
"""Those of them that this system has."""
_IMPATIENT = {signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGINT)}
"""What a person sends who does not want to wait; schedulers repeat theirs without meaning it."""
_SHOW_CURSOR = b"\x1b[?25h\n"


class Ending:
    """What the first signal does: it raises ``KeyboardInterrupt``, or is noted where that is asked for.

    The command that runs then brings what it has to an end. A second Ctrl-C ends the program at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first one that came."""
        self._only_noted = False

    def handle(self) -> None:
        """Take over the signals, but for those that the caller of the program wants ignored (``nohup``)."""
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def exit_code(self, code: int | str | None) -> int | str | None:
        """The code to exit with where a command would with ``code``."""
        return code if self.signal is None or code != INTERRUPTED else 128 + self.signal

    @contextmanager
    def noted(self) -> Iterator[Callable[[], bool]]:
        """Within the block, a first signal does nothing but make the function that it gives true."""
        self._only_noted = True
        try:
            yield lambda: self.signal is not None
        finally:
            self._only_noted = False

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            if not self._only_noted:
                raise KeyboardInterrupt
        elif number in _IMPATIENT:
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)  # which bars hide
            os._exit(128 + self.signal)


ending = Ending()
"""Of this process."""
