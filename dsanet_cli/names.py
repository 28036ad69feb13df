"""File names in messages and tables."""

from __future__ import annotations

import os
import re


def printable(path: str | os.PathLike[str]) -> str:
    """A path as one printable line: line breaks and bytes that are no text are escaped."""
    text = os.fspath(path)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # how Python keeps a byte that is no text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def utf8_text(text: str) -> str:
    """File names may hold bytes that are no characters; they are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """A text of any origin as a cell of a CSV file: one line, and none that a spreadsheet takes for a formula.

    What would be one gets an apostrophe in front, by which spreadsheets mark texts.
    """
    return f"'{printable(text)}" if text.startswith((*_FORMULA, "'")) else printable(text)


def text_of(cell: str) -> str:
    """What stands in a cell that ``cell`` made, without its mark."""
    return cell.removeprefix("'")


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts ``cam2`` before ``cam10``, whatever the case of letters."""
    parts = re.split("([0-9]+)", name)
    return [int(part) if at % 2 else part.casefold() for at, part in enumerate(parts)], name
