"""Time stamps that can be believed.

A stamp that the frames around it contradict is replaced; where all that follow agree with it, time has jumped:

    stamps    0  40  80  9120  160  200     one is a stray: it becomes 120
    stamps    0  40  80     0   40   80     joined recordings: they become 120, 160, 200
    stamps    0  40  80  9120 9160 9200     frames are missing, or none were recorded: they stay
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

REORDERED = 16
"""Most frames that a codec can hold back to show others first."""
AHEAD = 12
"""Frames that are compared with a doubtful stamp."""
AGREEING = 0.6
"""Share of them that must agree with it to be believed, where frames are evenly spread."""
FEW = 4
"""At the end of a video, fewer frames count as this many."""
GAP_SECONDS, GAP_FRAMES = 1.0, 5
"""Frames further apart than the larger of these, in seconds and in usual distances, have a gap between them."""
MOST_REPEATS = 3
"""Frames that can have the same stamp; with more, it says nothing."""
MEASURED = 16
"""Frames after which the usual distance is measured again."""


@dataclass(frozen=True)
class Believed:
    """What a stamp is taken for.

    Attributes:
        stamp: In ticks of the stream's time base; None where nothing is known.
        guessed: The file has none, or one that is not believed.
        gap: Far after the frames before, and believed, though frames are evenly spread.
    """

    stamp: int | None
    guessed: bool = False
    gap: bool = False


class StampLine:
    """Goes through the stamps of a stream in decoding order.

    Args:
        time_base: Seconds of a tick.
        rate: Frames per second where there are no stamps.
        reordered: Frames are not shown in the order in which they are decoded.
        longest_gap: Seconds from a frame to the next that are still believed.
    """

    def __init__(self, time_base: Fraction, rate: Fraction, reordered: bool, longest_gap: float = math.inf) -> None:
        self._second = float(1 / time_base)
        self._longest_gap = longest_gap * self._second
        self._reordered = reordered
        self._shift = 0
        self._front: int | None = None
        """The latest stamp so far."""
        self._recent: deque[int] = deque(maxlen=2 * REORDERED)
        self._sound: deque[int] = deque(maxlen=2 * REORDERED)
        """Recent stamps that were not guessed."""
        self._raw: deque[int] = deque(maxlen=REORDERED)
        self._since_measured = MEASURED
        self.step = max(1, round(1 / (rate * time_base)))
        """Usual distance of frames, in ticks."""
        self.latest_stray = -math.inf
        """The highest stamp that was not believed."""

    @property
    def gap(self) -> float:
        """Ticks from frame to frame from which on there is a gap between them."""
        return max(GAP_SECONDS * self._second, GAP_FRAMES * self.step)

    def believe(self, stamp: int | None, ahead: Sequence[int]) -> Believed:
        """Judge the next stamp; ``ahead`` are the stamps of the ``AHEAD`` frames after it, as far as there are any."""
        if stamp is not None:
            self._raw.append(stamp)
            if self._raw.count(stamp) > MOST_REPEATS:
                stamp = None
        if self._front is None:
            return self._start(stamp, ahead)
        self._measure(ahead)
        if stamp is None:
            return self._accept(self._free_place(ahead), guessed=True)
        at = stamp + self._shift
        if self._front - self._back <= at <= self._front + self._forth:
            return self._accept(at)
        later = [value + self._shift for value in ahead]
        if not self._is_jump(at, later):
            self.latest_stray = max(self.latest_stray, stamp)
            return self._accept(self._free_place(ahead), guessed=True)
        if at < self._front or at - self._front > self._longest_gap:  # recorders that restart, and joined recordings
            if at > self._front:
                self.latest_stray = max(self.latest_stray, stamp, *ahead)
            self._shift += self._front + self.step - at
            return self._accept(self._front + self.step)
        return self._accept(at, gap=at - self._front > self.gap and self._is_steady(later))

    def starts_anew(self, ahead: Sequence[int]) -> bool:
        """Whether most of the stamps ``ahead`` have nothing to do with those before: another recording follows."""
        front = 0 if self._front is None else self._front
        distances = [value + self._shift - front for value in ahead]
        return sum(not -self._back <= distance <= self._longest_gap for distance in distances) > len(ahead) / 2

    @property
    def _back(self) -> float:
        """How far before the latest stamp the next one may be."""
        return max(REORDERED * self.step, self.gap) if self._reordered else 0

    @property
    def _forth(self) -> float:
        """How far after it the next one may be without doubt."""
        return max(REORDERED * self.step, GAP_SECONDS * self._second) if self._reordered else 1.5 * self.step

    def _start(self, stamp: int | None, ahead: Sequence[int]) -> Believed:
        """Judge the first stamp."""
        if stamp is None:
            return Believed(None, guessed=True)
        self._sound.append(stamp)
        self._measure(ahead)
        agreeing = sum(
            stamp - self._back <= value <= stamp + number * self.gap for number, value in enumerate(ahead, 1)
        )
        if agreeing < len(ahead) / 2:
            self.latest_stray = max(self.latest_stray, stamp)
            self._sound.clear()
            middle = statistics.median_low(ahead)
            return self._accept(middle - (ahead.index(middle) + 1) * self.step, guessed=True)
        return self._accept(stamp)

    def _accept(self, at: int, *, guessed: bool = False, gap: bool = False) -> Believed:
        self._front = at if self._front is None else max(self._front, at)
        self._recent.append(at)
        if not guessed:
            self._sound.append(at)
        return Believed(at, guessed, gap)

    def _measure(self, ahead: Sequence[int]) -> None:
        self._since_measured += 1
        if self._since_measured < MEASURED:
            return
        self._since_measured = 0
        distances = self._distances(ahead)
        if distances:
            self.step = max(1, round(statistics.median(distances)))

    def _distances(self, ahead: Sequence[int]) -> list[int]:
        stamps = sorted({*self._sound, *(value + self._shift for value in ahead)})
        return [later - earlier for earlier, later in pairwise(stamps)]

    def _is_jump(self, at: int, later: Sequence[int]) -> bool:
        """Whether the frames after a doubtful stamp go on from it, rather than from the frames before it."""
        assert self._front is not None
        old = new = 0
        for number, value in enumerate(later, 1):
            reach = number * self.gap
            if at - self._back <= value <= at + reach:
                # a stamp between both belongs to the nearer one before it
                old, new = (old, new + 1) if at > self._front or value < self._front - self._back else (old + 1, new)
            elif self._front - self._back <= value <= self._front + reach:
                old += 1
        doubtful = self._is_steady(later) and not 0 < at - self._front <= self.gap
        if old == new == 0:  # the end, or stamps without any order
            return not later and at > self._front and not doubtful
        return new > (AGREEING * max(len(later), FEW) if doubtful else old)

    def _is_steady(self, later: Sequence[int]) -> bool:
        """Whether frames are evenly spread, those after this one included."""
        stamps = sorted({*self._recent, *later})
        near = sum(self.step / 2 <= after - before <= 2 * self.step for before, after in pairwise(stamps))
        return len(stamps) > AHEAD and near > AGREEING * (len(stamps) - 1)

    def _free_place(self, ahead: Sequence[int]) -> int:
        """Where a frame without a stamp belongs: the first place that is missing, or after all others."""
        assert self._front is not None
        if not self._reordered:
            following = ahead[0] + self._shift - self._front if ahead else self.step
            return self._front + (min(self.step, following) if following > 0 else self.step)
        near = self._front + AHEAD * self.gap
        stamps = sorted({*self._recent, *(value + self._shift for value in ahead if value + self._shift < near)})
        for earlier, later in pairwise(stamps):
            if earlier >= self._front - self._back and 1.5 * self.step < later - earlier < self.gap:
                return earlier + self.step
        return self._front + self.step
