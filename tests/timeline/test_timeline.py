import dataclasses
import time

import numpy as np
import pytest

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.timeline import build_timeline, column_maxima, find_events, snippet_labels

CLASSES = ("normal", "fighting", "explosion")
RULE = EventRule(threshold=0.5, release=0.3, merge_gap=2.0, min_length=0.5)


def events_of(scores, rule=RULE, starts=None, ends=None, probabilities=None):
    """Events of snippets of one second each, unless times are given."""
    scores = np.array(scores, np.float32)
    starts = np.arange(len(scores), dtype=np.float64) if starts is None else np.array(starts, np.float64)
    ends = starts + 1 if ends is None else np.array(ends, np.float64)
    if probabilities is None:
        probabilities = np.stack([1 - scores, scores * 0.9, scores * 0.1], axis=1)
    return find_events(starts, ends, scores, np.array(probabilities, np.float32), CLASSES, rule)


def spans(*args, **kwargs):
    return [(e.start, e.end) for e in events_of(*args, **kwargs)]


def build(scores=(0.1, 0.9), **changes):
    scores = np.array(scores)
    facts = {
        "video": VideoFacts("a.mp4", 32, 2.0),
        "model": ModelFacts("scenes", "00"),
        "class_names": CLASSES,
        "sampling": Sampling(16, 4, "fp32"),
        "rule": RULE,
        "starts": np.arange(len(scores)),
        "ends": np.arange(len(scores)) + 1,
        "scores": scores,
        "probabilities": np.stack([1 - scores, scores, scores * 0], axis=1),
    }
    return build_timeline(**(facts | changes))


def test_no_score_reaches_the_threshold():
    assert spans([0.1, 0.49, 0.4, 0.1]) == []


def test_an_event_extends_to_both_sides_down_to_the_release():
    assert spans([0.1, 0.3, 0.4, 0.6, 0.35, 0.29, 0.1]) == [(1, 5)]


def test_an_event_may_touch_both_ends():
    assert spans([0.4, 0.6, 0.4]) == [(0, 3)]
    assert spans([0.9]) == [(0, 1)]


def test_the_release_alone_starts_nothing():
    assert spans([0.9, 0.1, 0.1, 0.1, 0.4, 0.4, 0.4]) == [(0, 1)]


def test_thresholds_are_inclusive_in_single_precision():
    assert spans([0.3, 0.7, 0.3], dataclasses.replace(RULE, threshold=0.7)) == [(0, 3)]


def test_a_release_above_the_threshold_counts_as_the_threshold():
    assert spans([0.2, 0.55, 0.9, 0.45], dataclasses.replace(RULE, release=0.8)) == [(1, 3)]


@pytest.mark.parametrize(("gap", "expected"), [(1.0, [(0, 1), (2, 3)]), (1.1, [(0, 3)])])
def test_gaps_shorter_than_merge_gap_are_merged(gap, expected):
    assert spans([0.9, 0.1, 0.9], dataclasses.replace(RULE, merge_gap=gap)) == expected


def test_merging_chains():
    assert spans([0.9, 0, 0.9, 0, 0.9, 0, 0, 0.9]) == [(0, 5), (7, 8)]


def test_what_only_reaches_the_release_bridges_nothing():
    rule = dataclasses.replace(RULE, merge_gap=2.5)
    assert spans([0.9, 0, 0, 0.4, 0, 0, 0.9], rule) == [(0, 1), (6, 7)]


def test_merging_comes_before_dropping_the_short():
    rule = dataclasses.replace(RULE, min_length=2.5)
    assert spans([0.9, 0, 0.9, 0, 0, 0, 0.9, 0.9], rule) == [(0, 3)]


@pytest.mark.parametrize(("length", "found"), [(2.0, 1), (2.01, 0)])
def test_the_minimum_length_is_inclusive_despite_rounding(length, found):
    starts = np.array([0.1, 1.1, 2.1]) + 0.2  # 2.3 - 0.3 is not 2
    rule = dataclasses.replace(RULE, min_length=length)
    assert len(spans([0.9, 0.9, 0.0], rule, starts=starts)) == found


def test_unanalysed_time_ends_an_event_like_any_other_gap():
    scores, starts = [0.9, 0.4, 0.4, 0.9], [0, 1, 5, 6]
    assert spans(scores, starts=starts) == [(0, 2), (5, 7)]
    assert spans(scores, dataclasses.replace(RULE, merge_gap=3.5), starts=starts) == [(0, 7)]


def test_beyond_a_hole_the_threshold_is_needed_again():
    assert spans([0.9, 0.4, 0.4, 0.4], starts=[0, 1, 5, 6]) == [(0, 2)]


def test_touching_snippets_stay_together_without_merging():
    starts = np.arange(6) * 0.1
    ends = starts + 0.1  # differs from the next start by rounding
    rule = dataclasses.replace(RULE, merge_gap=0.0, min_length=0.0)
    assert len(events_of([0.9] * 6, rule, starts, ends)) == 1


def test_the_peak_is_the_centre_of_the_highest_snippet():
    (event,) = events_of([0.1, 0.6, 0.95, 0.7], starts=[0, 1, 2, 3], ends=[1, 2, 3, 3.4])
    assert event.peak_time == 2.5
    assert event.peak_score == pytest.approx(0.95)
    assert (event.start, event.end) == (1, 3.4)


def test_probabilities_are_the_mean_weighted_by_score():
    probabilities = [[0.2, 0.7, 0.1], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]]
    (event,) = events_of([0.9, 0.6, 0.3], probabilities=probabilities)
    expected = np.average(probabilities, axis=0, weights=[0.9, 0.6, 0.3])
    assert event.probabilities == pytest.approx(expected)
    assert event.label == "fighting"  # 0.44 to 0.35; the plain mean says 0.367 to 0.367


def test_probabilities_are_renormalised():
    (event,) = events_of([0.9, 0.9], probabilities=[[0.2, 0.1, 0.1]] * 2)
    assert event.probabilities == pytest.approx((0.5, 0.25, 0.25))


def test_an_event_is_never_called_normal():
    (event,) = events_of([0.9], probabilities=[[0.8, 0.05, 0.15]])
    assert event.label == "explosion"


def test_a_threshold_of_zero_takes_all():
    rule = EventRule(threshold=0.0, release=0.0, merge_gap=0.0, min_length=0.0)
    (event,) = events_of([0.0, 0.0], rule, probabilities=[[0.8, 0.2, 0.0], [0.8, 0.0, 0.2]])
    assert (event.start, event.end) == (0, 2)
    assert event.probabilities == pytest.approx((0.8, 0.1, 0.1))


def test_against_a_plain_loop():
    generator = np.random.default_rng(7)
    for _ in range(200):
        n = int(generator.integers(1, 60))
        scores = np.round(generator.random(n) ** 2, 2).astype(np.float32)
        starts = np.cumsum(1 + 3 * (generator.random(n) < 0.1))
        rule = EventRule(0.6, 0.35, float(generator.integers(0, 4)) + 0.5, float(generator.integers(0, 4)))
        assert spans(scores, rule, starts=starts) == loop_spans(scores, starts, starts + 1, rule)


def loop_spans(scores, starts, ends, rule):
    runs, current = [], None
    for i, score in enumerate(scores):
        apart = current is not None and starts[i] - ends[i - 1] >= rule.merge_gap
        if current is not None and (score < rule.release or apart):
            runs.append(current)
            current = None
        if score >= rule.release:
            current = [i] if current is None else [*current, i]
    runs = [*runs, current] if current else runs
    merged: list[list[float]] = []
    for run in runs:
        if max(scores[run]) < np.float32(rule.threshold):
            continue
        if merged and starts[run[0]] - merged[-1][1] < rule.merge_gap:
            merged[-1][1] = ends[run[-1]]
        else:
            merged.append([starts[run[0]], ends[run[-1]]])
    return [(a, b) for a, b in merged if b - a >= rule.min_length]


def test_ten_hours_take_no_time():
    n = 56_250
    generator = np.random.default_rng(0)
    scores = np.repeat(generator.random(n // 10), 10)
    began = time.perf_counter()
    events = events_of(scores, starts=np.arange(n) * 0.64, ends=np.arange(1, n + 1) * 0.64)
    assert time.perf_counter() - began < 1.0
    assert len(events) > 500


def test_snippets_below_the_threshold_are_normal():
    probabilities = np.array([[0.9, 0.02, 0.08], [0.9, 0.02, 0.08], [0.1, 0.5, 0.4]])
    assert snippet_labels(np.array([0.49, 0.5, 0.9]), probabilities, 0.5).tolist() == [0, 2, 1]


def test_the_verdict_is_that_of_the_highest_event():
    timeline = build(
        [0.7, 0.7, 0.7, 0.0, 0.0, 0.0, 0.9],
        probabilities=np.array([[0.3, 0.7, 0]] * 3 + [[1.0, 0, 0]] * 3 + [[0.1, 0.0, 0.9]]),
    )
    assert [e.label for e in timeline.events] == ["fighting", "explosion"]
    assert timeline.verdict.anomalous is True
    assert timeline.verdict.label == "explosion"
    assert timeline.verdict.score == pytest.approx(0.9)


def test_a_video_without_events_is_normal_whatever_its_highest_score():
    timeline = build([0.1, 0.9], rule=dataclasses.replace(RULE, min_length=5.0))
    assert timeline.events == ()
    assert timeline.verdict.anomalous is False
    assert timeline.verdict.label == "normal"
    assert timeline.verdict.score == pytest.approx(0.9)


def test_a_timeline_holds_what_it_was_given():
    timeline = build([0.1, 0.9], coverage=Coverage(0.9, ((2.0, 2.2),)))
    assert timeline.coverage.holes == ((2.0, 2.2),)
    assert timeline.starts.dtype == timeline.ends.dtype == np.float64
    assert timeline.scores.dtype == timeline.probabilities.dtype == np.float32
    assert timeline.labels.tolist() == [0, 1]
    assert build().coverage == Coverage(1.0, ())


def test_rounding_errors_are_taken_back_to_0_and_1():
    timeline = build([0.1, 1 + 1e-6], probabilities=np.array([[1 + 1e-6, -1e-6, 0], [0, 1, 0]]))
    assert timeline.scores[1] == 1
    assert timeline.probabilities[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": np.arange(3)},
        {"scores": np.array([0.1, np.nan])},
        {"scores": np.array([0.1, 1.2])},
        {"probabilities": np.full((2, 3), -0.1)},
        {"probabilities": np.full((2, 2), 0.5)},
        {"class_names": ("normal",), "probabilities": np.ones((2, 1))},
        {"class_names": ("normal", "a", "a")},
        {"ends": np.array([1.0, np.inf])},
        {"ends": np.array([1.0, 0.5])},
        {"starts": np.array([0.5, 0.0]), "ends": np.array([1.0, 1.0])},
        {"starts": np.array([0.0, 0.0]), "ends": np.array([2.0, 1.0])},
    ],
)
def test_what_does_not_fit_is_refused(changes):
    with pytest.raises(ValueError, match=r"fit|not in 0\.\.1|distinct|ends before|order"):
        build(**({"rule": dataclasses.replace(RULE, threshold=0.99)} | changes))


def test_a_timeline_has_at_least_one_snippet():
    with pytest.raises(ValueError, match="needs snippets"):
        build([])


def test_samplings_on_two_devices_are_the_same():
    assert Sampling(16, 4, "bf16", "cpu") == Sampling(16, 4, "bf16", "cuda:0")
    assert Sampling(16, 4, "bf16") != Sampling(16, 8, "bf16")


def test_columns_take_the_highest_of_what_they_touch():
    starts, ends = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    values = np.array([[0.1, 0.9], [0.5, 0.2], [0.3, 0.4]], np.float32)
    narrow = column_maxima(starts, ends, values, np.linspace(0, 3, 7))
    assert narrow[:, 0] == pytest.approx([0.1, 0.1, 0.5, 0.5, 0.3, 0.3])
    wide = column_maxima(starts, ends, values, np.array([0.0, 1.5, 3.0]))
    assert wide == pytest.approx(np.array([[0.5, 0.9], [0.5, 0.4]]))
    assert column_maxima(starts, ends, values, np.array([0.0, 3.0])) == pytest.approx(np.array([[0.5, 0.9]]))


def test_columns_without_a_snippet_are_empty():
    starts, ends = np.array([1.0, 4.0]), np.array([2.0, 5.0])
    columns = column_maxima(starts, ends, np.array([[0.2], [0.7]], np.float32), np.arange(8.0))
    assert columns[:, 0] == pytest.approx([np.nan, 0.2, np.nan, np.nan, 0.7, np.nan, np.nan], nan_ok=True)
