"""The list CSV of extracted features, with labels from folder names or from a mapping file."""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from dsanet_cli.errors import SourceError
from dsanet_cli.features import LIST_HEADER, ListedFeature, read_list
from dsanet_cli.files import atomic_write
from dsanet_cli.names import shown
from dsanet_cli.sources import VIDEO_SUFFIXES, Source

_FEATURE_ENDING = re.compile(r"(__[0-9])?\.npy$")


class VideoLabels:
    """Labels of videos: from a mapping, or the names of the folders they lie in where there is none."""

    def __init__(self, mapping: Path | None) -> None:
        """Read the mapping: a CSV with the header ``path,label``, of videos or of their feature files.

        Raises:
            SourceError: the mapping is missing or no such CSV.
        """
        self._mapping = mapping
        self._by_path: dict[str, set[str]] = defaultdict(set)
        self._by_stem: dict[str, set[str]] = defaultdict(set)
        if mapping is not None:
            for row in read_list(mapping):
                written = _as_written(row.path, mapping.parent)
                name = _video_name(written)
                self._by_path[written].add(row.label)
                self._by_path[name].add(row.label)
                self._by_stem[name.rpartition("/")[2]].add(row.label)

    def of(self, source: Source) -> str:
        """The label of a video.

        A mapping's row is of this video if it has its path below the folder of sources, with its suffix or
        without, else if it has its name, whatever the suffix.

        Raises:
            SourceError: the mapping has no label for it, or several.
        """
        if self._mapping is None:
            return Path(os.path.abspath(source.path)).parent.name
        stem = _video_name(source.path.name)
        folder = source.relative.parent
        paths = ((folder / name).as_posix() for name in (source.path.name, stem))
        labels = next((self._by_path[path] for path in paths if path in self._by_path), self._by_stem.get(stem))
        if not labels:
            raise SourceError(f"{source.path}: not listed, {self._mapping} has no label for it; add a row")
        if len(labels) > 1:
            found = ", ".join(sorted(labels))
            raise SourceError(
                f"{source.path}: not listed, {self._mapping} has several labels for it ({found}); "
                "write paths below the folder of videos there"
            )
        return next(iter(labels))


def write_list(path: Path, features: Iterable[ListedFeature]) -> None:
    """Write a list CSV as ``read_list`` reads it, paths relative to the list and with forward slashes.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(LIST_HEADER)
        for feature in features:
            relative = os.path.relpath(feature.path, path.parent)
            writer.writerow([Path(relative).as_posix(), feature.label])


def check_listable(path: Path) -> None:
    """Make sure that a list, which is UTF-8 text, can name ``path``.

    Raises:
        SourceError: it cannot.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{shown(path)}: not listed, its name is not UTF-8; rename it") from error


def _as_written(path: Path, folder: Path) -> str:
    """The path of a mapping's row, which ``read_list`` has put below the ``folder`` of the mapping."""
    written = path.relative_to(folder) if path.is_relative_to(folder) else path
    return written.as_posix().replace("\\", "/")


def _video_name(path: str) -> str:
    """A path with forward slashes, without the suffix of a video or the ending of a feature file.

    Other dots are part of the name: XD-Violence has many.
    """
    if ending := _FEATURE_ENDING.search(path):
        return path[: ending.start()]
    stem, suffix = os.path.splitext(path)
    return stem if suffix.lower() in VIDEO_SUFFIXES else path
