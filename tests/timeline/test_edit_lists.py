"""Edit lists, against a reader of their own and OpenTimelineIO."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction

import opentimelineio as otio
import pytest
from timelines import timeline

from dsanet_cli.errors import UsageError
from dsanet_cli.timeline import edit_lists
from dsanet_cli.timeline.edit_lists import write_edl, write_otio
from dsanet_cli.timeline.facts import VideoFacts

NTSC = Fraction(30000, 1001)


def video(**facts):
    made = timeline([0.0, 0.9, 0.8, 0.1, 0.75], 60.0)
    known = {
        "path": "in/yard.mp4",
        "frames": 1,
        "duration": 300.0,
        "fps": Fraction(25),
        "real_path": "/nas/in/yard.mp4",
    }
    return dataclasses.replace(made, video=VideoFacts(**{**known, **facts}))


def edl(**facts):
    stream = io.StringIO()
    write_edl(video(**facts), stream)
    return stream.getvalue()


def test_an_edit_for_each_event():
    assert edl() == (
        "TITLE: yard\nFCM: NON-DROP FRAME\n"
        "\n001  AX       V     C        00:01:00:00 00:03:00:00 00:00:00:00 00:02:00:00\n"
        "* FROM CLIP NAME: yard.mp4\n* COMMENT: explosion 0.90\n"
        "\n002  AX       V     C        00:04:00:00 00:05:00:00 00:02:00:00 00:03:00:00\n"
        "* FROM CLIP NAME: yard.mp4\n* COMMENT: explosion 0.75\n"
    )


def test_rates_and_the_start_of_the_time_code():
    dropping = edl(fps=NTSC)
    assert "FCM: DROP FRAME" in dropping
    assert " 00:00:59;28 00:02:59;29 " in dropping, "frames 1798 and 5395, the nearest to 60 and 180 s"
    assert " 10:01:00:12 10:03:00:12 00:00:00:00 " in edl(timecode="10:00:00:12")
    assert "FCM: NON-DROP FRAME" in edl(fps=NTSC, timecode="01:00:00:00")


def test_names_fit_on_a_line_of_an_old_program():
    name = "Küche\n* LOC: x --> " + 100 * "x" + ".mp4"
    lines = edl(path=f"in/{name}").splitlines()
    assert all(len(line) < 90 and line.isascii() for line in lines)
    assert len(lines) == len(edl().splitlines())


@pytest.mark.parametrize("fps", [Fraction(25), NTSC, Fraction(24)])
def test_opentimelineio_reads_the_same_events(fps):
    stream = io.StringIO()
    write_otio(video(fps=fps, timecode="10:00:00:00"), stream)
    read = otio.adapters.read_from_string(stream.getvalue(), "otio_json")
    recording, events = read.tracks
    (whole,) = recording
    assert whole.media_reference.target_url == "file:///nas/in/yard.mp4"
    assert whole.available_range() == whole.source_range
    assert whole.duration().to_seconds() == pytest.approx(300, abs=0.04)
    first = whole.source_range.start_time
    assert first.to_timecode(rate=first.rate, drop_frame=False) == "10:00:00:00"
    clips = [clip for clip in events if isinstance(clip, otio.schema.Clip)]
    assert [clip.metadata["dsanet"]["label"] for clip in clips] == ["explosion", "explosion"]
    for found in (
        [(events.range_of_child(clip).start_time, clip.duration()) for clip in clips],
        [((mark.marked_range.start_time - first), mark.marked_range.duration) for mark in whole.markers],
    ):
        seconds = [(start.to_seconds(), length.to_seconds()) for start, length in found]
        assert seconds == [pytest.approx(span, abs=0.07) for span in ((60, 120), (240, 60))]
    for clip in clips:
        assert clip.available_range().start_time <= clip.source_range.start_time
        assert clip.source_range.end_time_exclusive() <= clip.available_range().end_time_exclusive()


def test_without_opentimelineio(monkeypatch):
    monkeypatch.setattr(edit_lists.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="OpenTimelineIO is not installed"):
        edit_lists.check_otio()
