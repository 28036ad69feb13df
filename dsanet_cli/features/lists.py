"""The list CSV of extracted features, with labels from folder names or from a mapping file."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsanet_cli.errors import SourceError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.files.sources import VIDEO_SUFFIXES, Source
from dsanet_cli.files.typed import decode_text
from dsanet_cli.names import printable

LIST_HEADER = ["path", "label"]
GROUP_COLUMN = "group"
LARGEST_LIST = 2**30
"""Bytes."""
_NAMED_MISSING = 5
"""Missing files that an error names."""
_LabelGroup = tuple[str, str | None]
_FEATURE_ENDING = re.compile(r"(__[0-9])?\.npy$")


@dataclass(frozen=True)
class ListedFeature:
    """One row of a feature list: a file and the video's label as the list writes it."""

    path: Path
    label: str
    group: str | None = None
    """Camera or source, where the list says so."""


def read_list(path: Path, root: Path | None = None) -> list[ListedFeature]:
    """Read a list CSV (header ``path,label`` or ``path,label,group``; relative paths are relative to the list).

    Args:
        path: The list.
        root: Where the files lie on this machine, for lists that hold other machines' paths: each is found by
            the longest tail of its path that exists below ``root``.

    Raises:
        SourceError: the list is missing, is not such a CSV, or has no rows.
    """
    try:
        text = decode_text(read_regular(path, LARGEST_LIST))
        rows = [_cells(row) for row in csv.reader(io.StringIO(text), skipinitialspace=True)]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: not a feature list ({error}); give a CSV file") from error
    header = [cell.lower() for cell in rows[0]] if rows else []
    if header not in (LIST_HEADER, [*LIST_HEADER, GROUP_COLUMN]):
        expected = ",".join(LIST_HEADER)
        raise SourceError(f"{path}: not a feature list; its first line must be {expected} or {expected},{GROUP_COLUMN}")
    listed = []
    for number, row in enumerate(rows[1:], start=2):
        if row:
            listed.append(_listed(row, len(header), root, path, number))
    if not listed:
        raise SourceError(f"{path}: lists no feature files")
    return listed


def _cells(row: Sequence[str]) -> list[str]:
    """Without blanks around each, and without the empty ones that spreadsheets put at the end."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _listed(row: Sequence[str], columns: int, root: Path | None, where: Path, number: int) -> ListedFeature:
    """A row of the list ``where``, whose first row has so many columns."""
    if len(row) > columns:
        raise SourceError(f"{where}: line {number} has {len(row)} columns instead of {columns}")
    if not all(row[:2]) or len(row) < len(LIST_HEADER) or "\0" in row[0]:
        raise SourceError(f"{where}: line {number} is no {','.join(LIST_HEADER)}; name a feature file and its label")
    file = where.parent / row[0] if root is None else find_by_tail(row[0], root)
    return ListedFeature(file, *row[1:])


def find_by_tail(path: str, root: Path) -> Path:
    """The file below ``root`` with the longest tail of ``path``; where none exists, the path it would have."""
    parts = [part for part in re.split(r"[/\\]", path) if part]
    candidates = [root.joinpath(*parts[start:]) for start in range(len(parts))]
    return next((candidate for candidate in candidates if os.path.isfile(candidate)), root / path.lstrip("/\\"))


def require_files(
    listed: Sequence[ListedFeature], where: Path, skip_missing: bool = False
) -> tuple[list[ListedFeature], list[Path]]:
    """The rows of the list ``where`` whose files exist, and the files that do not.

    Raises:
        SourceError: all files are missing, or some are and ``skip_missing`` does not allow it.
    """
    missing = [row.path for row in listed if not os.path.isfile(row.path)]
    if missing and (not skip_missing or len(missing) == len(listed)):
        named = ", ".join(map(str, missing[:_NAMED_MISSING]))
        more = f" and {len(missing) - _NAMED_MISSING} more" if len(missing) > _NAMED_MISSING else ""
        raise SourceError(
            f"{where}: {len(missing)} of {len(listed)} feature files are missing: {named}{more}; name the folder "
            "that holds them with --root, or pass --skip-missing to go on without them"
        )
    gone = set(missing)
    return [row for row in listed if row.path not in gone], missing


class VideoLabels:
    """Labels and groups of videos: from a mapping; where there is none, folders' names are labels, without groups."""

    def __init__(self, mapping: Path | None) -> None:
        """Read the mapping: a CSV with the header ``path,label[,group]``, of videos or of their feature files.

        Raises:
            SourceError: the mapping is missing or no such CSV.
        """
        self._mapping = mapping
        self._by_path: dict[str, set[_LabelGroup]] = defaultdict(set)
        self._by_stem: dict[str, set[_LabelGroup]] = defaultdict(set)
        if mapping is not None:
            for row in read_list(mapping):
                written = _as_written(row.path, mapping.parent)
                name = _video_name(written)
                found = (row.label, row.group)
                self._by_path[os.path.abspath(row.path)].add(found)
                self._by_path[written].add(found)
                self._by_path[name].add(found)
                self._by_stem[name.rpartition("/")[2]].add(found)

    def of(self, source: Source) -> tuple[str, str | None]:
        """The label of a video, and its group where the mapping has one.

        A mapping's row is of this video if it leads to it from the mapping's folder, or has its path below the folder
        of sources, with its suffix or without, else if it has its name, whatever the suffix.

        Raises:
            SourceError: the mapping has no label for it, or several, or several groups.
        """
        if self._mapping is None:
            return Path(os.path.abspath(source.path)).parent.name, None
        stem = _video_name(source.path.name)
        folder = source.relative.parent
        below = ((folder / name).as_posix() for name in (source.path.name, stem))
        paths = (os.path.abspath(source.path), *below)
        rows = next((self._by_path[path] for path in paths if path in self._by_path), self._by_stem.get(stem))
        if not rows:
            raise SourceError(f"{source.path}: not listed, {self._mapping} has no label for it; add a row")
        if len(rows) > 1:
            labels = {label for label, _ in rows}
            kind = "labels" if len(labels) > 1 else "groups"
            found = ", ".join(sorted(labels if len(labels) > 1 else {str(group) for _, group in rows}))
            raise SourceError(
                f"{source.path}: not listed, {self._mapping} has several {kind} for it ({found}); "
                "write paths below the folder of videos there"
            )
        return next(iter(rows))


def write_list(path: Path, features: Iterable[ListedFeature]) -> None:
    """Write a list CSV as ``read_list`` reads it, paths relative to the list and with forward slashes.

    The group column is there where a feature file has a group. Names that a spreadsheet would take for formulas stay as
    they are: programs read the list, and find files by it.

    Raises:
        OutputError: the file cannot be written.
    """
    rows = list(features)
    grouped = any(row.group is not None for row in rows)
    with atomic_write(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*LIST_HEADER, GROUP_COLUMN] if grouped else LIST_HEADER)
        for row in rows:
            relative = os.path.relpath(row.path, path.parent)
            cells = [Path(relative).as_posix(), row.label]
            writer.writerow([*cells, row.group or ""] if grouped else cells)


def check_listable(path: Path) -> None:
    """Make sure that a list, which is UTF-8 text, can name ``path``.

    Raises:
        SourceError: it cannot.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"{printable(path)}: not listed, its name is not UTF-8; rename it") from error


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
