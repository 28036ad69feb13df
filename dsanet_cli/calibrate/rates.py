"""False alarms per hour against the threshold, and what so many hours of footage can say about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import gammaincinv

from dsanet_cli.config import EventRule
from dsanet_cli.errors import UsageError
from dsanet_cli.timeline.calibration import (
    SECONDS_PER_EVENT,
    THRESHOLDS,
    ScoreCurve,
    false_event_lengths,
    with_threshold,
)

CONFIDENCE = 0.95
HOURS_IN = {"hour": 1.0, "h": 1.0, "day": 24.0, "d": 24.0, "week": 168.0, "w": 168.0, "month": 720.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*([a-z]+?)s?")


@dataclass(frozen=True)
class Rate:
    """False alarms at one threshold, on footage in which nothing abnormal happens."""

    threshold: float
    events: int
    seconds: float
    """Spent in them."""
    hours: float
    """Of footage."""

    @property
    def per_hour(self) -> float:
        """False alarms in an hour, as counted."""
        return self.events / self.hours

    @property
    def at_most(self) -> float:
        """False alarms in an hour that the true rate lies below with 95 % confidence.

        The exact upper bound for a Poisson count; where none was counted it is the rule of three, 3 / hours.
        """
        return float(gammaincinv(self.events + 1, CONFIDENCE)) / self.hours


def parse_rate(text: str) -> float:
    """``1/day``, ``12/hour`` or ``0.5/week`` as false alarms per hour.

    Raises:
        UsageError: it is none of these, or zero.
    """
    match = _RATE.fullmatch(text.strip().lower())
    if match is None or match[2] not in HOURS_IN or float(match[1]) == 0:
        raise UsageError(f"--false-alarms {text}: write a number and a time, such as 1/day, 12/hour or 0.5/week")
    return float(match[1]) / HOURS_IN[match[2]]


def rates(rule: EventRule, normal: Sequence[ScoreCurve]) -> list[Rate]:
    """The false alarms at every threshold that a calibration can choose, the lowest first."""
    hours = sum(curve.hours for curve in normal)
    found = []
    for threshold in THRESHOLDS.tolist():
        lengths = false_event_lengths(with_threshold(rule, threshold), normal)
        found.append(Rate(threshold, len(lengths), sum(lengths), hours))
    return found


def verdict(chosen: Rate, allowed_per_hour: float) -> str:
    """What the footage says about the threshold that was chosen, and what it cannot say.

    Args:
        chosen: At the threshold that was chosen.
        allowed_per_hour: False alarms per hour that were asked for.
    """
    allowed = allowed_per_hour * chosen.hours
    counted = f"{chosen.events or 'no'} false alarm{'s' * (chosen.events != 1)} in {format_hours(chosen.hours)}"
    if chosen.events > allowed or chosen.seconds > allowed * SECONDS_PER_EVENT:
        return (
            f"even the highest threshold, {chosen.threshold:.2f}, gives {counted}, more or longer ones than allowed: "
            "mask what raises them, or take another model"
        )
    bound = f"{counted} at {chosen.threshold:.2f}: the rate is at most {_per(chosen.at_most)}, with 95 % confidence"
    if chosen.at_most <= allowed_per_hour:
        return bound
    needed = Rate(chosen.threshold, 0, 0.0, hours=1.0).at_most / allowed_per_hour
    if needed <= chosen.hours:
        return f"{bound}; more footage narrows that"
    return f"{bound}. To promise {_per(allowed_per_hour)} takes {needed:.0f} h of normal footage without a false alarm"


def format_hours(hours: float) -> str:
    """``2.5 h``, ``24 min`` or ``24 s``, whichever is no string of zeros."""
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 30 else f"{3600 * hours:.0f} s"


def _per(per_hour: float) -> str:
    """A rate in the unit in which it is easiest to read."""
    if per_hour >= 1:
        return f"{per_hour:.1f} an hour"
    return f"{24 * per_hour:.1f} a day" if 24 * per_hour >= 1 else f"{168 * per_hour:.2g} a week"
