"""How far a batch is, for a person who watches: a bar for all, the videos at work, frames a second, time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dsanet_cli.console import plain_console
from dsanet_cli.files.sources import Source
from dsanet_cli.names import printable
from dsanet_cli.text import format_clock
from dsanet_cli.video.messages import Message, Notice, Opened
from dsanet_cli.video.reader import Snippet

TELLING_SECONDS, TELLING_SHARE = 10.0, 0.02
"""From when on the time left is shown: before, decoders start and the first pictures are on their way."""


class BatchProgress:
    """Follows a batch on stderr: as bars on a terminal, else as one line for each video that is done.

    The work is measured in bytes of the files, which is known beforehand. ``watch`` and ``done`` may be called from
    different threads.
    """

    def __init__(self, sources: Sequence[Source], quiet: bool) -> None:
        console = plain_console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._lines = plain_console(stderr=True, quiet=quiet or console.is_terminal or len(sources) < 2)
        self._log = self._bars.console if self.console else plain_console(stderr=True, quiet=quiet)
        self._sizes = {source: _size(source) for source in sources}
        self._total = sum(self._sizes.values())
        self._overall = self._bars.add_task("all", total=self._total, state="")
        self._current: dict[Source, TaskID] = {}
        self._spans: dict[Source, tuple[float, float]] = {}
        """From where to where each video is looked at, in seconds; 0 where the end is not known."""
        self._opened: dict[Source, float] = {}
        self._shares: dict[Source, float] = {}
        """How much of each video at work is done."""
        self._finished = 0
        """Bytes of the videos that are done."""
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._frames = 0
        self._done = 0

    def __enter__(self) -> BatchProgress:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @property
    def console(self) -> Console | None:
        """What lines must go through so as not to disturb the bars; None where there are none."""
        return None if self._bars.disable else self._bars.console

    def watch(self, source: Source, message: Message) -> None:
        """Take notice of what a decoder says about a video."""
        with self._lock:
            if isinstance(message, Notice):
                self._log.print(message.text)
            elif isinstance(message, Opened):
                self._spans[source] = message.start, message.duration
                self._opened[source] = time.monotonic()
                self._forget(source)  # tried before
                self._current[source] = self._bars.add_task(printable(source.path.name), total=1.0, state="")
            elif isinstance(message, Snippet):
                self._frames += len(message.frames) and message.length
                start, end = self._spans.get(source, (0.0, 0.0))
                self._shares[source] = min(1.0, (message.end - start) / (end - start)) if end > start else 0.0
                state = format_clock(message.end)
                if end:
                    state += f" of {format_clock(end)}"
                self._bars.update(self._current[source], completed=self._shares[source], state=state)
                self._show()

    def elapsed(self, source: Source) -> float | None:
        """Seconds since the decoder opened a video; None where it has not."""
        opened = self._opened.get(source)
        return None if opened is None else time.monotonic() - opened

    def done(self, source: Source, state: str, frames: int = 0) -> None:
        """Count a video as done; ``state`` says how it went, ``frames`` are those that ``watch`` was not told of."""
        with self._lock:
            self._done += 1
            self._frames += frames
            self._finished += self._sizes[source]
            self._forget(source)
            self._show()
            line = f"{self._done}/{len(self._sizes)} {printable(source.path)}: {state} ({self._speed()})"
        self._lines.print(line)

    def _forget(self, source: Source) -> None:
        self._shares.pop(source, None)
        if (task := self._current.pop(source, None)) is not None:
            self._bars.remove_task(task)

    def _completed(self) -> float:
        return self._finished + sum(self._sizes[source] * share for source, share in self._shares.items())

    def _rate(self) -> float:
        """Frames of video a second, those that the sampling passes over included."""
        return self._frames / max(1e-3, time.monotonic() - self._started)

    def _speed(self) -> str:
        """Frames a second, and the time left once the past says something about it."""
        elapsed = time.monotonic() - self._started
        share = self._completed() / self._total if self._total else 1.0
        told = f"{self._rate():.0f} frames/s"
        if elapsed >= TELLING_SECONDS and TELLING_SHARE <= share < 1:
            told += f", about {format_clock(elapsed * (1 - share) / share)} left"
        return told

    def _show(self) -> None:
        state = f"{self._done} of {len(self._sizes)} done, {self._speed()}"
        self._bars.update(self._overall, completed=self._completed(), state=state)


def _size(source: Source) -> int:
    try:
        return max(1, source.path.stat().st_size)
    except OSError:
        return 1
