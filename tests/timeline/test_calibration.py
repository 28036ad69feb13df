from __future__ import annotations

import numpy as np
import pytest

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.calibration import THRESHOLDS, ScoreCurve, calibrate

MINUTE = 60
LOWEST, HIGHEST = THRESHOLDS[0], THRESHOLDS[-1]


def curve(*scores: float, seconds: float = MINUTE) -> ScoreCurve:
    starts = np.arange(len(scores), dtype=np.float64) * seconds
    return ScoreCurve(starts, starts + seconds, np.array(scores, dtype=np.float32))


def hour(**peaks: float) -> ScoreCurve:
    """An hour in snippets of 10 seconds at 0.1; ``peaks`` are scores by number, such as ``s30=0.9``."""
    scores = np.full(360, 0.1)
    for name, score in peaks.items():
        scores[int(name[1:])] = score
    return curve(*scores, seconds=10)


def threshold(*normal: ScoreCurve, rate: float = 1, **settings: float) -> float:
    return calibrate(EventRule(), normal, rate, **settings).threshold


def test_the_threshold_lies_above_what_normal_videos_reach():
    assert threshold(curve(0.1, 0.62, 0.1), curve(0.2, 0.2, 0.2), rate=0) == 0.63


def test_allowed_false_events_lower_it():
    normal = hour(s30=0.9, s200=0.6)
    assert threshold(normal, rate=0) == 0.91
    assert threshold(normal, rate=1) == 0.61
    assert threshold(normal, rate=2) == LOWEST


def test_the_rate_is_per_hour_of_all_videos():
    """One event an hour, in two hours: two are allowed, and none in the first minute alone."""
    assert threshold(hour(s30=0.9), hour(s30=0.9)) == LOWEST
    assert threshold(hour(s30=0.9, s200=0.8), hour()) == LOWEST
    assert threshold(hour(s30=0.9, s200=0.8), hour(s30=0.7)) == 0.71
    assert threshold(curve(0.1, 0.9, 0.1, seconds=20), rate=1) == 0.91
    assert threshold(curve(0.1, 0.9, 0.1, seconds=20), rate=60) == LOWEST


def test_a_curve_that_is_always_high_is_no_single_event():
    assert threshold(curve(*[0.9] * 60), rate=3) == 0.91


def test_false_events_may_last_20_seconds_each():
    """30 seconds at 0.8: with one event allowed too long, with two just right."""
    normal = hour(s30=0.8, s31=0.8, s32=0.8)
    assert threshold(normal, rate=1) == 0.81
    assert threshold(normal, rate=1.5) == LOWEST
    assert threshold(normal, rate=1, seconds_per_event=30) == LOWEST
    assert threshold(normal, rate=1, seconds_per_event=29) == 0.81


def test_an_event_lasts_as_long_as_it_holds_its_release():
    """Beside a peak of 0.9, scores of 0.5 belong to its event once 0.7 of the threshold is below them."""
    normal = hour(s29=0.5, s30=0.9, s31=0.5)
    assert threshold(normal, rate=1) == 0.72
    assert calibrate(EventRule(), [normal], 1).release == pytest.approx(0.7 * 0.72)


def test_it_ends_above_the_first_threshold_that_lets_too_much_through():
    """Below 0.5 the two events become one, which is allowed; between, they are two."""
    normal = hour(s30=0.8, s31=0.36, s32=0.8)
    assert threshold(normal, rate=1, seconds_per_event=100) == 0.81


def test_quiet_videos_give_the_lowest_threshold():
    assert threshold(curve(0.0, 0.01)) == LOWEST


def test_where_nothing_is_enough_the_highest_is_taken():
    assert threshold(curve(1.0), rate=0) == HIGHEST


def test_gap_and_length_are_kept():
    rule = calibrate(EventRule(merge_gap=7, min_length=3), [curve(0.1)], 1)
    assert (rule.merge_gap, rule.min_length) == (7, 3)
