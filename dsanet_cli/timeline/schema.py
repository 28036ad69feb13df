"""The timeline file as it lies on the disk: what its entries are called, their types and bounds.

Readers ignore entries that they do not know, and an entry that is new has a default, so that older files stay
readable and ``schema`` stays 1. ``timeline.schema.json`` says the same in a form that other programs read;
``python -m dsanet_cli.timeline.schema`` writes it anew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from dsanet_cli.config import EventRule
from dsanet_cli.records import Name, Seconds, Share, json_schema
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.said import EventReview, ReviewFacts
from dsanet_cli.timeline.timeline import Verdict

TIMELINE_SCHEMA = 1
SCHEMA_FILE = "timeline.schema.json"

Probabilities = Annotated[dict[Name, Share], Meta(min_length=2, max_length=1000, description="of each class")]


@dataclass(frozen=True, kw_only=True)
class SamplingEntry(Sampling):
    """How frames became snippets, and snippets events."""

    event_rule: EventRule


@dataclass(frozen=True)
class SnippetEntry:
    """One row of the score curve."""

    start: Seconds
    end: Seconds
    score: Share
    label: Name
    probabilities: Probabilities


@dataclass(frozen=True)
class EventEntry:
    """One span in which something abnormal happens."""

    start: Seconds
    end: Seconds
    peak_time: Seconds
    """Centre of the snippet with the highest score."""
    peak_score: Share
    label: Name
    probabilities: Probabilities
    clock: Annotated[datetime, Meta(tz=True)] | None = None
    """Time of day at its start."""
    review: EventReview | None = None
    """What a person said of it."""


@dataclass(frozen=True)
class TimelineFile:
    """A video's timeline as dsanet writes it."""

    schema: Literal[1]
    video: VideoFacts
    model: ModelFacts
    sampling: SamplingEntry
    coverage: Coverage
    snippets: Annotated[tuple[SnippetEntry, ...], Meta(min_length=1)]
    events: tuple[EventEntry, ...]
    verdict: Verdict
    program: Name | None = None
    """Its name and version."""
    review: ReviewFacts | None = None
    """What a person said of it, where there is a review."""


@dataclass(frozen=True)
class AnyVersion:
    """What files of all versions have in common."""

    schema: int


def timeline_schema() -> dict[str, Any]:
    """The JSON Schema of timeline files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **json_schema(TimelineFile)}


def schema_text() -> str:
    """What ``timeline.schema.json`` holds."""
    return json.dumps(timeline_schema(), indent=2) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
