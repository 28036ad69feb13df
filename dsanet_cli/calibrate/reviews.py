"""The threshold that tells apart best what a person said is true and false."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dsanet_cli.config import EventRule
from dsanet_cli.errors import OutputError, SourceError
from dsanet_cli.files.regular import read_regular
from dsanet_cli.files.result_names import REVIEW
from dsanet_cli.timeline.calibration import THRESHOLDS, with_threshold
from dsanet_cli.timeline.files import LARGEST_RESULT, parse_timeline
from dsanet_cli.timeline.review import Review, belongs, read_review
from dsanet_cli.timeline.timeline import Timeline, find_events


@dataclass(frozen=True)
class ReviewedResult:
    """A result, and what was said of its events."""

    timeline: Timeline
    review: Review


@dataclass(frozen=True)
class Told:
    """What a threshold keeps: true events found and missed, and false ones that stay; ``open``: nobody judged."""

    threshold: float
    found: int
    missed: int
    false: int
    open: int

    @property
    def f1(self) -> float:
        """Of the true events found: 1 where none is missed and no false one stays."""
        return 2 * self.found / max(2 * self.found + self.missed + self.false, 1)


def read_reviewed(path: Path) -> ReviewedResult:
    """Read a review and the result that it lies beside.

    Raises:
        SourceError: it is no review by its name, or belongs to another result than the one beside it.
        OutputError: one of the two cannot be read.
    """
    if not path.name.endswith(f".{REVIEW}"):
        raise SourceError(f"{path}: not the name of a review; give what a page saved, NAME.{REVIEW}")
    review = read_review(path)
    result = path.with_name(path.name.removesuffix(f".{REVIEW}") + ".json")
    try:
        content = read_regular(result, LARGEST_RESULT)
    except OSError as error:
        raise OutputError(f"{result}: cannot be read ({error.strerror}); a review lies beside its result") from error
    if hashlib.sha256(content).hexdigest() != review.result_sha256:
        raise SourceError(
            f"{path}: was made on another result than {result}; open the page of that, load the review there, "
            "and save it again"
        )
    return ReviewedResult(parse_timeline(content, str(result)), review)


def choose_threshold(rule: EventRule, reviewed: Sequence[ReviewedResult]) -> tuple[EventRule, list[Told]]:
    """The threshold with the highest F1 of true events, and what all thresholds keep, the lowest first.

    A true event is found where the rule still finds an event there; an event is false where it is at a place that was
    said to be false, and at none that was said to be true. Events that a person added count as true ones. No threshold
    is tried below the highest at which a result was reviewed: nobody has seen what lies there (``below_reviewed``). Of
    equal ones next to each other, the middle one is taken, which is the furthest from what it keeps apart.

    Raises:
        SourceError: no event is said to be true, or none to be false, so there is nothing to tell apart.
    """
    verdicts = [entry for one in reviewed for entry in one.review.events]
    if not any(entry.true_label and entry.verdict != "missed" for entry in verdicts):
        raise SourceError("no event is said to be true in these reviews; a threshold needs true and false ones")
    if not any(entry.verdict == "false" for entry in verdicts):
        raise SourceError("no event is said to be false in these reviews; the threshold may stay as it is")
    lowest = max(one.review.threshold for one in reviewed)
    told = [_told(with_threshold(rule, level), reviewed) for level in _levels(lowest)]
    best = max(one.f1 for one in told)
    runs = [list(run) for is_best, run in itertools.groupby(told, lambda one: one.f1 == best) if is_best]
    chosen = max(runs, key=len)
    return with_threshold(rule, chosen[(len(chosen) - 1) // 2].threshold), told


def _levels(lowest: float) -> list[float]:
    """The thresholds to try, with the one that was reviewed as the first."""
    return [lowest, *(level for level in THRESHOLDS.tolist() if level > lowest)]


def _told(rule: EventRule, reviewed: Sequence[ReviewedResult]) -> Told:
    found = missed = false = untold = 0
    for one in reviewed:
        timeline, entries = one.timeline, one.review.events
        arrays = timeline.starts, timeline.ends, timeline.scores, timeline.probabilities
        events = find_events(*arrays, timeline.class_names, rule)
        true = [entry for entry in entries if entry.true_label]
        denied = [entry for entry in entries if entry.verdict == "false"]
        hits = sum(any(belongs(entry, event) for event in events) for entry in true)
        found, missed = found + hits, missed + len(true) - hits
        others = [event for event in events if not any(belongs(entry, event) for entry in true)]
        wrong = sum(any(belongs(entry, event) for entry in denied) for event in others)
        false, untold = false + wrong, untold + len(others) - wrong
    return Told(rule.threshold, found, missed, false, untold)


def below_reviewed(rule: EventRule, reviewed: Sequence[ReviewedResult]) -> str | None:
    """A line on added events that no threshold finds which was reviewed, and from which on one of them is found."""
    lowest = max(one.review.threshold for one in reviewed)
    scores = []
    for one in reviewed:
        timeline = one.timeline
        arrays = timeline.starts, timeline.ends, timeline.scores, timeline.probabilities
        events = find_events(*arrays, timeline.class_names, with_threshold(rule, lowest))
        for entry in one.review.events:
            if entry.verdict == "missed" and not any(belongs(entry, event) for event in events):
                inside = timeline.scores[(timeline.ends > entry.start) & (timeline.starts < entry.end)]
                scores.append(float(inside.max()) if inside.size else 0.0)
    below = [score for score in scores if score < lowest]
    if not below:
        return None
    return (
        f"{len(below)} missed below {lowest:.2f}, the lowest threshold that was reviewed; the first appears at "
        f"{max(below):.2f}: to have lower thresholds tried, go down to there in the pages, judge, and save again"
    )


def one_rule(reviewed: Sequence[ReviewedResult], min_length: float | None) -> EventRule:
    """The rule of all results, whose threshold is to be chosen.

    Raises:
        SourceError: they are of several models, or of rules that differ in more than the threshold.
    """
    first = reviewed[0].timeline
    rules = {replace(one.timeline.rule, threshold=0.0, release=0.0) for one in reviewed}
    if len({one.timeline.model.sha256 for one in reviewed}) > 1:
        raise SourceError("the reviews are of results of several models; calibrate for one model at a time")
    if len(rules) > 1:
        raise SourceError("the reviews are of results of several rules (gap, length, classes left out); give one's")
    return first.rule if min_length is None else replace(first.rule, min_length=min_length)


def describe(chosen: Told) -> str:
    """What the chosen threshold keeps, in a line."""
    line = f"at {chosen.threshold:.2f}: {chosen.found} true events found, {chosen.missed} missed, {chosen.false} false"
    return f"{line}; {chosen.open} events that nobody judged" if chosen.open else line
