"""The frames on which int8 encoders are calibrated: of the sample videos, so that no encoder depends on its user's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHEET = Path(__file__).with_name("calibration.jpg")
"""Frames side by side, in rows from top left; ``weights/calibration.py`` makes it."""
TILE = 240, 320
"""Height and width of a frame in pixels: multiples of 16, so that no block of the JPEG shows two frames."""
COLUMNS = 6


def calibration_frames(size: tuple[int, int]) -> NDArray[np.uint8]:
    """All frames of the sheet, resized.

    Args:
        size: Height and width that the model's frames have before they are cropped.

    Returns:
        (n, height, width, 3) uint8 RGB.
    """
    high, wide = TILE
    with Image.open(SHEET) as sheet:
        tiles = [
            sheet.crop((left, top, left + wide, top + high)).resize(size[::-1], Image.Resampling.BICUBIC)
            for top in range(0, sheet.height, high)
            for left in range(0, sheet.width, wide)
        ]
    return np.stack([np.asarray(tile) for tile in tiles])
