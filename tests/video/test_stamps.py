from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from dsanet_cli.video.stamps import AHEAD, StampLine

TICK = Fraction(1, 1000)
FRAMES = 400
EVEN = [40 * index for index in range(FRAMES)]


def believe(stamps, reordered=False, **options):
    """What is made of the stamps of a stream in decoding order."""
    line = StampLine(TICK, Fraction(25), reordered, **options)
    return [
        line.believe(stamp, [later for later in stamps[at + 1 : at + 1 + AHEAD] if later is not None])
        for at, stamp in enumerate(stamps)
    ]


def values(stamps, reordered=False, **options):
    return [believed.stamp for believed in believe(stamps, reordered, **options)]


def with_b_frames(stamps):
    """In decoding order: I P B B P B B."""
    rest = [[stamps[at + 2], stamps[at], stamps[at + 1]] for at in range(1, len(stamps) - 2, 3)]
    return [stamps[0], *(stamp for three in rest for stamp in three)]


@pytest.mark.parametrize("rate", [1, 25, 60])
def test_even_stamps_are_believed(rate):
    stamps = [round(1000 * index / rate) for index in range(100)]
    for order, reordered in ((stamps, False), (with_b_frames(stamps), True)):
        found = believe(order, reordered)
        assert [believed.stamp for believed in found] == order
        assert not any(believed.guessed or believed.gap for believed in found)


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize("error", [9000, -9000, 400_000_000, -400_000_000])
@pytest.mark.parametrize("at", [0, 1, 7, 87, FRAMES - 10])
def test_a_stray_stamp_is_replaced(reordered, error, at):
    stamps = with_b_frames(EVEN) if reordered else list(EVEN)
    strayed = [*stamps[:at], stamps[at] + error, *stamps[at + 1 :]]
    found = believe(strayed, reordered)
    assert [believed.guessed for believed in found] == [index == at for index in range(len(stamps))]
    np.testing.assert_allclose([believed.stamp for believed in found], stamps, atol=200 if reordered else 40)


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.05])
def test_many_stray_stamps_are_replaced(reordered, share):
    for seed in range(20):
        random_numbers = random.Random(seed)
        stamps = with_b_frames(EVEN) if reordered else EVEN
        strayed = [
            stamp + random_numbers.randint(-450_000_000, 450_000_000) if random_numbers.random() < share else stamp
            for stamp in stamps
        ]
        np.testing.assert_allclose(sorted(values(strayed, reordered)), sorted(stamps), atol=200)


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize("second", [-8000, 0, 3_600_000 * 25])
def test_time_goes_on_where_recordings_are_joined(reordered, second):
    order = with_b_frames if reordered else list
    one, other = order(EVEN[:100]), order([second + stamp for stamp in EVEN[:100]])
    found = values(one + other, reordered, longest_gap=3600.0)
    assert found == one + [max(one) + 40 + stamp - second for stamp in other]


@pytest.mark.parametrize("reordered", [False, True])
def test_time_goes_on_after_every_restart(reordered):
    part = (with_b_frames if reordered else list)(EVEN[:100])
    found = values(part * 4, reordered, longest_gap=3600.0)
    length = max(part) - min(part) + 40
    assert found == [stamp + number * length for number in range(4) for stamp in part]


@pytest.mark.parametrize("reordered", [False, True])
@pytest.mark.parametrize("seconds", [2, 20, 3000])
def test_a_gap_is_believed(reordered, seconds):
    order = with_b_frames if reordered else list
    one, other = order(EVEN[:100]), order([1000 * seconds + stamp for stamp in EVEN[100:200]])
    found = believe(one + other, reordered, longest_gap=3600.0)
    assert [believed.stamp for believed in found] == one + other
    assert [index for index, believed in enumerate(found) if believed.gap] == [len(one)]


def test_a_last_frame_that_is_far_off_is_not_believed():
    assert values([*EVEN, EVEN[-1] + 9000])[-1] == EVEN[-1] + 40


def test_time_lapse_is_believed():
    stamps = np.cumsum([5000, 30_000, 2000, 60_000, 1000, 12_000] * 20).tolist()
    assert values(stamps) == stamps


def test_variable_distances_are_believed_up_to_the_end():
    stamps = np.cumsum([40, 200, 20, 500] * 40).tolist()
    assert values(stamps) == stamps


def test_few_frames_are_believed():
    assert values([0, 40, 40_000_000]) == [0, 40, 40_000_000]


def test_missing_stamps_are_filled_in():
    assert values([None if index % 7 == 3 else stamp for index, stamp in enumerate(EVEN)]) == EVEN
    order = with_b_frames(EVEN)
    found = values([None if index % 17 == 3 else stamp for index, stamp in enumerate(order)], reordered=True)
    np.testing.assert_allclose(sorted(found), sorted(order), atol=1)


def test_no_stamps_at_all_are_none():
    assert values([None] * 50) == [None] * 50


def test_stamps_that_stand_still_are_not_believed():
    found = values([0] * 50)
    assert found[3:] == [40 * index for index in range(1, 48)]


def test_pairs_with_one_stamp_are_believed():
    stamps = [stamp for stamp in EVEN for _ in range(2)]
    assert values(stamps) == stamps


def test_the_latest_stray_is_remembered():
    line = StampLine(TICK, Fraction(25), reordered=False)
    stamps = [*EVEN[:50], 77_000, *EVEN[50:]]
    for at, stamp in enumerate(stamps):
        line.believe(stamp, stamps[at + 1 : at + 1 + AHEAD])
    assert line.latest_stray == 77_000


def test_another_recording_is_seen_coming():
    line = StampLine(TICK, Fraction(25), reordered=False)
    stamps = EVEN[:50] + EVEN[:50]
    coming = []
    for at, stamp in enumerate(stamps):
        ahead = stamps[at + 1 : at + 1 + AHEAD]
        line.believe(stamp, ahead)
        coming.append(line.starts_anew(ahead))
    assert [at for at, comes in enumerate(coming) if comes][-1] == 49
    assert sum(coming) <= AHEAD


def test_any_stamps_give_times_that_go_on():
    """Whatever the stamps: as many frames, and no time that runs away from them."""
    for seed in range(30):
        numbers = random.Random(seed)
        stamps = []
        for _ in range(numbers.randint(1, 6)):
            start, step = numbers.choice([0, 5000, 2**33 // 90, -4000]), numbers.choice([20, 33, 40])
            stamps += [start + step * index for index in range(numbers.randint(40, 200))]
        found = values(stamps, longest_gap=3600.0)
        assert all(after > before for before, after in pairwise(found))
        assert found[-1] - found[0] < 40 * len(stamps) + 6 * 10_000
