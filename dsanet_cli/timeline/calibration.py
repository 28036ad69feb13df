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


@dataclass(frozen=True)
class ScoreCurve:
    """A video's snippet times in seconds, (N,) each, and its anomaly scores (N,) in 0..1."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    scores: NDArray[np.float32]


def calibrate(rule: EventRule, normal: Sequence[ScoreCurve], false_events_per_hour: float) -> EventRule:
    """The lowest threshold that keeps false events on ``normal`` videos within the given rate.

    Args:
        rule: Its gap and length are kept.
        normal: Videos in which nothing abnormal happens.
        false_events_per_hour: The rate to stay within; where no threshold does, the highest is taken.

    Returns:
        ``rule`` with another threshold and release.
    """
    hours = sum(float((curve.ends - curve.starts).sum()) for curve in normal) / 3600
    for threshold in THRESHOLDS.tolist():
        candidate = dataclasses.replace(rule, threshold=threshold, release=round(RELEASE_SHARE * threshold, 3))
        if sum(_count_events(curve, candidate) for curve in normal) <= false_events_per_hour * hours:
            return candidate
    return candidate


def _count_events(curve: ScoreCurve, rule: EventRule) -> int:
    any_class = np.ones((len(curve.scores), 2), dtype=np.float32)
    return len(find_events(curve.starts, curve.ends, curve.scores, any_class, ("normal", "anomaly"), rule))
