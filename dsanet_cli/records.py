"""Frozen dataclasses to JSON and back, with every entry and type checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from dsanet_cli.errors import ModelError

T = TypeVar("T")


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON types."""
    return dataclasses.asdict(config)


def from_json(cls: type[T], data: Any, where: str) -> T:
    """Build the frozen dataclass ``cls`` from parsed JSON, refusing what is unknown, missing or of another type.

    Raises:
        ModelError: names ``where`` (file and key path) and the entry that does not fit.
    """
    if not isinstance(data, dict):
        raise ModelError(f"{where}: expected an object, found {type(data).__name__}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(data.keys() - fields.keys()):
        raise ModelError(f"{where}: unknown entry {', '.join(unknown)}; written by a newer version?")
    required = {n for n, f in fields.items() if f.default is f.default_factory is dataclasses.MISSING}
    if missing := sorted(required - data.keys()):
        raise ModelError(f"{where}: entry {', '.join(missing)} is missing")
    return cls(**{key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast(type[Any], hint), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(value) == len(arguments):
            return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if (origin or hint) in (int, str, bool, dict) and type(value) is (origin or hint):
        return value
    raise ModelError(f"{where}: {value!r} is not a {getattr(hint, '__name__', hint)}")
