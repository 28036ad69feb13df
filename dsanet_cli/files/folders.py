"""Where results go: a folder of this machine, or one that fsspec reaches by a URL such as ``s3://bucket/results``."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO, Any, Literal, Protocol

from filelock import FileLock, Timeout

from dsanet_cli.errors import OutputError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import open_regular, read_regular

_SCHEME = "://"
LARGEST_FILE = 2**31
"""Bytes; a result of a month of video."""
LOCK_FILE = ".dsanet.lock"
LOCK_PATIENCE = 60.0
"""Seconds."""


class Folder(Protocol):
    """A folder of results; names are relative to it. ``str()`` is what a person calls it, with a separator at its end.

    What is written appears whole or not at all; folders within it are made as they are needed.
    """

    def write(self, name: PurePath, mode: Literal["w", "wb"]) -> contextlib.AbstractContextManager[IO[Any]]:
        """Open a stream, UTF-8 or binary, that becomes the file ``name`` when the block ends without an error.

        Raises:
            OutputError: it cannot be written.
        """

    def read(self, name: PurePath) -> bytes:
        """All of a file.

        Raises:
            OutputError: it cannot be read.
        """

    def read_ends(self, name: PurePath, length: int) -> tuple[bytes, bytes]:
        """The first and the last ``length`` bytes of a file; they overlap where it is shorter than both.

        Raises:
            OutputError: it cannot be read.
        """

    def names(self) -> list[PurePath]:
        """All files, those in folders within it too; none where the folder does not exist yet.

        Raises:
            OutputError: the folder cannot be listed.
        """

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keep other runs that share the folder waiting for a moment, where its file system has a way to."""

    def exists(self, name: PurePath) -> bool:
        """Whether there is such a file.

        Raises:
            OutputError: nobody knows.
        """

    def modified(self, name: PurePath) -> float:
        """When a file was written, in seconds since the epoch.

        Raises:
            OutputError: nobody knows, or there is none.
        """

    def remove(self, name: PurePath) -> None:
        """Delete a file.

        Raises:
            OutputError: it cannot be deleted.
        """


def open_folder(place: str) -> Folder:
    """The folder at a path or URL; it need not exist.

    Raises:
        OutputError: a URL of a kind that nothing installed here can open.
    """
    return RemoteFolder(place) if _SCHEME in place else LocalFolder(Path(place))


def absolute(place: str) -> str:
    """A path or URL that means the same in every folder."""
    return place if _SCHEME in place else os.path.abspath(place)


class LocalFolder:
    """A folder of this machine's file systems."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}{os.sep}"

    def write(self, name: PurePath, mode: Literal["w", "wb"]) -> contextlib.AbstractContextManager[IO[Any]]:
        """See ``Folder``."""
        return atomic_write(self.path / name, mode)

    def read(self, name: PurePath) -> bytes:
        """See ``Folder``."""
        try:
            return read_regular(self.path / name, LARGEST_FILE)
        except OSError as error:
            raise OutputError(f"{self.path / name}: cannot be read ({error.strerror})") from error

    def read_ends(self, name: PurePath, length: int) -> tuple[bytes, bytes]:
        """See ``Folder``."""
        try:
            with open_regular(self.path / name) as stream:
                head = stream.read(length)
                stream.seek(max(0, stream.seek(0, os.SEEK_END) - length))
                return head, stream.read(length)
        except OSError as error:
            raise OutputError(f"{self.path / name}: cannot be read ({error.strerror})") from error

    def names(self) -> list[PurePath]:
        """See ``Folder``."""
        found: list[PurePath] = []
        for folder, _, files in os.walk(self.path):
            found += (PurePath(folder, file).relative_to(self.path) for file in files)
        return found

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See ``Folder``."""
        path = self.path / LOCK_FILE
        with contextlib.ExitStack() as held:
            # Where there are no locks, or somebody holds one for ever, results are still written whole.
            with contextlib.suppress(OSError, Timeout):
                if self.path.is_dir():  # which a lock would make
                    held.enter_context(FileLock(path, timeout=LOCK_PATIENCE))
                    held.callback(_remove_file, path)  # before it is given back: whoever waits for it notices
            yield

    def exists(self, name: PurePath) -> bool:
        """See ``Folder``."""
        return os.path.exists(self.path / name)

    def modified(self, name: PurePath) -> float:
        """See ``Folder``."""
        try:
            return (self.path / name).stat().st_mtime
        except OSError as error:
            raise OutputError(f"{self.path / name}: cannot be read ({error.strerror})") from error

    def remove(self, name: PurePath) -> None:
        """See ``Folder``."""
        try:
            (self.path / name).unlink()
        except OSError as error:
            raise OutputError(f"{self.path / name}: cannot be deleted ({error.strerror})") from error


class RemoteFolder:
    """A folder behind a URL. Which errors a service raises is its own affair, so all of them count."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        import fsspec  # noqa: PLC0415  (slow, and only for URLs)

        self._one_at_a_time = threading.Lock()  # a file system has one transaction only
        try:
            self._system, self._root = fsspec.core.url_to_fs(self._url)
        except Exception as error:
            raise OutputError(
                f"{url}: cannot be opened: {_reason(error)}; choose another place with --output"
            ) from error

    def __str__(self) -> str:
        return f"{self._url}/"

    @contextlib.contextmanager
    def write(self, name: PurePath, mode: Literal["w", "wb"]) -> Iterator[IO[Any]]:
        """See ``Folder``."""
        content = io.BytesIO()
        stream: IO[Any] = content if mode == "wb" else io.TextIOWrapper(content, encoding="utf-8", newline="")
        yield stream
        stream.flush()
        path = self._path(name)
        try:
            with self._one_at_a_time:
                self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
                # The file system's own way to make a file appear at once, where it has one.
                with self._system.transaction, self._system.open(path, "wb") as target:
                    target.write(content.getvalue())
        except Exception as error:
            reason = f"cannot be written: {_reason(error)}; choose another place with --output"
            raise OutputError(f"{self._url}/{name.as_posix()}: {reason}") from error

    def read(self, name: PurePath) -> bytes:
        """See ``Folder``."""
        try:
            content: bytes = self._system.cat_file(self._path(name))
        except Exception as error:
            raise OutputError(f"{self._url}/{name.as_posix()}: cannot be read: {_reason(error)}") from error
        return content

    def read_ends(self, name: PurePath, length: int) -> tuple[bytes, bytes]:
        """See ``Folder``; all of it, since two requests take longer than one that brings more."""
        content = self.read(name)
        return content[:length], content[-length:]

    def names(self) -> list[PurePath]:
        """See ``Folder``."""
        root = self._root.rstrip("/")
        try:
            self._system.invalidate_cache()
            found = self._system.find(root)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise OutputError(f"{self}: cannot be listed: {_reason(error)}") from error
        return [PurePath(path.removeprefix(root).lstrip("/")) for path in found]

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """See ``Folder``: file systems behind URLs have no locks."""
        return contextlib.nullcontext()

    def exists(self, name: PurePath) -> bool:
        """See ``Folder``."""
        try:
            found: bool = self._system.exists(self._path(name))
        except Exception as error:
            raise OutputError(f"{self._url}/{name.as_posix()}: cannot be reached: {_reason(error)}") from error
        return found

    def modified(self, name: PurePath) -> float:
        """See ``Folder``."""
        try:
            time: float = self._system.modified(self._path(name)).timestamp()
        except Exception as error:
            raise OutputError(f"{self._url}/{name.as_posix()}: cannot be read: {_reason(error)}") from error
        return time

    def remove(self, name: PurePath) -> None:
        """See ``Folder``."""
        try:
            self._system.rm_file(self._path(name))
        except Exception as error:
            raise OutputError(f"{self._url}/{name.as_posix()}: cannot be deleted: {_reason(error)}") from error

    def _path(self, name: PurePath) -> str:
        return f"{self._root.rstrip('/')}/{name.as_posix()}"


def _remove_file(path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows does not part with a file that is open
        path.unlink()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
