"""The time of each frame, and where frames are missing."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from dsanet_cli.video.stamps import GAP_FRAMES, StampLine

VARIED = 2.2
"""Distances vary if nine tenths are not within this factor of the shortest tenth. They are taken from each frame to the
next but one: a stamp that is early or late makes one distance shorter and the other longer."""
FEW_DISTANCES = 8
"""Fewer distances than this say nothing."""
LONG_SHARE = 0.01
"""Distances vary, too, if as many are long, but no gap: then some may well be longer."""


@dataclass(frozen=True)
class Gap:
    """Time without pictures, in seconds; ``lost`` where frames are known to be missing there."""

    start: float
    end: float
    lost: bool


class Clock:
    """Seconds since the start of a file, for frames in the order in which they are shown.

    Args:
        time_base: Seconds of a tick.
        line: Judged the stamps.
        zero: Stamp of the file's start; None is the first frame's.
        latest: Most seconds between that and the first frame that are believed.
    """

    def __init__(self, time_base: Fraction, line: StampLine, zero: int | None = None, latest: float = 0.0) -> None:
        self._time_base = time_base
        self._line = line
        self.zero = zero
        """Stamp of the file's start, as far as known."""
        self._latest = latest / time_base
        self._last: int | None = None
        self._end = 0
        self._pairs: Counter[int] = Counter()
        """Counts of distances from each frame to the next but one, by their length in milliseconds, without gaps."""
        self._before: int | None = None
        """Distance to the latest frame, if it is no gap."""
        self._count = self._long = self._ticks = 0
        """Distances that are no gaps, how many of them are long, and their sum."""
        self._gaps: list[Gap] = []
        self.start = 0.0
        """Of the first frame, in seconds."""
        self.gap_before: float | None = None
        """Where the time without pictures starts that ends with the latest frame, in seconds."""

    @property
    def end(self) -> float:
        """End of the latest frame in seconds."""
        return self._seconds(self._end)

    def place(self, stamp: int | None, duration: int | None, lost: bool = False) -> float:
        """Start in seconds of the frame shown next.

        Args:
            stamp: In ticks, as believed; None where nothing is known.
            duration: In ticks; None or 0 where nothing is known.
            lost: Frames before it are known to be missing.
        """
        if self.zero is None or (self._last is None and not self._is_credible(stamp)):
            self.zero = stamp
        start = self._end if stamp is None or self.zero is None else stamp - self.zero
        if self._last is None:
            self.start = self._seconds(start)
        else:
            start = max(start, self._last)
            self._note(self._last, start, lost)
        self._last, self._end = start, max(self._end, start + (duration or self._line.step))
        return self._seconds(start)

    def set_span(self, start: int, end: int) -> None:
        """Set the start of the first frame and the end of the last one, in ticks since the start of the file."""
        self.start, self._end = self._seconds(start), end

    def gaps(self) -> tuple[tuple[Gap, ...], tuple[Gap, ...]]:
        """Gaps in which frames are missing, and gaps in which they may be, each in order of time.

        They may be missing where the distances of frames vary anyway. Where these are steady, frames are missing,
        however many gaps there are.
        """
        doubtful = [gap for gap in self._gaps if not gap.lost] if self.varies() else []
        return tuple(gap for gap in self._gaps if gap not in doubtful), tuple(doubtful)

    def varies(self) -> bool:
        """Whether the distances of frames so far vary, or are too few to tell."""
        if self._is_short():
            return True
        total = self._pairs.total()
        if self._long >= max(1, len(self._gaps), LONG_SHARE * self._count):
            return True
        lengths = sorted(self._pairs)
        counts = list(itertools.accumulate(self._pairs[length] for length in lengths))
        short, long = (
            next(length for length, count in zip(lengths, counts, strict=True) if count > share * total)
            for share in (0.1, 0.9)
        )
        return long > VARIED * max(1, short)

    def rate(self) -> Fraction | None:
        """Frames per second on average, gaps left out; None where there are fewer than two."""
        return self._count / (self._ticks * self._time_base) if self._ticks else None

    def _is_credible(self, stamp: int | None) -> bool:
        return stamp is not None and self.zero is not None and 0 <= stamp - self.zero <= self._latest

    def _is_short(self) -> bool:
        return self._pairs.total() < FEW_DISTANCES

    def _note(self, last: int, start: int, lost: bool) -> None:
        distance = start - last
        self.gap_before = None
        if distance > self._line.gap:
            gap = Gap(self._seconds(last + self._line.step), self._seconds(start), lost)
            self._gaps.append(gap)
            self._before = None
            self.gap_before = gap.start if lost or self._is_short() or not self.varies() else None
            return
        if self._before is not None:
            self._pairs[round(1000 * (self._before + distance) * self._time_base)] += 1
        self._before = distance
        self._count += 1
        self._long += distance > GAP_FRAMES * self._line.step
        self._ticks += distance

    def _seconds(self, ticks: int) -> float:
        return float(ticks * self._time_base)
