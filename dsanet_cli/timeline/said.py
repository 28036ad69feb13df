"""What a person said of a result's events, as the result itself holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from dsanet_cli.records import PRINTABLE, Name, Seconds

Remark = Annotated[str, Meta(max_length=2000, pattern=PRINTABLE)]
Moment = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$")]


@dataclass(frozen=True)
class EventReview:
    """What was said of an event."""

    verdict: Literal["true", "false", "relabelled"] | None = None
    """None where there is only a note."""
    label: Name | None = None
    """The class that it is of instead, where it was relabelled."""
    note: Remark = ""

    @property
    def is_true(self) -> bool:
        """Whether something happens there, of whichever class."""
        return self.verdict in ("true", "relabelled")


@dataclass(frozen=True)
class MissedEvent:
    """A span in which a person saw something that is no event of the result; times in seconds."""

    start: Seconds
    end: Seconds
    label: Name
    note: Remark = ""


@dataclass(frozen=True)
class ReviewFacts:
    """What a review says beside the events."""

    saved: Moment | None = None
    """When, in UTC."""
    missed: Annotated[tuple[MissedEvent, ...], Meta(max_length=100_000)] = ()
    """In order of time."""
