"""Feature files: reading them, listing them, and bringing them to the length the head trains on."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.errors import FeatureError, SourceError

LIST_HEADER = ["path", "label"]
_NAMED_MISSING = 5
"""Missing files that an error names."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class ListedFeature:
    """One row of a feature list: a file and the video's label as the list writes it."""

    path: Path
    label: str


def read_list(path: Path, root: Path | None = None) -> list[ListedFeature]:
    """Read a list CSV (header ``path,label``; relative paths are relative to the list).

    Args:
        path: The list.
        root: Where the files lie on this machine, for lists that hold other machines' paths: each is found by
            the longest tail of its path that exists below ``root``.

    Raises:
        SourceError: the list is missing, is not such a CSV, or has no rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error})") from error
    if not rows or [cell.strip() for cell in rows[0]] != LIST_HEADER:
        raise SourceError(f"{path}: not a feature list; its first line must be {','.join(LIST_HEADER)}")
    listed = []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(LIST_HEADER):
            raise SourceError(f"{path}: line {number} has {len(row)} columns instead of {len(LIST_HEADER)}")
        file = path.parent / row[0] if root is None else find_by_tail(row[0], root)
        listed.append(ListedFeature(file, row[1].strip()))
    if not listed:
        raise SourceError(f"{path}: lists no feature files")
    return listed


def find_by_tail(path: str, root: Path) -> Path:
    """The file below ``root`` with the longest tail of ``path``; where none exists, the path it would have."""
    parts = [part for part in re.split(r"[/\\]", path) if part]
    candidates = [root.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((candidate for candidate in candidates if candidate.is_file()), root / path.lstrip("/\\"))


def require_files(
    listed: Sequence[ListedFeature], where: Path, skip_missing: bool = False
) -> tuple[list[ListedFeature], list[Path]]:
    """The rows of the list ``where`` whose files exist, and the files that do not.

    Raises:
        SourceError: all files are missing, or some are and ``skip_missing`` does not allow it.
    """
    missing = [row.path for row in listed if not row.path.is_file()]
    if missing and (not skip_missing or len(missing) == len(listed)):
        named = ", ".join(map(str, missing[:_NAMED_MISSING]))
        more = f" and {len(missing) - _NAMED_MISSING} more" if len(missing) > _NAMED_MISSING else ""
        raise SourceError(
            f"{where}: {len(missing)} of {len(listed)} feature files are missing: {named}{more}; name the folder "
            "that holds them with --root, or pass --skip-missing to go on without them"
        )
    gone = set(missing)
    return [row for row in listed if row.path not in gone], missing


def load_features(path: Path, width: int) -> FloatArray:
    """Read one feature file: (N, ``width``) float32, one row a snippet.

    Raises:
        FeatureError: missing, not a numeric (N, ``width``) array, empty, or not finite.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise FeatureError(f"{path}: no such feature file") from error
    except (OSError, ValueError, EOFError) as error:
        raise FeatureError(f"{path}: not a feature file ({error}); extract it again") from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise FeatureError(f"{path}: expected floating-point features of shape (N, {width}), found {found}")
    if array.shape[1] != width:
        raise FeatureError(
            f"{path}: features are {array.shape[1]} wide, the model takes {width}; "
            "use a model trained on the same encoder"
        )
    if len(array) == 0:
        raise FeatureError(f"{path}: holds no snippets")
    features = array.astype(np.float32)
    if not np.isfinite(features).all():
        raise FeatureError(f"{path}: holds values that are not finite; extract it again")
    return features


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
