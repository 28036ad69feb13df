"""Whether an encoder does as the exact one does: whoever computes in another way must show it first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.errors import UsageError

LEAST_COSINE = 0.99
"""Between a frame's features and the exact ones."""
FRAMES = 8
"""That are compared; the exact encoder is the slow one."""


def some_frames(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A few of (n, H, W, 3), evenly spread; black ones, with which batches are filled, where there are no others."""
    places = np.flatnonzero(frames.any(axis=(1, 2, 3)))
    if not len(places):
        places = np.arange(len(frames))
    few: NDArray[np.uint8] = frames[places[np.linspace(0, len(places) - 1, min(FRAMES, len(places))).astype(int)]]
    return few


def check_agreement(features: NDArray[np.float32], exact: NDArray[np.float32], precision: str, where: str) -> None:
    """Make sure that features (n, D) are near the exact ones, frame by frame.

    Args:
        features: To be checked.
        exact: Of the same frames, by torch in float32.
        precision: Of ``features``, for the message, as is the next.
        where: What the frames are of.

    Raises:
        UsageError: they are not, by the lowest cosine.
    """
    with np.errstate(all="ignore"):  # features that are none are seen below
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(exact, axis=1)
        cosines = np.nan_to_num((features * exact).sum(axis=1) / lengths, nan=0.0)
    mean, lowest = float(cosines.mean()), float(cosines.min())
    if lowest < LEAST_COSINE:
        raise UsageError(
            f"--precision {precision}: refused, since on {len(cosines)} frames of {where} its features have a mean "
            f"cosine of {mean:.4f}, the lowest {lowest:.4f}, to the exact ones, and {LEAST_COSINE} is asked for; "
            "use --precision bf16 or auto, on --device cpu"
        )
