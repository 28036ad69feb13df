"""Damaged configurations, sidecars, results, profiles and class files: seeded ways to break what such a text says."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

STRANGE_NUMBERS = (0, -1, 1, 0.5, -0.0, 2**31, 2**53, 2**63, 2**64, 10**25, -(10**25), 1e308, 5e-324)
STRANGE_TEXTS = (
    "", " ", "\0", "\n", "a\rb", "\x1b[31m", "\u202e", "\ud800", "../..", "/dev/zero", "/dev/stdin", "hf-hub:a/b",
    "local-dir:/tmp", "http://127.0.0.1:9/x", "1e999999999", "1/0", "999999999999999999/1", "=1+1", "x" * 100_000,
)  # fmt: skip
STRANGE_VALUES = (None, True, [], {}, [[]], {"": 0}, [0] * 10_000, [1, 2, 3])
DEEP = 100_000
"""Brackets within each other."""
NO_JSON = ("NaN", "Infinity", "-Infinity", "1e999", "1" * 5_000, "[" * DEEP, '{"a":' * DEEP, "tru", "'x'", "0x10")
"""What stands for a value where JSON has none, or none that can be read."""

Mutation = Callable[[str, random.Random], str]


def mutate_text(seed: int, number: int, text: str, is_json: bool) -> tuple[str, str]:
    """The damaged text ``number`` of ``seed``: what was done to it, and what it is then."""
    rng = random.Random(f"{seed}/{number}")
    known = {**MUTATIONS, **(JSON_MUTATIONS if is_json else {})}
    done = rng.choices(sorted(known), k=rng.choice((1, 1, 1, 2)))
    for mutation in done:
        text = known[mutation](text, rng)
    return "+".join(done), text


def change_value(text: str, rng: random.Random) -> str:
    """One value, anywhere, becomes another one, of the same type or not."""
    return _edited(text, rng, lambda place, key: place.__setitem__(key, _strange(rng)))


def remove_entry(text: str, rng: random.Random) -> str:
    """One entry, or item of a list, is missing."""
    return _edited(text, rng, lambda place, key: place.__delitem__(key))


def add_entry(text: str, rng: random.Random) -> str:
    """One entry more than there should be."""

    def add(place: Any, key: Any) -> None:
        if isinstance(place, dict):
            place[rng.choice(("unknown", "", "__class__", *place))] = _strange(rng)
        else:
            place.insert(key, _strange(rng))

    return _edited(text, rng, add)


def repeat(text: str, rng: random.Random) -> str:
    """One item stands there a thousand times."""

    def multiply(place: Any, key: Any) -> None:
        place[key] = [place[key]] * 1000

    return _edited(text, rng, multiply)


def no_json(text: str, rng: random.Random) -> str:
    """One value is something that JSON does not know, or that takes long to read."""
    mark = "c5f2d1"
    marked = _edited(text, rng, lambda place, key: place.__setitem__(key, mark))
    return marked.replace(f'"{mark}"', rng.choice(NO_JSON), 1)


def cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def noise(text: str, rng: random.Random) -> str:
    """Other characters at some places."""
    characters = list(text)
    for _ in range(rng.randrange(1, 20)):
        if characters:
            characters[rng.randrange(len(characters))] = chr(rng.choice((0, 10, 34, 39, 61, 91, 93, 0x20AC, 0x1F600)))
    return "".join(characters)


def change_number(text: str, rng: random.Random) -> str:
    """The digits at one place become another number, or what is none."""
    digits = [at for at, character in enumerate(text) if character.isdecimal()]
    if not digits:
        return text
    start = end = rng.choice(digits)
    while end < len(text) and text[end].isdecimal():
        end += 1
    number = rng.choice((*map(str, STRANGE_NUMBERS), "nan", "inf", "-inf", "1e999", "9" * 5_000, "1979-05-27"))
    return text[:start] + number + text[end:]


def nest(text: str, rng: random.Random) -> str:
    """Brackets within brackets, somewhere."""
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(("[", "{", '{"a":', "a." * 3)) * DEEP + text[at:]


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__.replace("_", "-"): mutation for mutation in (cut, noise, change_number, nest)
}
JSON_MUTATIONS: dict[str, Mutation] = {
    mutation.__name__.replace("_", "-"): mutation
    for mutation in (change_value, remove_entry, add_entry, repeat, no_json)
}


def _strange(rng: random.Random) -> Any:
    return rng.choice(rng.choice((STRANGE_NUMBERS, STRANGE_TEXTS, STRANGE_VALUES)))


def _edited(text: str, rng: random.Random, edit: Callable[[Any, Any], None]) -> str:
    """The JSON text after one entry of it was edited; as it is where it is no JSON any more, or holds nothing."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if places := list(_places(data)):
        edit(*rng.choice(places))
    return json.dumps(data)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """All (container, key) in nested lists and dictionaries."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]
