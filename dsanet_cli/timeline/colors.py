"""The colours of classes and of their probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.plot_style import CLASS_COLORS, INK, NORMAL, PAPER

LEAST_RANGE = 0.05
"""Between the probabilities of the faintest and the fullest shade of the class bands."""
DARKEST_ON_DARK = 0.42
"""Brightness, in 0..1, of the darkest colour that stands out on a dark ground."""


def class_colors(classes: int) -> list[str]:
    """Choose the colours of C classes: grey for the normal one, well apart for up to thirteen others."""
    others = classes - 1
    if others <= len(CLASS_COLORS):
        return [NORMAL, *CLASS_COLORS[:others]]
    from matplotlib import colormaps  # noqa: PLC0415  (pages do without it, where there are few classes)
    from matplotlib.colors import to_hex  # noqa: PLC0415

    return [NORMAL, *map(to_hex, colormaps["plasma"](np.linspace(0, 0.88, others)))]


def ink_on(color: str) -> str:
    """The colour of text that can be read on ``color``."""
    return INK if _brightness(color) > 0.5 else PAPER


def tint(color: str, share: float) -> str:
    """Mix ``share`` of a colour into the white of the paper."""
    return _hex([1 - share * (1 - channel) for channel in _channels(color)])


def on_dark(color: str) -> str:
    """A colour, lighter where it would be lost on a dark ground."""
    share = 1.0
    while _brightness(mixed := tint(color, share)) < DARKEST_ON_DARK:
        share -= 0.02
    return mixed


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


def _channels(color: str) -> list[float]:
    """Red, green and blue of ``#rrggbb``, each in 0..1."""
    return [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]


def _hex(channels: list[float]) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def _brightness(color: str) -> float:
    red, green, blue = _channels(color)
    return 0.299 * red + 0.587 * green + 0.114 * blue
