"""Frozen dataclasses to JSON and back; their annotations are the one schema: types, bounds, what must be there.

Numbers and texts from a file are bounded where the dataclass declares them (``Annotated[int, Meta(ge=1, le=64)]``),
so code that holds such an object need not check again. The aliases here are the bounds that several files share.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*$(?!\n)"
"""Neither control characters nor line ends, changes of direction or halves of a character: one line, safe to print."""
FRACTION = r"^[0-9]{1,18}/[1-9][0-9]{0,17}$"

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
Line = Annotated[str, Meta(max_length=10_000, pattern=PRINTABLE)]
PathText = Annotated[str, Meta(max_length=100_000)]
"""In any script, with any sign: names of files may hold what no other text may."""
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256 in hexadecimal digits")]
Share = Annotated[float, Meta(ge=0, le=1, description="0 to 1")]
Seconds = Annotated[float, Meta(ge=-1e10, le=1e10, description="seconds")]
Length = Annotated[float, Meta(ge=0, le=1e10, description="seconds")]
Region = Annotated[
    tuple[Share, Share, Share, Share], Meta(description="left, top, width and height, as shares of the picture")
]
Count = Annotated[int, Meta(ge=0, le=2**53)]


_finding_out = threading.Lock()


class SchemaError(ValueError):
    """A file does not fit its schema; one line that names the entry and what was expected."""


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON types."""
    return dataclasses.asdict(config)


def decode(cls: type[T], text: bytes) -> T:
    """Build the frozen dataclass ``cls`` from JSON; unknown entries are ignored.

    Raises:
        SchemaError: not JSON, or an entry is missing, of another type or out of bounds.
    """
    try:
        value: T = _parse(text, cls)
    except msgspec.ValidationError as error:
        raise SchemaError(_plain(error)) from error
    except SchemaError:
        raise
    except (ValueError, RecursionError) as error:
        raise SchemaError("not whole JSON") from error
    return value


def decode_exactly(cls: type[T], text: bytes) -> T:
    """As ``decode``, but unknown entries are an error, since ignoring one could change the meaning.

    Raises:
        SchemaError: see ``decode``, or an entry is unknown.
    """
    value = decode(cls, text)
    for place in _unknown(_parse(text, Any), msgspec.to_builtins(value), ""):
        raise SchemaError(f"unknown entry {place!r}; misspelt, or written by a newer version of dsanet")
    return value


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema of the files that ``decode`` takes for ``cls``."""
    schema = msgspec.json.schema(cls, schema_hook=_schema_of)
    for definition in schema["$defs"].values():
        definition["description"] = inspect.cleandoc(definition["description"])
    return schema


def _parse(text: bytes, cls: Any) -> Any:
    # msgspec keeps what it knows of a dataclass while it finds it out; a thread that takes half of it crashes.
    with _finding_out:
        decoder = _decoder(cls)
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # The faster parser refuses half surrogate pairs, which stand for bytes of a file name that are no text.
        return msgspec.convert(json.loads(text, parse_constant=_refuse), cls, dec_hook=_convert)


@functools.cache
def _decoder(cls: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cls, dec_hook=_convert)


def _refuse(constant: str) -> NoReturn:
    raise SchemaError(f"{constant} is not a number")


def _convert(cls: type, value: Any) -> Any:
    """Types that JSON lacks."""
    if cls is Fraction and isinstance(value, str) and re.match(FRACTION, value):
        return Fraction(value)
    raise ValueError(f"Expected a fraction such as '30000/1001', got {str(value)[:30]!r}")


def _schema_of(cls: type) -> dict[str, Any]:
    assert cls is Fraction
    return {"type": "string", "pattern": FRACTION, "examples": ["30000/1001"]}


def _unknown(data: Any, known: Any, place: str) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in known:
                yield from _unknown(value, known[key], f"{place}{key}.")
            else:
                yield f"{place}{key}"
    elif isinstance(data, list):
        for number, (value, kept) in enumerate(zip(data, known, strict=True)):
            yield from _unknown(value, kept, f"{place}{number}.")


def _plain(error: msgspec.ValidationError) -> str:
    """``head.window: expected `int` <= 4096``."""
    reason, _, place = str(error).partition(" - at `$")
    reason = reason[:1].lower() + reason[1:].replace(f"matching regex {PRINTABLE!r}", "of one printable line")
    return f"{place.strip('.`')}: {reason}" if place.strip(".`") else reason
