"""What to read of a video file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from dsanet_cli.errors import UsageError
from dsanet_cli.records import Region

if TYPE_CHECKING:
    from dsanet_cli.video.mask import Mask

ROUNDING = 1e-6
"""By which shares that add up to the whole picture may exceed it."""


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
    region: Region | None = None
    """Left, top, width and height of what is looked at, as shares of the upright picture; None is all of it."""
    mask: Mask | None = None
    """Hides parts of the picture."""

    def __post_init__(self) -> None:
        if self.region is not None:
            check_region(self.region)

    @property
    def cut(self) -> Region | None:
        """The region, unless it is all of the picture."""
        return None if self.region is None or _is_whole(self.region) else self.region

    @property
    def part(self) -> tuple[float, float | None] | None:
        """``start`` and ``end``; None is all of the video."""
        return None if self.start == 0 and self.end is None else (self.start, self.end)


def check_region(region: Region) -> None:
    """Make sure that a region is one.

    Raises:
        UsageError: it reaches out of the picture, or is empty.
    """
    left, top, width, height = region
    inside = left >= 0 and top >= 0 and left + width <= 1 + ROUNDING and top + height <= 1 + ROUNDING
    if not (inside and width > 0 and height > 0):  # NaN is not, either
        said = ",".join(f"{share:g}" for share in region)
        raise UsageError(
            f"region {said}: give left, top, width and height as shares of the picture from 0 to 1, not in pixels, "
            "such as 0,0.5,1,0.5 for its lower half"
        )


def _is_whole(region: Region) -> bool:
    _, _, width, height = region
    return min(width, height) >= 1 - ROUNDING


WHOLE = ReadOptions()
