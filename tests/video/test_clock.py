from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from dsanet_cli.video.clock import Clock, Gap
from dsanet_cli.video.stamps import StampLine

TICK = Fraction(1, 1000)


def make_clock(rate=25, **options):
    return Clock(TICK, StampLine(TICK, Fraction(rate), reordered=False), **options)


def test_clock_takes_stamps_as_they_are():
    clock = make_clock()
    assert [clock.place(stamp, 40) for stamp in (500, 540, 900)] == [0.0, 0.04, 0.4]
    assert clock.end == 0.44


def test_clock_lasts_one_frame_where_the_duration_is_missing():
    clock = make_clock(50)
    clock.place(0, None)
    assert clock.end == 0.02
    clock.place(100, 0)
    assert clock.end == 0.12


def test_clock_counts_frames_where_stamps_are_missing():
    clock = make_clock()
    assert [clock.place(None, None) for _ in range(3)] == [0.0, 0.04, 0.08]


def test_clock_accepts_equal_stamps():
    clock = make_clock()
    assert [clock.place(stamp, 40) for stamp in (0, 40, 40, 80)] == [0.0, 0.04, 0.04, 0.08]


@pytest.mark.parametrize(
    ("first", "start"),
    [(1500, 1.0), (500, 0.0), (400, 0.0), (11_000, 0.0)],
)
def test_clock_starts_with_the_file_if_that_can_be(first, start):
    clock = make_clock(zero=500, latest=10.0)
    assert clock.place(first, 40) == clock.start == start


def place_all(*parts):
    """A clock after runs of frames 40 ms apart, each (start in ms, frames)."""
    clock = make_clock()
    for start, frames in parts:
        for index in range(frames):
            clock.place(start + 40 * index, 40)
    return clock


def place_distances(distances):
    """A clock after frames at these distances in ms."""
    clock = make_clock()
    for stamp in itertools.accumulate(distances, initial=0):
        clock.place(stamp, None)
    return clock


def test_a_gap_between_frames_that_are_evenly_spread_is_sure():
    clock = place_all((0, 25), (9000, 25))
    assert clock.gaps() == ((Gap(1.0, 9.0, lost=False),), ())


def test_a_gap_is_told_when_it_ends():
    clock = place_all((0, 25))
    assert clock.gap_before is None
    clock.place(9000, 40)
    assert clock.gap_before == 1.0
    clock.place(9040, 40)
    assert clock.gap_before is None


def test_a_second_is_no_gap():
    assert place_all((0, 25), (1960, 25)).gaps() == ((), ())
    assert place_all((0, 25), (1961, 25)).gaps() == ((Gap(1.0, 1.961, lost=False),), ())


def test_gaps_are_unsure_where_distances_vary():
    clock = place_distances([20, 40, 300, 900] * 5 + [9000] + [20, 40, 300, 900] * 5)
    sure, unsure = clock.gaps()
    assert sure == ()
    assert [round(gap.end - gap.start, 2) for gap in unsure] == [8.96]


def test_gaps_between_frames_that_are_evenly_spread_are_sure_however_many():
    clock = place_all((0, 25), (9000, 25), (20_000, 25), (60_000, 25))
    sure, unsure = clock.gaps()
    assert (len(sure), len(unsure)) == (3, 0)


@pytest.mark.parametrize("distances", [[25, 55], [0, 80], [30, 60, 35, 35], [40, 40, 40, 80]])
def test_gaps_are_sure_where_stamps_are_a_little_off(distances):
    sure, unsure = place_distances(distances * 20 + [9000] + distances * 20).gaps()
    assert (len(sure), len(unsure)) == (1, 0)


@pytest.mark.parametrize("distances", [[40] * 50 + [900], [40] * 8 + [400], [20, 20, 200, 200]])
def test_gaps_are_unsure_where_some_distances_are_long(distances):
    sure, unsure = place_distances(distances * 10 + [9000] + distances * 10).gaps()
    assert (len(sure), len(unsure)) == (0, 1)


def test_one_long_distance_makes_no_doubt():
    sure, unsure = place_distances([40] * 100 + [9000] + [40] * 40 + [500] + [40] * 40).gaps()
    assert (len(sure), len(unsure)) == (1, 0)


def test_a_gap_at_the_start_ends_a_snippet_whatever_follows():
    clock = place_all((0, 3), (9000, 1))
    assert clock.gap_before == 0.12


def test_a_gap_with_a_reason_is_sure():
    clock = place_distances([40] * 8 + [400] + [9000])
    clock.place(90_000, 40, lost=True)
    sure, unsure = clock.gaps()
    assert ([gap.end for gap in sure], len(unsure)) == ([90.0], 1)


def test_the_rate_leaves_gaps_out():
    assert place_all((0, 25), (9000, 26)).rate() == 25
    assert make_clock().rate() is None
