"""Collect the frames of `samples/` that int8 encoders are calibrated on: `python weights/calibration.py`.

Writes `dsanet_cli/encoder/calibration.jpg`, a sheet of frames as the videos show them, evenly spread over each.
"""

from pathlib import Path

import av
import numpy as np
from PIL import Image

from dsanet_cli.encoder.calibration import COLUMNS, SHEET, TILE

HERE = Path(__file__).resolve().parent
PER_VIDEO = 10
QUALITY = 75


def frames(video: Path) -> list[np.ndarray]:
    """`PER_VIDEO` frames (H, W, 3) uint8 of a video."""
    with av.open(str(video)) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return [shown[len(shown) * (2 * number + 1) // (2 * PER_VIDEO)] for number in range(PER_VIDEO)]


def main() -> None:
    """Write the sheet."""
    tiles = [tile for video in sorted((HERE.parent / "samples").glob("*.mp4")) for tile in frames(video)]
    high, wide = TILE
    sheet = Image.new("RGB", (wide * COLUMNS, high * -(-len(tiles) // COLUMNS)))
    for number, tile in enumerate(tiles):
        sheet.paste(Image.fromarray(tile), (number % COLUMNS * wide, number // COLUMNS * high))
    sheet.save(SHEET, quality=QUALITY)


if __name__ == "__main__":
    main()
