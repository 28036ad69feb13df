"""The colours of classes and of their probabilities."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import NDArray

from dsanet_cli.plot_style import CLASS_COLORS, INK, NORMAL, PAPER

LEAST_RANGE = 0.05
"""Between the probabilities of the faintest and the fullest shade of the class bands."""


def class_colors(classes: int) -> list[str]:
    """Choose the colours of C classes: grey for the normal one, well apart for up to thirteen others."""
    others = classes - 1
    if others <= len(CLASS_COLORS):
        return [NORMAL, *CLASS_COLORS[:others]]
    return [NORMAL, *map(to_hex, matplotlib.colormaps["plasma"](np.linspace(0, 0.88, others)))]


def ink_on(color: str) -> str:
    """The colour of text that can be read on ``color``."""
    red, green, blue = to_rgb(color)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else PAPER


def tint(color: str, share: float) -> str:
    """Mix ``share`` of a colour into the white of the paper."""
    red, green, blue = (1 - share * (1 - channel) for channel in to_rgb(color))
    return to_hex((red, green, blue))


def band_shades(shares: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, float]:
    """How strongly probabilities are coloured, so that a picture shows their differences.

    A model with a high temperature gives all classes nearly the same probability; shades from 0 to 1 would all look
    alike. Differences that are no more than noise stay faint.

    Args:
        shares: (C, M) in 0..1, NaN where nothing is known.

    Returns:
        (C, M) in 0..1, 0 where nothing is known; and the probabilities of the faintest and of the fullest shade.
    """
    known = shares[np.isfinite(shares)]
    low = float(known.min(initial=1.0))
    high = max(float(known.max(initial=0.0)), low + LEAST_RANGE)
    return np.nan_to_num((shares - low) / (high - low)), low, high
