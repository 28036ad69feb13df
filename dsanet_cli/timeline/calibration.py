"""Choose the event threshold from normal videos alone: as low as false alarms allow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.timeline import find_events

THRESHOLDS = np.round(np.arange(0.30, 0.991, 0.01), 2)
RELEASE_SHARE = 0.7
"""Of the threshold: where an event ends."""
SECONDS_PER_EVENT = 20.0
"""That a false event may last on average, so that a curve that is always high does not pass for one event."""


@dataclass(frozen=True)
class ScoreCurve:
    """A video's snippet times in seconds, (N,) each, and its anomaly scores (N,) in 0..1."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    scores: NDArray[np.float32]

    @property
    def hours(self) -> float:
        """That its snippets last."""
        return float((self.ends - self.starts).sum()) / 3600


def calibrate(
    rule: EventRule,
    normal: Sequence[ScoreCurve],
    false_events_per_hour: float,
    seconds_per_event: float = SECONDS_PER_EVENT,
) -> EventRule:
    """The lowest threshold down to which false events on ``normal`` videos stay within what is allowed.

    Thresholds are tried from the highest one down, to the first that lets through too many events, or too long
    ones: lower ones may again give fewer events, since events merge.

    Args:
        rule: Its gap and length are kept.
        normal: Videos in which nothing abnormal happens.
        false_events_per_hour: That are allowed.
        seconds_per_event: That they may last together, for each event allowed.

    Returns:
        ``rule`` with another threshold and release; the highest threshold where even that lets through too much.
    """
    allowed = false_events_per_hour * sum(curve.hours for curve in normal)
    found = with_threshold(rule, THRESHOLDS[-1])
    for threshold in THRESHOLDS[::-1]:
        candidate = with_threshold(rule, threshold)
        lengths = false_event_lengths(candidate, normal)
        if len(lengths) > allowed or sum(lengths) > allowed * seconds_per_event:
            break
        found = candidate
    return found


def with_threshold(rule: EventRule, threshold: float) -> EventRule:
    """The rule with another threshold, and the release that goes with it."""
    return dataclasses.replace(rule, threshold=float(threshold), release=round(RELEASE_SHARE * float(threshold), 3))


def false_event_lengths(rule: EventRule, normal: Sequence[ScoreCurve]) -> list[float]:
    """Seconds that each event lasts which ``rule`` finds on videos in which nothing abnormal happens."""
    return [length for curve in normal for length in _event_lengths(curve, rule)]


def _event_lengths(curve: ScoreCurve, rule: EventRule) -> list[float]:
    """Seconds that each event lasts."""
    any_class = np.ones((len(curve.scores), 2), dtype=np.float32)
    events = find_events(curve.starts, curve.ends, curve.scores, any_class, ("normal", "anomaly"), rule)
    return [event.end - event.start for event in events]
