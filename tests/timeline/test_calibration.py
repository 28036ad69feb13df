from __future__ import annotations

import numpy as np

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.calibration import THRESHOLDS, ScoreCurve, calibrate


def curve(*scores: float) -> ScoreCurve:
    starts = np.arange(len(scores), dtype=np.float64) * 60
    return ScoreCurve(starts, starts + 60, np.array(scores, dtype=np.float32))


def test_the_threshold_lies_above_what_normal_videos_reach():
    rule = calibrate(EventRule(), [curve(0.1, 0.62, 0.1), curve(0.2, 0.2, 0.2)], false_events_per_hour=0)
    assert 0.62 < rule.threshold <= 0.64
    assert rule.release < rule.threshold


def test_allowed_false_events_lower_it():
    hour = curve(*[0.1] * 20, 0.9, *[0.1] * 20, 0.6, *[0.1] * 18)
    assert calibrate(EventRule(), [hour], false_events_per_hour=1).threshold < 0.9
    assert calibrate(EventRule(), [hour], false_events_per_hour=0).threshold > 0.9


def test_quiet_videos_give_the_lowest_threshold():
    assert calibrate(EventRule(), [curve(0.0, 0.01)], 1).threshold == THRESHOLDS[0]


def test_where_nothing_is_enough_the_highest_is_taken():
    assert calibrate(EventRule(), [curve(1.0)], 0).threshold == THRESHOLDS[-1]


def test_gap_and_length_are_kept():
    rule = calibrate(EventRule(merge_gap=7, min_length=3), [curve(0.1)], 1)
    assert (rule.merge_gap, rule.min_length) == (7, 3)
