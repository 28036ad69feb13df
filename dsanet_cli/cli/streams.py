"""stdout and stderr that outlast their readers: what cannot be printed is dropped, and the work goes on."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def keep_streams() -> None:
    """Let neither a reader that leaves (``| head``), nor a full disk, nor a closed descriptor end the program."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest number, which a file of ours would get otherwise; decoders inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the program runs
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _lasting(stream))


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    buffer: Any = stream.buffer
    unbuffered = isinstance(buffer, io.RawIOBase)  # PYTHONUNBUFFERED
    lasting: Any = _Lasting(buffer if unbuffered else buffer.raw)
    return io.TextIOWrapper(
        lasting if unbuffered else io.BufferedWriter(lasting),
        # Results and names of files can hold any character; files and pipes of Windows would take some 200 of them.
        encoding=stream.encoding if stream.isatty() else "utf-8",
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _Lasting(io.RawIOBase):
    """Writes to ``raw`` as long as that takes anything."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def write(self, data: Any) -> int | None:
        """Write, or drop what cannot be written."""
        try:
            return self._raw.write(data)
        except OSError:
            return len(data)

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """Of what lies beneath."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Of what lies beneath."""
        return self._raw.isatty()
