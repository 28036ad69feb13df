"""Reading TOML files that people wrote, or that somebody made to take for ever."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any

from dsanet_cli.files.regular import read_regular
from dsanet_cli.files.typed import decode_text

LARGEST_TOML = 2**20
"""Bytes."""
_ENDLESS_KEY = re.compile(r"(?:[\w-]+[ \t]*\.[ \t]*){32}")
"""Parts of a key; the time that Python's parser takes grows with the square of their number."""


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML file, as an editor of any system writes it.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger than a megabyte.
        ValueError: it is no TOML.
    """
    text = decode_text(read_regular(path, LARGEST_TOML))
    if _ENDLESS_KEY.search(text):
        raise ValueError("a key of too many parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("brackets too deep within each other") from error
