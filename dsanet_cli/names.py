"""File names in messages."""

from __future__ import annotations

import os


def printable(path: str | os.PathLike[str]) -> str:
    """A path as one printable line: line breaks and bytes that are no text are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def utf8_text(text: str) -> str:
    """File names may hold bytes that are no characters; they are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
