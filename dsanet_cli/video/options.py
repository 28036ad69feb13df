"""What to read of a video file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class ReadOptions:
    """What a person can say of how a file is read; as it stands, the file decides."""

    stream: int | None = None
    """Number among the video streams, from 0; None is the one that a player would show."""
    fps: Fraction | None = None
    """Frames per second of a file that gives no rate."""
    start: float = 0.0
    """Seconds from which on frames are looked at."""
    end: float | None = None
    """Seconds up to which they are; None is the end of the video."""

    @property
    def part(self) -> tuple[float, float | None] | None:
        """``start`` and ``end``; None is all of the video."""
        return None if self.start == 0 and self.end is None else (self.start, self.end)


WHOLE = ReadOptions()
