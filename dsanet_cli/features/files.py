"""Feature files: reading them, listing them, and bringing them to the length the head trains on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.errors import FeatureError
from dsanet_cli.files.regular import open_regular

LIST_HEADER = ["path", "label"]
_NAMED_MISSING = 5
"""Missing files that an error names."""

DEFAULT_FEATURE_FPS = Fraction(30)
"""Frames per second assumed for a feature file, which does not say (both data sets' usual rate)."""

MOST_SNIPPETS = 10_000_000
"""In one file; two months of video."""

FloatArray = NDArray[np.float32]


def load_features(path: Path, width: int) -> FloatArray:
    """Read one feature file: (N, ``width``) float32, one row a snippet.

    Raises:
        FeatureError: missing, not a numeric (N, ``width``) array, empty, too large, or not finite.
    """
    array = _opened(path)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        found = f"{str(array.dtype)[:40]!r} {array.shape}"
        raise FeatureError(f"{path}: expected floating-point features of shape (N, {width}), found {found}")
    if array.shape[1] != width:
        raise FeatureError(
            f"{path}: features are {array.shape[1]} wide, the model takes {width}; "
            "use a model trained on the same encoder"
        )
    if len(array) == 0:
        raise FeatureError(f"{path}: holds no snippets")
    if len(array) > MOST_SNIPPETS:
        raise FeatureError(f"{path}: holds {len(array)} snippets, more than {MOST_SNIPPETS}; cut the video into parts")
    features = np.array(array, np.float32)
    if not np.isfinite(features).all():
        raise FeatureError(f"{path}: holds values that are not finite; extract it again")
    return features


def count_snippets(path: Path) -> int:
    """Snippets in a feature file, read from its header.

    Raises:
        FeatureError: missing, or no feature file.
    """
    array = _opened(path)
    return array.shape[0] if array.ndim else 0


def _opened(path: Path) -> NDArray[Any]:
    try:
        return open_array(path)
    except FileNotFoundError as error:
        raise FeatureError(f"{path}: no such feature file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FeatureError(f"{path}: not a feature file ({reason}); extract it again") from error


def open_array(path: Path) -> NDArray[Any]:
    """The array in a ``.npy`` file, read from the disk as it is used.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        ValueError: it is no array, holds Python objects, or is shorter than its header says.
    """
    with open_regular(path):
        try:
            with np.errstate(over="raise"):
                array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError):
            raise
        except Exception as error:  # whatever Python's own parser raises at a header
            raise ValueError(f"damaged header, {type(error).__name__}") from error
    return array


def fit_length(features: FloatArray, length: int) -> tuple[FloatArray, int]:
    """Bring a video's features to ``length`` snippets as in training (protocol: length).

    Longer videos are cut into ``length`` parts at floor-spaced borders and each part is averaged, an empty
    part taking its first snippet; shorter ones are padded with zeros.

    Returns:
        (length, D) float32, and how many of its rows are the video's.
    """
    count, width = features.shape
    if count <= length:
        padded = np.zeros((length, width), dtype=np.float32)
        padded[:count] = features
        return padded, count
    borders = np.linspace(0, count, length + 1).astype(np.int64)
    sums = np.add.reduceat(features, borders[:-1], axis=0)
    return (sums / np.diff(borders)[:, None]).astype(np.float32), length
