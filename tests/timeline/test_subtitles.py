"""Subtitles, read back by FFmpeg, which other programs use."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import av
import pytest
from timelines import timeline

from dsanet_cli.timeline.facts import Recorded
from dsanet_cli.timeline.subtitles import write_srt, write_vtt


def written(write, *arguments, **options):
    stream = io.StringIO()
    write(timeline(*arguments, **options), stream)
    return stream.getvalue()


def read(text, suffix):
    with av.open(io.BytesIO(text.encode()), format=suffix) as container:
        return [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base), bytes(packet).decode())
            for packet in container.demux()
            if packet.size
        ]


@pytest.mark.parametrize(("write", "suffix"), [(write_srt, "srt"), (write_vtt, "webvtt")])
def test_players_read_the_events_at_their_times(write, suffix):
    text = written(write, [0.0, 0.9, 0.8, 0.1, 0.75])
    assert read(text, suffix) == [(1.5, 3.0, "explosion 0.90"), (6.0, 1.5, "explosion 0.75")]


def test_how_times_are_written():
    assert written(write_srt, [0.0] * 2 + [0.9], 1861.2345) == ("1\n01:02:02,469 --> 01:33:03,704\nexplosion 0.90\n\n")
    assert written(write_vtt, [0.9], 0.25) == "WEBVTT\n\n1\n00:00:00.000 --> 00:00:00.250\nexplosion 0.90\n"
    assert re.search("^100:", written(write_vtt, [0.0, 0.9], 360_000.0), re.MULTILINE)


def test_without_events():
    assert written(write_srt, [0.1]) == ""
    assert written(write_vtt, [0.1]) == "WEBVTT\n"


def test_names_of_classes_are_no_markup():
    name = "<i>a</i> & {b\\h} --> c"
    srt, vtt = (written(write, [0.9], label=name) for write in (write_srt, write_vtt))
    assert "(i)a(/i) & (b/h) --) c 0.90" in srt
    assert "&lt;i&gt;a&lt;/i&gt; &amp; {b\\h} --&gt; c 0.90" in vtt
    assert len(read(srt, "srt")) == len(read(vtt, "webvtt")) == 1


def test_the_time_of_day_stands_below():
    recorded = Recorded(datetime(2026, 11, 27, 13, 0, 0, 0, UTC), "Europe/Berlin", "name")
    assert "\nexplosion 0.90\n2026-11-27 14:00:01\n" in written(write_srt, [0.0, 0.9], recorded=recorded)
