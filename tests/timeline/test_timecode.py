"""Time code, against what television defines and against OpenTimelineIO."""

from __future__ import annotations

from fractions import Fraction

import opentimelineio as otio
import pytest

from dsanet_cli.timeline.facts import VideoFacts
from dsanet_cli.timeline.timecode import counting, first_frame


def count(fps, timecode=None):
    return counting(VideoFacts("a.mp4", 1, 1.0, fps=None if fps is None else Fraction(fps), timecode=timecode))


def test_drop_frame_leaves_out_numbers_but_no_frames():
    ntsc = count("30000/1001")
    assert [ntsc.code(frame) for frame in (0, 29, 30, 1799, 1800, 17981, 17982, 107892)] == [
        "00:00:00;00", "00:00:00;29", "00:00:01;00", "00:00:59;29", "00:01:00;02", "00:09:59;29", "00:10:00;00",
        "01:00:00;00",
    ]  # fmt: skip
    assert ntsc.code(ntsc.frame(3600)) == "01:00:00;00", "it keeps up with the clock"
    fast = count("60000/1001")
    assert [fast.code(frame) for frame in (3599, 3600, 215784)] == ["00:00:59;59", "00:01:00;04", "01:00:00;00"]


@pytest.mark.parametrize("fps", ["24", "25", "30", "50", "60", "24000/1001", "30000/1001", "60000/1001"])
def test_time_codes_are_those_of_opentimelineio(fps):
    ours = count(fps)
    for frame in (0, 1, 1799, 1800, 1801, 17981, 17982, 53946, 100_000, 2_000_000):
        time = otio.opentime.RationalTime(frame, float(Fraction(fps)))
        assert ours.code(frame) == time.to_timecode()
        if frame < 24 * 3600 * ours.rate:
            assert ours.number(ours.code(frame)) == frame


@pytest.mark.parametrize(
    ("fps", "nominal", "drop"),
    [
        ("25", 25, False),
        ("2997/100", 30, True),  # as some files round it
        ("24000/1001", 24, False),
        ("15", 15, False),
        ("25/2", 25, False),  # no time code counts halves; the times are right all the same
        ("1000", 25, False),
        ("1/3", 25, False),
        (None, 25, False),
    ],
)
def test_which_rates_are_counted_how(fps, nominal, drop):
    found = count(fps)
    assert (found.nominal, found.drop) == (nominal, drop)
    assert found.code(found.frame(3600.0)).startswith(("01:00:00", "00:59:56"))


def test_the_time_code_of_the_file_counts_on():
    own = VideoFacts("a.mov", 1, 1.0, fps=Fraction(30000, 1001), timecode="10:00:00:12")
    assert not counting(own).drop, "as the file says"
    assert counting(own).code(first_frame(own, counting(own)) + 18) == "10:00:01:00"
    dropping = VideoFacts("a.mov", 1, 1.0, fps=Fraction(30000, 1001), timecode="10:00:00;12")
    assert counting(dropping).code(first_frame(dropping, counting(dropping))) == "10:00:00;12"
    for text in ("", "noon", "25:00:00:00", "10:00:00:30", "10:61:00:00"):
        assert first_frame(VideoFacts("a.mov", 1, 1.0, fps=Fraction(30), timecode=text or None), count("30")) == 0
    assert count("25").code(24 * 3600 * 25 + 1) == "00:00:00:01", "after a day it starts again"
