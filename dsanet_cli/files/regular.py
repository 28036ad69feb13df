"""Reading files that others wrote: regular ones of a plausible size, so that nothing can make the program wait."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open ``path`` for reading unless it is a folder, a pipe, a socket or a device, whose reading may never end.

    Raises:
        OSError: it is one of these, or cannot be opened; ``strerror`` says why.
    """
    # Without O_NONBLOCK, opening a pipe waits for someone to write to it; Windows has no such pipes.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "Not a regular file", os.fspath(path))
    return os.fdopen(number, "rb")


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """All of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: see ``open_regular``, or it is larger.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise OSError(0, f"Larger than {limit / 2**20:.0f} MiB", os.fspath(path))
        return stream.read(size)  # which sets aside as many bytes as it is asked for


def check_inside(path: Path, folder: Path) -> None:
    """Make sure that ``path`` leads to a place in ``folder``, symbolic links followed.

    Raises:
        OSError: it leads out.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OSError(0, f"Leads out of {folder}", os.fspath(path))
