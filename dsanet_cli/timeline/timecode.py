"""Time code (SMPTE ST 12-1): hours, minutes, seconds and frames, as editing programs count."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from dsanet_cli.timeline.facts import VideoFacts

_NTSC = Fraction(1000, 1001)
_NTSC_RATES = (24, 30, 48, 60, 120)
"""Rates of which there is one that is slower by 0.1 %."""
_DROPPING = (30, 60, 120)
"""Those whose time code leaves out numbers, so that it keeps up with the clock; at 24 it never does."""
MOST_FRAMES = 120
"""A second, that a time code can count here."""
UNCOUNTED = 25
"""Frames per second of the time code of a video whose own rate none can count. Its times are right all the same."""
_CLOSE = 1e-4
"""Share by which a rate may be off; files round theirs."""
_TIMECODE = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})([:;.])([0-9]{2,3})")
_DAY = 24


@dataclass(frozen=True)
class Counting:
    """How frames are counted.

    A video of 30000/1001 or 60000/1001 frames per second is counted in drop frame, unless its own time code says
    otherwise: of every minute but each tenth, the numbers of the first two (four) frames are left out.
    """

    rate: Fraction
    """Frames per second."""
    nominal: int
    """Frames that make a second of the time code."""
    drop: bool

    def frame(self, seconds: float) -> int:
        """The number of the frame at a time, from 0."""
        return round(seconds * self.rate)

    def code(self, frame: int) -> str:
        """``01:02:03:04``, in drop frame ``01:02:03;04``; from 24 hours on it starts again."""
        if self.drop:
            skipped = self.nominal // 15
            ten = self.nominal * 600 - 9 * skipped  # frames in ten minutes, the first of which skips nothing
            tens, rest = divmod(frame, ten)
            minutes = 0 if rest < self.nominal * 60 else 1 + (rest - self.nominal * 60) // (self.nominal * 60 - skipped)
            frame += skipped * (9 * tens + minutes)
        seconds, frames = divmod(frame, self.nominal)
        hours, minutes, seconds = seconds // 3600 % _DAY, seconds // 60 % 60, seconds % 60
        return f"{hours:02}:{minutes:02}:{seconds:02}{';' if self.drop else ':'}{frames:02}"

    def number(self, code: str) -> int | None:
        """The frame of a time code; None of a text that is none."""
        match = _TIMECODE.fullmatch(code)
        if match is None:
            return None
        hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
        if hours >= _DAY or minutes >= 60 or seconds >= 60 or frames >= self.nominal:
            return None
        total = 60 * hours + minutes
        number = (60 * total + seconds) * self.nominal + frames
        return number - self.nominal // 15 * (total - total // 10) if self.drop else number


def counting(video: VideoFacts) -> Counting:
    """How the frames of a video are counted; those of a variable rate as if it were even."""
    rate = video.fps or Fraction(UNCOUNTED)
    nominal = math.floor(rate + Fraction(1, 2))
    own = video.timecode or ""
    for exact in (Fraction(nominal), nominal * _NTSC):
        slower = exact != nominal
        if not 1 <= nominal <= MOST_FRAMES or (slower and nominal not in _NTSC_RATES):
            continue
        if abs(rate - exact) <= _CLOSE * exact:
            drop = slower and nominal in _DROPPING and (";" in own or "." in own or not _TIMECODE.fullmatch(own))
            return Counting(exact, nominal, drop)
    return Counting(Fraction(UNCOUNTED), UNCOUNTED, drop=False)


def first_frame(video: VideoFacts, count: Counting) -> int:
    """The number that a video's own time code gives its first frame; 0 where it has none."""
    return count.number(video.timecode or "") or 0
