"""What a person said of the events in a result: true, false, or of another class; kept as ``STEM.review.json``.

Pages write such files and read them again; so do commands. An entry says of a span of the video what is in it, and goes
on counting when events are decided anew: it belongs to the event in which it lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from dsanet_cli.errors import OutputError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.names import utf8_text
from dsanet_cli.records import PRINTABLE, Name, PathText, SchemaError, Seconds, Sha256, Share, decode
from dsanet_cli.timeline.timeline import Event

LARGEST_REVIEW = 2**26
"""Bytes."""

Remark = Annotated[str, Meta(max_length=2000, pattern=PRINTABLE)]
Moment = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$")]


@dataclass(frozen=True)
class ReviewedEvent:
    """One event as it was when it was judged; times in seconds."""

    start: Seconds
    end: Seconds
    peak_time: Seconds
    label: Name
    """That the program gave it."""
    verdict: Literal["true", "false", "relabelled"] | None = None
    """None where there is only a note."""
    relabelled: Name | None = None
    """What it is instead, where the verdict says so."""
    note: Remark = ""

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError("a reviewed event ends before it starts")
        if (self.verdict == "relabelled") != (self.relabelled is not None):
            raise ValueError("relabelled says which class it is instead, and stands with that verdict only")

    @property
    def true_label(self) -> str | None:
        """The class of what happens there; None where nothing does, or nobody said."""
        return {"true": self.label, "relabelled": self.relabelled}.get(self.verdict or "")


@dataclass(frozen=True)
class Review:
    """All that was said of one result."""

    result_sha256: Sha256
    """Of the result's JSON file, by which a review finds it."""
    video: PathText
    """Name of the video, for people."""
    threshold: Share
    """The lowest at which the events were looked at: nobody has seen what lies below."""
    events: Annotated[tuple[ReviewedEvent, ...], Meta(max_length=100_000)] = ()
    """In order of time."""
    saved: Moment | None = None
    """When, in UTC."""
    program: Name | None = None
    schema: Literal[1] = 1


def read_review(path: str | os.PathLike[str]) -> Review:
    """Read a review.

    Raises:
        OutputError: it cannot be opened, or is none.
    """
    name = os.fspath(path)
    try:
        return parse_review(read_regular(path, LARGEST_REVIEW), name)
    except OSError as error:
        raise OutputError(f"{name}: cannot be read: {error.strerror or error}") from error


def parse_review(content: bytes, name: str) -> Review:
    """As ``read_review``, from what the file called ``name`` holds.

    Raises:
        OutputError: it is no review.
    """
    try:
        return decode(Review, content)
    except SchemaError as error:
        raise OutputError(f"{name}: not a review: {error}; save it again from the page") from error


def write_review(review: Review, path: Path) -> None:
    """Write a review, one event a line.

    Raises:
        OutputError: the file cannot be written.
    """
    entries = asdict(review)
    events = entries.pop("events")
    lines = "\n    " + ",\n    ".join(map(_dump, events)) + "\n  " if events else ""
    head = ",\n".join(f"  {_dump(key)}: {_dump(value)}" for key, value in entries.items() if value is not None)
    with atomic_write(path) as stream:
        stream.write(f'{{\n{head},\n  "events": [{lines}]\n}}\n')


def belongs(entry: ReviewedEvent, event: Event) -> bool:
    """Whether an entry is about an event: its peak lies in the event, or it holds the event's peak."""
    return event.start <= entry.peak_time <= event.end or entry.start <= event.peak_time <= entry.end


def said_of(event: Event, entries: Sequence[ReviewedEvent]) -> ReviewedEvent | None:
    """The entry that belongs to an event; of several, the one that shares the most time with it, of those the first."""
    there = [entry for entry in entries if belongs(entry, event)]
    return max(there, key=lambda entry: min(event.end, entry.end) - max(event.start, entry.start), default=None)


def _dump(value: object) -> str:
    return utf8_text(json.dumps(value, ensure_ascii=False, allow_nan=False))
