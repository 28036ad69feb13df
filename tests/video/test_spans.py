from __future__ import annotations

import bisect
import itertools
import random

import pytest

from dsanet_cli.video.spans import LONGEST_STILL, SpanLine

PUBLISHED, SCENES = 16 / 30, 16 / 25


def lay(starts, end, frames=16, seconds=None, gaps=None, even=False):
    line = SpanLine(frames, seconds, even)
    for number, start in enumerate(starts):
        assert line.add(start, (gaps or {}).get(number)) == number
    line.finish(end)
    assert line.settled == line.count == len(starts)
    return line.complete


def steady(rate, frames):
    return [number / rate for number in range(frames)], frames / rate


def lengths(spans):
    return [span.length for span in spans]


def check(spans, starts, end, gaps):
    """What holds of all spans; ``gaps`` are the starts of holes by the number of the frame after them."""
    assert [span.index for span in spans] == list(range(len(spans)))
    held = [number for span in spans for number in range(span.first, span.first + span.length)]
    assert held == list(range(len(starts)))
    assert spans[0].start == starts[0]
    assert spans[-1].end == end
    for before, after in itertools.pairwise(spans):
        joined = before.end == after.start
        assert joined or (before.end, after.start) in {(gap, starts[number]) for number, gap in gaps.items()}
    for span in spans:
        assert span.start < span.end
        assert not any(span.start < gap < starts[number] < span.end for number, gap in gaps.items())
        if span.length:
            assert span.start == starts[span.first]
        else:
            middle = (span.start + span.end) / 2
            place = bisect.bisect(starts, middle)
            nearest = min(abs(start - middle) for start in starts[max(0, place - 1) : place + 1])
            # across a hole, the frame before it
            assert abs(starts[span.first] - middle) == pytest.approx(nearest) or any(
                starts[span.first] < gap < starts[number] and gap >= span.end for number, gap in gaps.items()
            )


@pytest.mark.parametrize("seed", range(60))
def test_every_frame_is_in_one_snippet_and_none_reaches_over_a_hole(seed):
    rng = random.Random(seed)
    rate = rng.choice([0.5, 1, 2, 5, 7.3, 10, 12.5, 15, 23.976, 25, 29.97, 50, 60, 120])
    seconds = rng.choice([0.1, 0.25, PUBLISHED, SCENES, 1.0, 3.7, 60])
    jitter = rng.choice([0, 0, 0.001, 0.3]) / rate
    starts, gaps, time = [], {}, rng.choice([0.0, 3.2])
    for number in range(rng.randrange(1, 400)):
        if number and rng.random() < 0.02:
            gaps[number] = starts[-1] + 1 / rate
            time += rng.uniform(2, 30) / min(rate, 1)
        starts.append(time + rng.uniform(0, jitter))
        time += 1 / rate
    end = starts[-1] + 1 / rate
    spans = lay(starts, end, seconds=seconds, gaps=gaps)
    check(spans, starts, end, gaps)
    if not gaps:
        inner = [span.end - span.start for span in spans[:-1]]
        step = min(1 / rate, seconds) + 2 * jitter
        assert all(abs(length - seconds) <= step + 0.02 * seconds + 0.002 for length in inner)


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 1000])
@pytest.mark.parametrize(
    ("rate", "seconds"), [(30, PUBLISHED), (30_000 / 1001, PUBLISHED), (25, SCENES), (24_000 / 1001, 16 / 24)]
)
def test_at_the_rate_that_a_model_was_trained_at_snippets_by_time_are_those_by_frames(rate, seconds, frames):
    starts, end = steady(rate, frames)
    assert lay(starts, end, seconds=seconds) == lay(starts, end)
    milliseconds = [round(start, 3) for start in starts]
    assert lay(milliseconds, end, seconds=seconds) == lay(milliseconds, end)


def test_at_that_rate_stamps_that_jitter_change_nothing():
    rng = random.Random(1)
    starts = [max(0.0, number / 25 + rng.uniform(-0.008, 0.008)) for number in range(4000)]
    spans = lay(starts, 160, seconds=SCENES)
    assert lengths(spans) == [16] * 250


def test_ntsc_rates_never_drift():
    starts, end = steady(30_000 / 1001, 6250 * 16)
    assert set(lengths(lay(starts, end, seconds=PUBLISHED))) == {16}
    milliseconds = [round(start, 3) for start in starts]
    assert set(lengths(lay(milliseconds, end, seconds=PUBLISHED))) == {16}


@pytest.mark.parametrize("rate", [30_000 / 1001, 24.9, 59.94, 119.88])
def test_rows_of_features_stay_where_they_belong(rate):
    starts, end = steady(rate, round(600 * rate))
    for span in lay(starts, end, seconds=PUBLISHED, even=True):
        assert abs(span.start - span.index * PUBLISHED) <= 0.5 / rate + 0.002


@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [
        (60, PUBLISHED, [32, 32, 32, 32]),
        (50, SCENES, [32, 32, 32, 32]),
        (15, PUBLISHED, [8, 8, 8, 8]),
        (60, SCENES, [38, 39, 38, 39, 38, 38, 39, 38, 39, 38]),
        (25, PUBLISHED, [13, 14, 13, 13, 14, 13]),
        (10, SCENES, [6, 7, 6, 7, 6, 6, 7, 6]),
        (5, SCENES, [3, 3, 4, 3, 3, 3, 3, 4]),
        (5, PUBLISHED, [3, 2, 3, 3, 2, 3]),
        (1, SCENES, [1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1]),
    ],
)
def test_borders_move_to_the_nearest_frame_and_stay_where_they_belong(rate, seconds, expected):
    starts, end = steady(rate, 2000)
    spans = lay(starts, end, seconds=seconds)
    assert lengths(spans)[: len(expected)] == expected
    for span in spans:
        assert abs(span.start - span.index * seconds) <= min(1 / rate, seconds) / 2 + 0.001
    assert len(spans) == pytest.approx(end / seconds, abs=1)


def test_a_snippet_without_a_frame_looks_at_the_nearest():
    spans = lay([0.0, 1.0, 2.0], 3.0, seconds=0.25)
    assert [span.first for span in spans] == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert [span.start for span in spans] == [quarter / 4 for quarter in range(12)]
    assert [list(span.numbers) for span in spans[:2]] == [[0], [0]]
    assert lengths(spans) == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]


def test_before_a_hole_it_looks_at_the_frame_before():
    spans = lay([0.0, 1.0, 9.0], 10.0, seconds=0.5, gaps={2: 2.0})
    assert [(span.start, span.end, span.first) for span in spans] == [
        (0, 0.5, 0),
        (0.5, 1, 1),
        (1, 1.5, 1),
        (1.5, 2, 1),
        (9, 9.5, 2),
        (9.5, 10, 2),
    ]


def test_after_a_long_pause_snippets_begin_anew():
    pause = LONGEST_STILL + 3.1
    spans = lay([0.0, 0.5, 1.0, 1.0 + pause, 1.5 + pause], 2.0 + pause, seconds=1.0)
    assert [(span.start, span.end, span.length) for span in spans] == [
        (0, 1, 2),
        (1, 1 + pause, 1),
        (1 + pause, 2 + pause, 2),
    ]
    assert len(lay([0.0, LONGEST_STILL], LONGEST_STILL + 1, seconds=1.0)) == LONGEST_STILL + 1


def test_frames_by_the_minute_have_a_snippet_each():
    starts = [60.0 * number for number in range(5)]
    assert lengths(lay(starts, 300.0, seconds=SCENES))[:4] == [1, 1, 1, 1]


def test_the_end_of_a_video_cuts_its_last_snippet_short():
    for seconds in (None, SCENES):
        assert [span.whole for span in lay(*steady(25, 32), seconds=seconds)] == [True, True]
        assert [span.whole for span in lay(*steady(25, 33), seconds=seconds)] == [True, True, False]
        assert [span.whole for span in lay(*steady(25, 3), seconds=seconds)] == [False]


def test_holes_cut_snippets_of_frames_short_or_not():
    starts = [*(number / 25 for number in range(20)), *(5 + number / 25 for number in range(20))]
    gaps = {20: 0.8}
    assert lengths(lay(starts, 5.8, gaps=gaps)) == [16, 4, 16, 4]
    assert lengths(lay(starts, 5.8, gaps=gaps, even=True)) == [16, 16, 8]
    assert lengths(lay(starts, 5.8, gaps=gaps, seconds=SCENES)) == [16, 4, 16, 4]


def test_all_of_a_snippet_is_known_when_the_next_begins():
    line = SpanLine(2)
    for number in range(5):
        line.add(float(number))
    assert [(span.first, span.end) for span in line.complete] == [(0, 2.0), (2, 4.0)]
    assert line.settled == 4
