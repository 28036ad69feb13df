"""Pictures that show nothing new: no block of them differs from the last picture that was encoded by more than noise.

The mean brightness of each block of 8 x 8 pixels is compared, of the picture as the encoder gets it. What a sensor or a
codec adds to single pixels averages out in a block, and the largest difference counts, so a person far away is seen
however large the rest of the picture is. A change that most of the picture shares is first taken away, up to the level
itself, since light drifts and cameras adjust to it. Pictures are compared with the last one that was *encoded*, so that
slow changes add up until they count, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.errors import UsageError

BLOCK = 8
"""Pixels each way."""
LUMA = np.array([299, 587, 114])
"""Thousandths that red, green and blue have in brightness (ITU-R BT.601)."""

Means = NDArray[np.float64]
"""(rows, columns) of blocks, in grey levels from 0 to 255."""


@dataclass(frozen=True)
class StillRule:
    """What counts as the same picture.

    Raises:
        UsageError: a level that is no number of grey levels.
    """

    level: float
    """Grey levels of 255 by which the mean of a block may differ, and by which all of them may differ together."""
    centre: tuple[int, int] | None = None
    """(height, width) in pixels of the only part that is encoded; None is all of the picture."""

    def __post_init__(self) -> None:
        if not 0 <= self.level <= 255:  # NaN is not, either
            raise UsageError(f"reuse_still {self.level:g}: give grey levels from 0 to 255")

    def means(self, picture: NDArray[np.uint8]) -> Means:
        """The mean brightness of each block of a picture (H, W, 3)."""
        if self.centre is not None:
            top, left = ((have - part) // 2 for have, part in zip(picture.shape, self.centre, strict=False))
            picture = picture[top : top + self.centre[0], left : left + self.centre[1]]
        rows = _sums(picture).swapaxes(0, 1)
        brightness = _sums(rows).swapaxes(0, 1) @ LUMA
        height, width = (min(BLOCK, side) for side in picture.shape[:2])
        means: Means = brightness / (1000 * height * width)
        return means

    def is_same(self, one: Means, other: Means) -> bool:
        """Whether no block of a picture differs by more than the level from that of another, drifting light aside."""
        if one.shape != other.shape:
            return False
        difference = one - other
        drift = np.clip(np.median(difference), -self.level, self.level)
        return bool(np.abs(difference - drift).max() <= self.level)


def _sums(values: NDArray[np.unsignedinteger]) -> NDArray[np.uint16]:
    """Sums of ``BLOCK`` rows each; the last block reaches back into the one before where rows are left over."""
    whole = len(values) // BLOCK
    sums: NDArray[np.uint16] = values[: whole * BLOCK].reshape(whole, BLOCK, *values.shape[1:]).sum(1, dtype=np.uint16)
    if len(values) % BLOCK:
        sums = np.concatenate([sums, values[-BLOCK:].sum(0, dtype=np.uint16)[None]])
    return sums
