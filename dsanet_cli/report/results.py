"""Which results a command line names, and reading one with all that lies beside it."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from dsanet_cli.errors import DsanetError, OutputError, SourceError
from dsanet_cli.files.folders import Folder, open_folder
from dsanet_cli.files.regular import read_regular
from dsanet_cli.files.result_names import REVIEW, may_be_result
from dsanet_cli.files.typed import as_path, scheme_of
from dsanet_cli.timeline.files import LARGEST_RESULT, parse_timeline
from dsanet_cli.timeline.review import Review, parse_review
from dsanet_cli.timeline.thumbnails import LARGEST_THUMBNAILS, THUMBNAILS, read_thumbnails
from dsanet_cli.timeline.timeline import Timeline

_HEAD = 4096
"""Bytes in which a result's JSON says that it may be one."""


@dataclass(frozen=True)
class ResultFile:
    """A result's JSON file: ``name`` below the folder ``root``, a path or URL."""

    root: str
    name: PurePath

    def __str__(self) -> str:
        return f"{self.root}/{self.name.as_posix()}" if self.is_remote else os.path.join(self.root, self.name)

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL."""
        return scheme_of(self.root) is not None

    @property
    def folder(self) -> Folder:
        """What ``name`` is below of."""
        return open_folder(self.root)

    @property
    def stem(self) -> str:
        """Name of the files of this result, without what they end with."""
        return self.name.name.removesuffix(".json")

    def beside(self, ending: str) -> PurePath:
        """Name of another file of this result, below the root."""
        return self.name.with_name(f"{self.stem}.{ending}")


@dataclass(frozen=True)
class Result:
    """A result as it is read."""

    timeline: Timeline
    sha256: str
    """Of the JSON file (hex)."""
    thumbnails: dict[float, bytes]
    """JPEG files by the middle of their snippets in seconds."""
    review: Review | None


def find_results(arguments: Sequence[str]) -> Iterator[ResultFile | DsanetError]:
    """The results that arguments name: JSON files, folders and URLs of folders with all they hold, and patterns."""
    for typed in arguments:
        argument = typed if scheme_of(typed) not in (None, "file") else as_path(typed)
        if scheme_of(argument) or os.path.isdir(argument):
            yield from _in_folder(argument)
        elif os.path.exists(argument):
            yield _file(argument)
        elif matches := sorted(
            path for path in glob.glob(argument, recursive=True) if may_be_result(os.path.basename(path))
        ):
            yield from map(_file, matches)
        else:
            yield SourceError(f"{argument}: no such file; name results of detect (.json), or a folder of them")


def _file(path: str) -> ResultFile | DsanetError:
    if not path.endswith(".json"):
        return SourceError(f"{path}: no result of detect; name its JSON file, or the folder that it lies in")
    return ResultFile(os.path.dirname(path) or os.curdir, PurePath(os.path.basename(path)))


def _in_folder(root: str) -> Iterator[ResultFile | DsanetError]:
    folder = open_folder(root)
    try:
        names = sorted(name for name in folder.names() if may_be_result(name.name))
        found = [
            ResultFile(root.rstrip("/") or root, name)
            for name in names
            if b'"schema"' in folder.read_ends(name, _HEAD)[0]
        ]
    except OutputError as error:
        yield error
        return
    if found:
        yield from found
    else:
        yield SourceError(f"{root}: no results in it; name the folder that detect wrote (its -o)")


def read_result(file: ResultFile) -> Result:
    """Read a result, and the pictures and the review beside it.

    Raises:
        OutputError: it, or the review beside it, is damaged.
    """
    content = _read(file, file.name, LARGEST_RESULT)
    timeline = parse_timeline(content, str(file))
    folder = file.folder
    pictures = file.beside(THUMBNAILS)
    thumbnails = read_thumbnails(_read(file, pictures, LARGEST_THUMBNAILS)) if folder.exists(pictures) else {}
    said = file.beside(REVIEW)
    review = parse_review(_read(file, said, LARGEST_RESULT), f"{folder}{said}") if folder.exists(said) else None
    return Result(timeline, hashlib.sha256(content).hexdigest(), thumbnails, review)


def _read(file: ResultFile, name: PurePath, limit: int) -> bytes:
    if file.is_remote:
        return file.folder.read(name)
    path = os.path.join(file.root, name)
    try:
        return read_regular(path, limit)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror or error})") from error
