"""What of the pictures is looked at: a region is cut out, and a mask blackens, before anything is resized.

Both are said of the picture as a player shows it, so a stored one is turned for that and back again::

    stored ──> upright ──> blackened ──> cut out ──> as stored ──> resized
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.records import Region
from dsanet_cli.video.container import video_error
from dsanet_cli.video.mask import Mask
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.probe import Orientation, Picture

SQUARE = Fraction(1)
LEAST_SIDE = 16
"""Pixels; a smaller part shows nothing."""
MOST_STRETCH = 0.05
"""By which a mask may be wider or higher than the picture, in proportion."""


class View:
    """Cuts and blackens the pictures of one video.

    Args:
        options: What is looked at.
        orientation: How stored pictures become upright ones.
    """

    def __init__(self, options: ReadOptions, orientation: Orientation) -> None:
        self._region = options.cut
        self._mask = options.mask
        self._orientation = orientation
        self._hidden: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, options: ReadOptions, orientation: Orientation) -> View | None:
        """The view that is asked for; None where whole pictures are."""
        return None if options.cut is None and options.mask is None else cls(options, orientation)

    def seen(self, picture: Picture) -> Picture:
        """What is looked at of a stored picture (H, W, 3), as it would be stored."""
        upright = self._orientation.upright(picture)
        height, width = upright.shape[:2]
        top, bottom, left, right = box(self._region, height, width)
        part = upright[top:bottom, left:right]
        if self._mask is not None:
            if self._hidden is None or self._hidden.shape != (height, width):
                self._hidden = self._mask.hidden(height, width)
            part = np.where(self._hidden[top:bottom, left:right, None], np.uint8(0), part)
        return np.ascontiguousarray(self._orientation.stored(part))


def box(region: Region | None, height: int, width: int) -> tuple[int, int, int, int]:
    """First row and the one after the last, first column and the one after the last, of a picture's region."""
    if region is None:
        return 0, height, 0, width
    x, y, wide, high = region
    top, left = min(round(y * height), height - 1), min(round(x * width), width - 1)
    return top, max(top + 1, round((y + high) * height)), left, max(left + 1, round((x + wide) * width))


def check_view(path: Path, options: ReadOptions, height: int, width: int, pixel: Fraction = SQUARE) -> None:
    """Make sure that region and mask go with a video.

    Args:
        path: Of the video.
        options: What is looked at.
        height: Of its upright pictures.
        width: The same.
        pixel: Width of a pixel as it is shown, divided by its height.

    Raises:
        VideoError: they do not; says what to do.
    """
    top, bottom, left, right = box(options.cut, height, width)
    if options.cut is not None and min(bottom - top, right - left) < LEAST_SIDE:
        raise video_error(
            path,
            f"the region is {right - left} x {bottom - top} of its {width} x {height} pixels, in which nothing can be "
            f"seen; take at least {LEAST_SIDE} each way",
        )
    if options.mask is None:
        return
    if not _fits(options.mask, height, width, pixel):
        mask = options.mask
        raise video_error(
            path,
            f"has pictures of {width} x {height} pixels, and the mask {mask.name} of another shape, {mask.width} x "
            f"{mask.height}; paint it over a still of this camera",
        )
    if options.mask.hidden(height, width)[top:bottom, left:right].all():
        raise video_error(path, f"the mask {options.mask.name} hides all of the region; nothing is left to look at")


def _fits(mask: Mask, height: int, width: int, pixel: Fraction) -> bool:
    """Whether a mask has the picture's shape, as it is stored or as it is shown."""
    shape = mask.width / mask.height
    shapes = (width / height, width / height * float(pixel))
    return any(abs(shape / one - 1) <= MOST_STRETCH for one in shapes)
