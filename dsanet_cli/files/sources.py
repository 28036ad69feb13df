"""What the command line names, as a list of files to analyse and the names of their results."""

from __future__ import annotations

import glob
import io
import itertools
import os
import re
import stat
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TextIO

from dsanet_cli.errors import SourceError
from dsanet_cli.files.paths import DEFAULT_PICTURE_FPS, PICTURE_SUFFIXES, Pictures, Url
from dsanet_cli.files.result_names import is_made_film, is_made_folder, is_plot, result_names
from dsanet_cli.files.typed import NotTextError, as_path, read_lines, scheme_of
from dsanet_cli.files.url_sources import url_names, why_no_source
from dsanet_cli.names import natural_key, printable

FEATURE_SUFFIX = ".npy"
_SUFFIXES = """
.264 .265 .3g2 .3gp .asf .avi .dav .divx .dv .f4v .flv .h264 .h265 .hevc .m2ts .m2v .m4v .mkv .mov .mp4 .mpeg .mpg
.mts .mxf .ogv .rm .rmvb .ts .vob .webm .wmv
"""
VIDEO_SUFFIXES = frozenset(_SUFFIXES.split())
"""What is taken from folders; a file named itself may have any suffix."""
LIST_PREFIX = "@"
STDIN = "-"
RECURSIVE_IN_VAIN = "--recursive has no effect, no folder is named"


class SourceProblem(SourceError):
    """One argument, or one entry of a list or folder, that yields nothing to analyse."""

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(f"{printable(argument)}: {reason}")
        self.argument = argument


@dataclass(frozen=True)
class Source:
    """A file to analyse.

    ``relative`` is where its results go below the output folder, without their suffix; no two sources of a
    listing share it. It mirrors the tree below the deepest folder that holds all arguments: ``detect a b``
    gives ``a/clip`` and ``b/clip``, ``detect a`` gives ``clip``; see ``result_names``.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class Listing:
    """All that the arguments name: files to analyse, and what could not be found, both in order."""

    sources: tuple[Source, ...]
    problems: tuple[SourceProblem, ...]

    def shard(self, number: int, count: int) -> Listing:
        """The ``number``-th (from 1) of ``count`` parts of equal length; all parts together are the whole."""
        return Listing(self.sources[number - 1 :: count], self.problems[number - 1 :: count])


def is_feature_file(path: Path) -> bool:
    """Whether a source holds features rather than pictures."""
    return path.suffix.lower() == FEATURE_SUFFIX


def may_be_folder(argument: str) -> bool:
    """Whether what the command line names is a folder, or can name one."""
    return argument == STDIN or argument.startswith(LIST_PREFIX) or glob.has_magic(argument) or os.path.isdir(argument)


def find_results(
    arguments: Sequence[str], recursive: bool, stdin: TextIO | None, is_result: Callable[[str], bool]
) -> Listing:
    """List the results that the command line names, as ``find_sources`` lists videos.

    ``is_result`` says which files in folders are taken, by their names; what is in them shows when they are read.
    """
    listing = _find(_Finder(recursive, DEFAULT_PICTURE_FPS, "results", is_result), arguments, stdin)
    local = tuple(source for source in listing.sources if not isinstance(source.path, Url))
    remote = (str(source.path) for source in listing.sources if isinstance(source.path, Url))
    problems = (SourceProblem(url, "results are read from this machine only; copy it here") for url in remote)
    return Listing(local, (*listing.problems, *problems))


def find_sources(
    arguments: Sequence[str], recursive: bool, stdin: TextIO | None, picture_fps: Fraction = DEFAULT_PICTURE_FPS
) -> Listing:
    """List the files that the command line names, each once.

    Args:
        arguments: Files, folders, patterns (``*``, ``?``, ``[]``, ``**`` for any depth), ``@FILE`` for a
            list with one of these per line (``#`` starts a comment line; relative to the list's folder),
            ``-`` for such a list on ``stdin`` (relative to the current folder). A file whose name is the
            pattern itself comes before what the pattern matches. Paths may be pasted in quotes, as
            ``file://…`` or with ``~``. URLs name one video each. Of an argument that names no video but
            pictures, those of each folder are one video; so are several pictures of one folder.
        recursive: Take whole trees, not only what lies directly in a folder. Hidden files and folders are
            left out; links to folders are followed, but no folder is read twice.
        stdin: Where ``-`` reads from; None where the program was started without it.
        picture_fps: How many pictures make a second.
    """
    return _find(_Finder(recursive, picture_fps), arguments, stdin)


def _find(finder: _Finder, arguments: Sequence[str], stdin: TextIO | None) -> Listing:
    for argument in arguments:
        if argument == STDIN:
            finder.add_stdin(stdin)
        elif argument.startswith(LIST_PREFIX):
            finder.add_list_file(argument, Path(as_path(argument.removeprefix(LIST_PREFIX))))
        else:
            finder.add(argument, Path())
    return finder.listing()


class _Finder:
    """Collects files, the folders they were named from, and problems."""

    def __init__(
        self, recursive: bool, picture_fps: Fraction, what: str = "videos", wanted: Callable[[str], bool] | None = None
    ) -> None:
        self._recursive = recursive
        self._what = what
        self._wanted = wanted or _is_known
        """Whether a file in a folder is taken, by its name."""
        self._takes_pictures = wanted is None
        self._picture_fps = picture_fps
        self._files: dict[str, Path] = {}  # by absolute path
        self._urls: dict[str, Url] = {}
        self._single: dict[str, Path] = {}  # pictures that were named themselves, by absolute path
        self._missing: set[str] = set()  # absolute paths of files that were named but are not there
        self._roots: set[str] = set()
        self._problems: dict[str, SourceProblem] = {}

    def listing(self) -> Listing:
        self._add_single_pictures()
        names = result_names(self._files.keys() | self._missing, self._roots)
        sources = [Source(path, names[key]) for key, path in self._files.items()]
        remote = url_names(self._urls, below_hosts=bool(names))
        sources += [Source(path, remote[url]) for url, path in self._urls.items()]
        return Listing(tuple(sources), tuple(self._problems.values()))

    def add(self, argument: str, folder: Path) -> None:
        """Add a file, folder or pattern; a relative one starts from ``folder``."""
        argument = as_path(argument, folder)
        path = folder / argument
        try:
            if scheme := scheme_of(argument):
                self._add_url(argument, scheme)
            elif not argument or "\0" in argument:
                self._report(argument, "not a path; name a video, a folder or a pattern")
            elif path.is_dir():
                self._add_folder(path)
            elif path.exists():
                self._add_file(path)
            elif glob.has_magic(argument):
                self._add_pattern(Path(argument), folder)
            else:
                self._add_missing(path)
        except OSError as error:
            self._report(str(path), f"cannot be reached ({error.strerror}); check its permissions and the disk")

    def add_list_file(self, argument: str, path: Path) -> None:
        """Add what a text file lists."""
        try:
            with path.open("rb") as stream:
                self._add_list(argument, stream, path.parent)
        except FileNotFoundError:
            self._report(argument, f"there is no list {printable(path)}; check the name")
        except OSError as error:
            self._report(argument, f"the list cannot be read ({error.strerror}); check its name and permissions")

    def add_stdin(self, stdin: TextIO | None) -> None:
        """Add what is listed on stdin, relative to the current folder."""
        try:
            self._add_list(STDIN, stdin or io.StringIO(), Path())
        except OSError as error:
            self._report(STDIN, f"the list on stdin cannot be read ({error.strerror}); name it with @FILE")

    def _add_list(self, argument: str, stream: TextIO | IO[bytes], folder: Path) -> None:
        """Add what each line names, but for comments and blank lines."""
        try:
            entries = [line.strip() for line in read_lines(stream)]
        except NotTextError:
            self._report(argument, "not a text file; bring a list with one path per line")
            return
        named = [entry for entry in entries if entry and not entry.startswith("#")]
        for entry in named:
            self.add(entry, folder)
        if not named:
            self._report(argument, "the list is empty; write one path per line")

    def _add_file(self, path: Path) -> None:
        key = os.path.abspath(path)
        if self._takes_pictures and _is_picture(path.name):
            self._single[key] = path
            return
        self._files.setdefault(key, path)
        self._roots.add(os.path.dirname(key))

    def _add_url(self, argument: str, scheme: str) -> None:
        fault = why_no_source(argument, scheme)
        if fault is None:
            self._urls.setdefault(argument, Url.of(argument))
        else:
            self._report(argument, fault)

    def _add_missing(self, path: Path) -> None:
        key = os.path.abspath(path)
        self._missing.add(key)
        self._roots.add(os.path.dirname(key))
        self._report(str(path), "no such file or folder; check the name")

    def _add_folder(self, folder: Path) -> None:
        self._roots.add(os.path.abspath(folder))
        before = len(self._problems)
        found = self._take_from(folder) or self._take_pictures(self._walk(folder, _is_picture))
        if not found and len(self._problems) == before:
            hint = "name another folder" if self._recursive else "add --recursive to look into its sub-folders"
            self._report(str(folder), f"holds no {self._what}; {hint}")

    def _add_pattern(self, pattern: Path, folder: Path) -> None:
        fixed = list(itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
        rest = pattern.parts[len(fixed) :]
        root = folder.joinpath(*fixed)
        self._roots.add(os.path.abspath(root))
        names_suffix = bool(pattern.suffix) and not glob.has_magic(pattern.suffix)
        found, pictures = False, list[Path]()
        try:
            matches = list(root.glob(os.path.join(*rest)))  # unlike glob.glob, follows no links in a loop
        except ValueError as error:  # "**" within a name
            self._report(str(folder / pattern), f"not a pattern ({error}); see dsanet detect --help")
            return
        for match in sorted(matches, key=lambda path: natural_key(str(path))):
            if _is_hidden(match.relative_to(root)) and not any(part.startswith(".") for part in rest):
                continue
            if match.is_dir():
                found |= self._take_from(match)
                pictures += self._walk(match, _is_picture)
            elif _is_picture(match.name):
                pictures.append(match)
            elif (names_suffix or self._wanted(match.name)) and not _is_made(match, root):
                self._files.setdefault(os.path.abspath(match), match)
                found = True
        if not found and not self._take_pictures(pictures, pattern.name):
            self._report(str(folder / pattern), f"matches no {self._what}; check the pattern")

    def _add_single_pictures(self) -> None:
        """Pictures that were named one by one, as where a shell put them in place of a pattern: one video a folder."""
        for folder, names in _by_folder(self._single.values()).items():
            if len(names) > 1:
                suffixes = {name.suffix for name in names}
                self._take_pictures(names, f"*{suffixes.pop()}" if len(suffixes) == 1 else "*")
            else:
                self._report(str(names[0]), f"a picture, not a video; name all of them, or their folder: {folder}")

    def _take_pictures(self, files: Iterable[Path], pattern: str | None = None) -> bool:
        """Add the pictures of each folder as one video, called by the ``pattern`` that named them, if there are any."""
        found = False
        if not self._takes_pictures:
            return False
        for folder, names in _by_folder(file for file in files if not is_plot(file)).items():
            common = re.sub(r"\[.*?\]|[*?]", "", os.path.splitext(pattern or "")[0]).strip(" _-.")
            key = os.path.join(os.path.abspath(folder), common) if common else os.path.abspath(folder)
            called = str(folder) if pattern is None else str(folder / pattern)
            self._files.setdefault(key, Pictures.of(called, names, self._picture_fps))
            self._roots.add(os.path.dirname(key))
            found = True
        return found

    def _take_from(self, folder: Path) -> bool:
        """Add the videos in a folder, or in the tree below it; whether there were any."""
        found = False
        for path in self._walk(folder, self._wanted):
            self._files.setdefault(os.path.abspath(path), path)
            found = True
        return found

    def _walk(self, top: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
        seen: set[tuple[int, int]] = set()
        waiting, links = [top], deque[Path]()
        while waiting or links:
            # Links last: a folder that can be reached both ways goes by its own name.
            folder = waiting.pop() if waiting else links.popleft()
            try:
                status = folder.stat()
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as scan:
                    entries = sorted(scan, key=lambda entry: natural_key(entry.name))
            except OSError as error:
                self._report(str(folder), f"the folder cannot be read ({error.strerror}); check its permissions")
                continue
            folders: list[Path] = []
            for entry in entries:
                path = folder / entry.name
                if _is_marked_hidden(entry):
                    continue
                if entry.is_symlink() and not os.path.exists(path):
                    if wanted(entry.name):
                        self._report(str(path), "a link to a file that is gone; remove it or bring the file back")
                elif entry.is_dir():
                    if is_made_folder(path):
                        continue
                    (links if entry.is_symlink() else folders).append(path)
                elif entry.is_file() and wanted(entry.name) and not is_made_film(path):
                    yield path
            if self._recursive:
                waiting += reversed(folders)
            else:
                links.clear()

    def _report(self, argument: str, reason: str) -> None:
        self._problems.setdefault(argument, SourceProblem(argument, reason))


def _is_made(path: Path, root: Path) -> bool:
    """Whether a file below ``root`` is a result; a folder that was itself named is none."""
    return is_made_film(path) or (path.parent != root and is_made_folder(path.parent))


def _is_known(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    return suffix in VIDEO_SUFFIXES or suffix == FEATURE_SUFFIX


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def _by_folder(files: Iterable[Path]) -> dict[Path, list[Path]]:
    """Files in natural order, each once, by the folder they lie in."""
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    for file in sorted(set(files), key=lambda path: natural_key(str(path))):
        found[file.parent].append(file)
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_marked_hidden(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is hidden: by a dot, or as Windows marks recycle bins and folders of its own."""
    if sys.platform == "win32" and entry.stat(follow_symlinks=False).st_file_attributes & stat.FILE_ATTRIBUTE_HIDDEN:
        return True
    return entry.name.startswith(".")
