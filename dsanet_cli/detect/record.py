"""The record of a result, its JSON file, read only as far as it is needed: a folder may hold thousands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from dsanet_cli.files.folders import Folder
from dsanet_cli.files.paths import tag_of
from dsanet_cli.files.typed import scheme_of
from dsanet_cli.records import SchemaError, decode
from dsanet_cli.timeline.files import parse_timeline
from dsanet_cli.timeline.timeline import Timeline

T = TypeVar("T")

ENDS = 2**15
"""Bytes at both ends of a record; what lies between are snippets, unless there are very many events or holes."""
SAMPLE = 2**16
"""Bytes at both ends of two videos that are compared."""
SAME_TIME = 1e-3
"""Seconds between two times that are the same."""
COARSE_TIME = 2.0
"""Seconds that a time in whole seconds may be off: archives and the file systems of memory cards keep no more."""
_VIDEO_LINE = re.compile(rb'^ *"video": *(\{.*\}),?\r?$', re.MULTILINE)
_SNIPPETS, _EVENTS = b'\n  "snippets": [\n', b'\n  ],\n  "events": ['


def read_abridged(folder: Folder, name: PurePath) -> Timeline:
    """The timeline in a record; where that is long, with its first and last snippet only.

    Raises:
        OutputError: it is not whole, or no record.
    """
    return parse_timeline(_content(folder, name), str(name))


def read_part(folder: Folder, name: PurePath, cls: type[T]) -> T | None:
    """Those entries of a record that the dataclass ``cls`` has; None where it is no record.

    Raises:
        OutputError: there is no such file.
    """
    try:
        return decode(cls, _content(folder, name))
    except SchemaError:
        return None


def _content(folder: Folder, name: PurePath) -> bytes:
    head, tail = folder.read_ends(name, ENDS)
    return head if len(head) < ENDS else _abridge(head, tail) or folder.read(name)


def _abridge(head: bytes, tail: bytes) -> bytes | None:
    """A whole record from its two ends; None where they do not reach to the snippets.

    ::

    head  {"schema": … "snippets": [ first, se
    tail              ous, last ], "events": … }
    """
    before, opened, snippets = head.partition(_SNIPPETS)
    rest, closed, after = tail.rpartition(_EVENTS)
    first, cut_off, _ = snippets.partition(b"\n")
    _, complete, last = rest.rpartition(b"\n")
    if opened and closed and cut_off and complete and first.endswith(b","):
        return before + opened + first + b"\n" + last + closed + after
    return None


def location(path: str | Path) -> str:
    """Where a video is, without links and whatever folder one is in; a URL says that itself."""
    return str(path) if scheme_of(str(path)) else os.path.realpath(path)


@dataclass(frozen=True)
class Owner:
    """The video that a result belongs to."""

    path: str
    """As it was given to the run that wrote the result."""
    real_path: str
    size: int | None
    """Bytes."""
    mtime: float | None
    """Seconds since the epoch."""
    etag: str | None = None
    """The server's mark of its version."""

    @classmethod
    def of(cls, video: Mapping[str, Any]) -> Owner | None:
        """The owner that the entry ``video`` of a record names; None where it does not."""
        path, real_path, size, mtime, etag = (video.get(key) for key in ("path", "real_path", "bytes", "mtime", "etag"))
        if not isinstance(path, str) or "\0" in path:
            return None
        return cls(
            path,
            real_path if isinstance(real_path, str) and "\0" not in real_path else location(path),
            size if isinstance(size, int) else None,
            float(mtime) if isinstance(mtime, int | float) else None,
            etag if isinstance(etag, str) else None,
        )

    def is_unchanged(self, path: Path, status: os.stat_result) -> bool:
        """Whether the file at ``path``, which has this ``status``, is the version that was analysed, by all signs."""
        if self.etag != tag_of(path):
            return False
        return self.size == status.st_size and self.mtime is not None and _same_time(self.mtime, status.st_mtime)

    def is_at(self, path: Path) -> bool:
        """Whether ``path`` leads to where the video was, however it is written."""
        try:
            return os.path.samefile(self.real_path, path)
        except (OSError, ValueError):  # it is not there any more
            return os.path.normcase(self.real_path) == os.path.normcase(location(path))

    def is_moved_to(self, path: Path, status: os.stat_result) -> bool:
        """Whether the file at ``path`` is the video, at another place.

        Recorders write files of equal size at equal times, so where both files are there their contents have to agree.
        """
        if not self.is_unchanged(path, status):
            return False
        try:
            return not os.path.isfile(self.real_path) or _sample(Path(self.real_path)) == _sample(path)
        except OSError:
            return False


def read_owner(folder: Folder, name: PurePath) -> Owner | None:
    """Which video a record belongs to, even where it is damaged; None where the file is no record.

    Raises:
        OutputError: there is no such file.
    """
    head, _ = folder.read_ends(name, ENDS)
    found = _VIDEO_LINE.search(head)
    try:  # formatted by another program, there is no such line
        video = json.loads(found[1] if found else _content(folder, name))
    except (ValueError, RecursionError):
        return None
    if not found:
        video = video.get("video") if isinstance(video, dict) else None
    return Owner.of(video) if isinstance(video, dict) else None


def _same_time(noted: float, found: float) -> bool:
    return abs(noted - found) < (COARSE_TIME if found.is_integer() else SAME_TIME)


def _sample(path: Path) -> bytes:
    with path.open("rb") as stream:
        head = stream.read(SAMPLE)
        stream.seek(max(0, path.stat().st_size - SAMPLE))
        return head + stream.read(SAMPLE)
