from __future__ import annotations

import math

import numpy as np
import pytest

from dsanet_cli.calibrate.rates import Rate, parse_rate, rates, verdict
from dsanet_cli.config import EventRule
from dsanet_cli.errors import UsageError
from dsanet_cli.timeline.calibration import ScoreCurve

RULE = EventRule(threshold=0.5, release=0.35, merge_gap=1.0, min_length=0.5)


def curve(*peaks, hours=1):
    """Scores of 0.1 with peaks of one snippet, a minute apart."""
    scores = np.full(hours * 3600, 0.1, np.float32)
    scores[60 : 60 * (len(peaks) + 1) : 60] = peaks
    times = np.arange(len(scores) + 1, dtype=float)
    return ScoreCurve(times[:-1], times[1:], scores)


@pytest.mark.parametrize(
    ("text", "per_hour"),
    [
        ("12/hour", 12),
        ("1/day", 1 / 24),
        ("0.5/week", 0.5 / 168),
        ("3 / h", 3),
        ("2/Days", 2 / 24),
        ("1/month", 1 / 720),
    ],
)
def test_rates_are_read_as_people_write_them(text, per_hour):
    assert parse_rate(text) == pytest.approx(per_hour)


@pytest.mark.parametrize("text", ["", "1", "1/", "/day", "1/year of grace", "-1/day", "0/day", "nan/day", "1/day x"])
def test_what_is_no_rate_is_said(text):
    with pytest.raises(UsageError, match="such as 1/day"):
        parse_rate(text)


def test_false_alarms_are_counted_at_every_threshold():
    found = {rate.threshold: rate for rate in rates(RULE, [curve(0.4, 0.6, 0.8), curve(0.9, hours=2)])}
    assert [found[level].events for level in (0.3, 0.5, 0.7, 0.85, 0.95)] == [4, 3, 2, 1, 0]
    assert found[0.5].seconds == 3
    assert found[0.5].hours == 3
    assert found[0.5].per_hour == 1


@pytest.mark.parametrize(("events", "bound"), [(0, -math.log(0.05)), (1, 4.744), (5, 10.513)])
def test_the_bound_is_that_of_a_poisson_count(events, bound):
    assert Rate(0.5, events, 0.0, hours=2.0).at_most == pytest.approx(bound / 2, rel=1e-3)


def test_three_hours_without_an_alarm_bound_the_rate_at_one_an_hour():
    assert Rate(0.5, 0, 0.0, hours=3.0).at_most == pytest.approx(1, abs=2e-3)


def test_what_two_hours_cannot_say_of_a_day_is_said():
    text = verdict(Rate(0.62, 0, 0.0, hours=2.0), 1 / 24)
    assert "no false alarms in 2.0 h" in text
    assert "at most 1.5 an hour, with 95 % confidence" in text
    assert "To promise 1.0 a day takes 72 h" in text


@pytest.mark.parametrize(
    ("hours", "text"), [(24 / 3600, "24 s"), (0.1, "6 min"), (0.99, "59 min"), (1, "1.0 h"), (400, "400.0 h")]
)
def test_short_footage_is_not_said_to_last_no_hours(hours, text):
    assert f"no false alarms in {text} at" in verdict(Rate(0.62, 0, 0.0, hours), 1.0)


def test_enough_footage_is_not_asked_for_more():
    text = verdict(Rate(0.62, 3, 9.0, hours=10.0), 1.0)
    assert text == "3 false alarms in 10.0 h at 0.62: the rate is at most 18.6 a day, with 95 % confidence"


def test_a_bound_above_what_was_asked_for_is_not_hidden():
    text = verdict(Rate(0.62, 9, 40.0, hours=10.0), 1.0)
    assert text.startswith("9 false alarms in 10.0 h at 0.62: the rate is at most 1.6 an hour")
    assert text.endswith("more footage narrows that")


def test_footage_that_no_threshold_tames_is_said():
    text = verdict(Rate(0.99, 40, 900.0, hours=1.0), 1.0)
    assert text.startswith("even the highest threshold, 0.99, gives 40 false alarms in 1.0 h")
