"""File names in messages."""

from __future__ import annotations

import os


def shown(path: str | os.PathLike[str]) -> str:
    """A path as one printable line: line breaks and bytes that are no text are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
