"""Result files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, overload

from dsanet_cli.errors import OutputError

_OPEN_ELSEWHERE = ", or another program has the file open" if sys.platform == "win32" else ""
_WAY_OUT = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder with --output",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder with --output",
    errno.EFBIG: "the file grows larger than this system allows; choose another folder with --output",
    errno.EACCES: f"no permission to write there{_OPEN_ELSEWHERE}; choose another folder with --output",
    errno.EPERM: "no permission to write there; choose another folder with --output",
    errno.EROFS: "that disk is read-only; choose another folder with --output",
    errno.ENAMETOOLONG: "the name is too long for this file system; rename the input or shorten --output",
}

_ATTEMPTS = 10 if sys.platform == "win32" else 1
"""At replacing a file. On Windows that fails while another program, often a virus scanner, has it open."""
_PAUSE = 0.1
"""Seconds between two attempts."""


@overload
def atomic_write(
    path: Path, mode: Literal["w"] = "w", *, sync: bool = False
) -> contextlib.AbstractContextManager[IO[str]]: ...
@overload
def atomic_write(
    path: Path, mode: Literal["wb"], *, sync: bool = False
) -> contextlib.AbstractContextManager[IO[bytes]]: ...
@contextlib.contextmanager
def atomic_write(path: Path, mode: Literal["w", "wb"] = "w", *, sync: bool = False) -> Iterator[IO[Any]]:
    """Open a stream that becomes ``path`` when the block ends, and vanishes when the block fails.

    The stream is a hidden file of a unique name in the same folder, which is made where it is missing, so
    that processes sharing a folder never see or tear each other's files.

    Args:
        path: the file to write or replace.
        mode: ``w`` (UTF-8, line ends as written) or ``wb``.
        sync: wait until the disk has it; only a power failure makes a difference.

    Raises:
        OutputError: the folder or the file cannot be made or written.
    """
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is not a file; choose another place with --output")
        encoding, newline = ("utf-8", "") if mode == "w" else (None, None)
        # Not tempfile: its files are readable by their owner only, these follow the umask.
        with temporary.open(mode.replace("w", "x"), encoding=encoding, newline=newline) as stream:
            yield stream
            if sync:
                stream.flush()
                os.fsync(stream.fileno())
        _replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        if error.filename is None or Path(str(error.filename)) in (temporary, path, *path.parents):
            raise OutputError(_explain(path, error)) from error
        raise
    except BaseException:
        _remove(temporary)
        raise


def remove_unfinished(folder: Path, process: int) -> None:
    """Delete what a process that has ended was writing in ``folder``."""
    for temporary in folder.glob(f".*.{process}-*.part"):
        _remove(temporary)


def _replace(temporary: Path, path: Path) -> None:
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(PermissionError):
            temporary.replace(path)
            return
        time.sleep(_PAUSE)
    temporary.replace(path)


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        blocking = next(folder for folder in path.parents if folder.exists())
        reason = f"{blocking} is not a folder; choose another with --output"
    else:
        way_out = f"{error.strerror or error}; choose another folder with --output"
        reason = _WAY_OUT.get(error.errno or 0, way_out)
    return f"{path}: cannot be written: {reason}"
