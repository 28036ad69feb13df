"""Sources that are no plain files, as paths: what is behind a URL, and many pictures that are one video.

They go wherever the path of a video goes. What the program asks of a path (its text, name, size, age) is answered for
the source as a whole; only who opens it has to know which kind it is.
"""

from __future__ import annotations

import contextlib
import email.utils
import errno
import os
import stat
import urllib.parse
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # before Python 3.12, only the system's own kind of path can be derived from

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
LONGEST_TAG = 200
"""Characters."""
DEFAULT_PICTURE_FPS = Fraction(30)
"""Frames per second of pictures where nobody says; the rate of UCF-Crime's videos."""


class CalledPath(_Path):
    """A path that is called otherwise than it is written; a path derived from it is a plain one."""

    text: str | None = None
    tag: str | None = None
    """A mark of the version of what ``stat`` was last asked for, where there is one."""

    def __str__(self) -> str:
        return super().__str__() if self.text is None else self.text

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Url(CalledPath):
    """A file behind a URL that fsspec opens. Its parts are the host and the folders, without any query."""

    @classmethod
    def of(cls, text: str) -> Url:
        """The path of a URL."""
        parts = urllib.parse.urlsplit(text)
        path = cls(f"/{parts.netloc}/{urllib.parse.unquote(parts.path)}".replace("\0", ""))
        path.text = text
        return path

    def __reduce__(self) -> tuple[Any, ...]:
        return Url.of, (str(self),)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002  (as any path's)
        """Size and age, as far as the server tells; an unknown age is 0. ``tag`` is its ETag, if it gives one.

        Raises:
            OSError: it cannot be reached.
        """
        system, place = self._system()
        with _as_os_error():
            facts = system.info(place)
            size = int(facts.get("size") or 0)
        tag = str(facts.get("ETag") or "")
        self.tag = tag if tag.isprintable() and 0 < len(tag) <= LONGEST_TAG else None
        try:
            changed = system.modified(place).timestamp()
        except Exception:  # NotImplementedError, and whatever a service raises
            changed = _http_time(str(facts.get("Last-Modified", "")))
        return made_status(size, round(changed * 1e9))

    def open_seekable(self) -> IO[bytes]:
        """Open it for reading from any place.

        Raises:
            OSError: it cannot be reached, or not be read from any place.
        """
        system, place = self._system()
        with _as_os_error():
            stream: IO[bytes] = system.open(place, "rb")
        try:
            stream.seek(-1, os.SEEK_END)
            found = stream.read(1)
            stream.seek(0)
        except (OSError, ValueError) as error:
            raise OSError(errno.ESPIPE, "the server sends it as a whole only, not from any place in it") from error
        if not found:
            raise OSError(errno.ENODATA, "it is empty")
        return stream

    def _system(self) -> tuple[Any, str]:
        import fsspec  # noqa: PLC0415  (slow, and only for URLs)

        with _as_os_error():
            system, place = fsspec.core.url_to_fs(str(self))
        return system, place


class Pictures(CalledPath):
    """Pictures that are the frames of one video, in order; ``fps`` of them a second."""

    files: tuple[Path, ...] = ()
    fps: Fraction = DEFAULT_PICTURE_FPS

    @classmethod
    def of(cls, name: str, files: Iterable[Path], fps: Fraction) -> Pictures:
        """Pictures that are called ``name`` together, a folder or a pattern."""
        path = cls(name)
        path.text, path.files, path.fps = name, tuple(files), fps
        return path

    def __reduce__(self) -> tuple[Any, ...]:
        return Pictures.of, (str(self), self.files, self.fps)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Their size together, and the age of the newest.

        Raises:
            OSError: one of them cannot be read.
        """
        found = [file.stat(follow_symlinks=follow_symlinks) for file in self.files]
        return made_status(sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0))


def take_paths(settings: object, *names: str) -> None:
    """Let fields of a frozen dataclass that are paths be given as any kind of path, or as text; None stays."""
    for name in names:
        if (given := getattr(settings, name)) is not None:
            object.__setattr__(settings, name, Path(given))


def as_texts(given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """One path, or several, as texts."""
    several = [given] if isinstance(given, str | os.PathLike) else given
    return tuple(os.fspath(one) for one in several)


def tag_of(path: Path) -> str | None:
    """The mark of the version of a source, as its ``stat`` last found it; None where there is none."""
    return path.tag if isinstance(path, CalledPath) else None


def _http_time(text: str) -> float:
    """Seconds since the epoch of a time as HTTP writes it; 0 where it is none."""
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def made_status(size: int, changed_ns: int) -> os.stat_result:
    """What ``stat`` says of a file of ``size`` bytes that was changed so many nanoseconds after 1970."""
    changed = changed_ns / 1e9
    fields = (stat.S_IFREG, 0, 0, 1, 0, 0, size, changed, changed, changed)
    return os.stat_result(fields, {"st_mtime_ns": changed_ns})


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Which errors a service raises is its own affair; here they are what files raise."""
    try:
        yield
    except Exception as error:
        origin: BaseException = error
        while origin.__cause__ is not None:  # a host that cannot be reached is called a missing file at first
            origin = origin.__cause__
        if isinstance(origin, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "there is no such file") from error
        reason = " ".join(str(origin).split()) or type(origin).__name__
        raise OSError(errno.EIO, reason) from error
