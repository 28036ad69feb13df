"""What a person said of the events in a result: true, false, of another class, or missed; kept as ``STEM.review.json``.

Pages write such files and read them again; so do commands. An entry says of a span of the video what is in it, and goes
on counting when events are decided anew: it belongs to the event in which it lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from msgspec import Meta

from dsanet_cli.errors import OutputError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.names import utf8_text
from dsanet_cli.records import Name, PathText, SchemaError, Seconds, Sha256, Share, decode
from dsanet_cli.timeline.said import EventReview, MissedEvent, Moment, Remark, ReviewFacts
from dsanet_cli.timeline.timeline import Event, Timeline

LARGEST_REVIEW = 2**26
"""Bytes."""


@dataclass(frozen=True)
class ReviewedEvent:
    """One event as it was when it was judged, or one that a person added; times in seconds."""

    start: Seconds
    end: Seconds
    peak_time: Seconds
    """Of a missed one, its middle."""
    label: Name
    """That the program gave it; of a missed one, the person."""
    verdict: Literal["true", "false", "relabelled", "missed"] | None = None
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
        return {"true": self.label, "relabelled": self.relabelled, "missed": self.label}.get(self.verdict or "")


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
    """Write a review.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        stream.write(review_text(review))


def review_text(review: Review) -> str:
    """What the file of a review holds, one event a line."""
    entries = asdict(review)
    events = entries.pop("events")
    lines = "\n    " + ",\n    ".join(map(_dump, events)) + "\n  " if events else ""
    head = ",\n".join(f"  {_dump(key)}: {_dump(value)}" for key, value in entries.items() if value is not None)
    return f'{{\n{head},\n  "events": [{lines}]\n}}\n'


def belongs(entry: ReviewedEvent, event: Event) -> bool:
    """Whether an entry is about an event: its peak lies in the event, or it holds the event's peak."""
    return event.start <= entry.peak_time <= event.end or entry.start <= event.peak_time <= entry.end


def said_of(event: Event, entries: Sequence[ReviewedEvent]) -> ReviewedEvent | None:
    """The entry that belongs to an event; of several, the one that shares the most time with it, of those the first."""
    there = [entry for entry in entries if belongs(entry, event)]
    return max(there, key=lambda entry: min(event.end, entry.end) - max(event.start, entry.start), default=None)


def with_review(timeline: Timeline, review: Review) -> Timeline:
    """A timeline that holds what was said of its events, and what it missed.

    Missed is what a person added, and what was said to be true of events that were others then: where no event is now,
    or only one that was said to be false. Scores, labels and the verdict stay the program's.
    """
    entries = [said_of(event, review.events) for event in timeline.events]
    events = tuple(
        replace(event, review=None if entry is None else _said(event, entry))
        for event, entry in zip(timeline.events, entries, strict=True)
    )
    standing = [event for event in events if event.review is None or event.review.verdict != "false"]
    missed = tuple(
        MissedEvent(entry.start, entry.end, entry.true_label, entry.note)
        for entry in review.events
        if entry.true_label is not None and not any(belongs(entry, event) for event in standing)
    )
    return replace(timeline, events=events, review=ReviewFacts(review.saved, missed))


def _said(event: Event, entry: ReviewedEvent) -> EventReview:
    """What an entry says of an event, which may have had another label when it was judged."""
    label = entry.true_label
    if label is None:
        return EventReview("false" if entry.verdict == "false" else None, None, entry.note)
    return (
        EventReview("true", None, entry.note) if label == event.label else EventReview("relabelled", label, entry.note)
    )


def handed_on(timeline: Timeline) -> Timeline:
    """What is passed on of a reviewed timeline: no false events, the right classes, and the missed events, too."""
    if timeline.review is None:
        return timeline
    kept = (event for event in timeline.events if event.review is None or event.review.verdict != "false")
    named = [replace(event, label=(event.review and event.review.label) or event.label) for event in kept]
    added = [_as_event(timeline, missed) for missed in timeline.review.missed]
    return replace(timeline, events=tuple(sorted([*named, *added], key=lambda event: event.start)))


def _as_event(timeline: Timeline, missed: MissedEvent) -> Event:
    """A missed event, with the highest score that there is in it: 0 where nothing was analysed."""
    inside = np.flatnonzero((timeline.ends > missed.start) & (timeline.starts < missed.end))
    if not inside.size:
        nothing = (0.0,) * len(timeline.class_names)
        return Event(missed.start, missed.end, (missed.start + missed.end) / 2, 0.0, missed.label, nothing)
    peak = int(inside[timeline.scores[inside].argmax()])
    return Event(
        start=missed.start,
        end=missed.end,
        peak_time=float(timeline.starts[peak] + timeline.ends[peak]) / 2,
        peak_score=float(timeline.scores[peak]),
        label=missed.label,
        probabilities=tuple(timeline.probabilities[peak].tolist()),
    )


def _dump(value: object) -> str:
    return utf8_text(json.dumps(value, ensure_ascii=False, allow_nan=False))
