"""What people type and paste: paths in quotes, ``file://``, ``~``, and lists from editors, shells and spreadsheets."""

from __future__ import annotations

import codecs
import io
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TextIO

LONGEST_LINE = 1 << 20
"""Bytes; a file without a line break up to here is no list."""
_QUOTES = {'"': '"', "'": "'", "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}"}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


class NotTextError(ValueError):
    """A file that is given for a list holds something else than text."""


def unquoted(text: str) -> str:
    """The text without one pair of quotes around it, if there is one."""
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1]
    return text


def as_path(text: str, folder: Path = Path()) -> str:
    """The path that a typed or pasted text means.

    A name that is there is taken as it is, whatever it looks like; only what is not there is read as a path in
    quotes, a ``file://`` URL, or one that begins with ``~``.

    Args:
        text: As it was typed.
        folder: What relative paths start from.
    """
    if not text or "\0" in text or os.path.lexists(folder / text):
        return text
    plain = unquoted(text)
    if scheme_of(plain) == "file":
        from urllib.request import url2pathname  # noqa: PLC0415  (loads what talks to servers)

        # Windows: file:///C:/a.mp4 and file://server/share/a.mp4; url2pathname knows both.
        parts = urllib.parse.urlsplit(plain, allow_fragments=False)
        host = "" if parts.netloc == "localhost" else parts.netloc
        query = f"?{parts.query}" if parts.query else ""
        return url2pathname(f"//{host}{parts.path}{query}" if host else parts.path + query)
    return os.path.expanduser(plain)


def scheme_of(text: str) -> str | None:
    """``http`` of ``http://…``; None of what is no URL."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def read_lines(stream: TextIO | IO[bytes]) -> Iterator[str]:
    """Lines of a list, without their ends: UTF-8 with or without a byte-order mark, or UTF-16 with one.

    Bytes that are no UTF-8 are kept as Python keeps them in file names.

    Raises:
        NotTextError: it is no text.
    """
    buffer = stream if isinstance(stream, io.BufferedIOBase) else getattr(stream, "buffer", None)
    text = stream.read() if buffer is None else _decoded(buffer)
    assert isinstance(text, str)
    for line in io.StringIO(text.removeprefix("\ufeff"), newline=None):
        if "\0" in line:
            raise NotTextError
        yield line.removesuffix("\n")


def decode_text(content: bytes, errors: str = "strict") -> str:
    """The text of a file that an editor, a shell or a spreadsheet wrote, without its byte-order mark.

    Raises:
        UnicodeDecodeError: it is neither UTF-8 nor UTF-16 with a byte-order mark.
    """
    if content.startswith(_UTF_16):
        return content.decode("utf-16", errors)
    return content.decode("utf-8-sig", errors)


def _decoded(buffer: IO[bytes]) -> str:
    first = buffer.readline(LONGEST_LINE)
    binary = b"\0" in first and not first.startswith(_UTF_16)
    if binary or (len(first) == LONGEST_LINE and not first.endswith(b"\n")):
        raise NotTextError
    return decode_text(first + buffer.read(), "surrogateescape")
