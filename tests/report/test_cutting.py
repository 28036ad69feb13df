"""Clips and films in this process: what is in the files, and when they go."""

from __future__ import annotations

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media import write_moving_bar, write_video
from timelines import timeline

from dsanet_cli.detect.decider import DeciderSettings
from dsanet_cli.detect.events import EventsSettings, run_events
from dsanet_cli.report.burning import burn
from dsanet_cli.report.clips import Span
from dsanet_cli.report.cutting import cut
from dsanet_cli.report.films import all_films
from dsanet_cli.timeline.facts import VideoFacts
from dsanet_cli.video.options import ReadOptions

SCORES = [0.0, 0.0, 0.9, 0.8, 0.1, 0.75, 0.1]
"""Of snippets of 0.4 s: events from 0.8 to 1.6 s, and from 2.0 to 2.4 s."""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def alive():
    pass


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_copied_hevc_has_the_tag_that_browsers_and_quicktime_play(suffix):
    video = write_video(
        Path(f"yard.{suffix}"), frames=40, codec="libx265", gop=10, options={"x265-params": "log-level=0"}
    )
    (name,) = cut(video, ReadOptions(), "out", Path("clips"), [Span("one", 0.5, 1.2)], False, alive)
    with av.open(f"out/clips/{name}") as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.codec_tag) == ("hevc", "hvc1")
        assert len(list(clip.decode(stream))) == 20


def combing(path):
    """How much lines differ from those around them, in the part of the picture in which the bar moves."""
    with av.open(str(path)) as film:
        pictures = [frame.to_ndarray(format="gray")[20:76].astype(float) for frame in film.decode(video=0)]
    assert pictures
    return np.mean([np.abs(one[1:-1] - (one[:-2] + one[2:]) / 2).mean() for one in pictures])


def test_films_of_interlaced_videos_are_made_whole():
    video = write_moving_bar(Path("yard.mkv"), 50, interlaced=True, options="tff=1")
    with av.open(str(video)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    (name,) = cut(video, ReadOptions(), "out", Path("clips"), [Span("one", 0.2, 1.6)], True, alive)
    burn(video, ReadOptions(), "out", Path("film.mp4"), timeline(SCORES, 0.4), alive)
    combed = combing(video)
    assert 4 * combing(f"out/clips/{name}") < combed
    assert 4 * combing("out/film.mp4") < combed


def analysed(video, **changes):
    status = os.stat(video)
    facts = VideoFacts(
        video.name, 70, 2.8, Fraction(25), 128, 96, "h264", status.st_size, mtime=status.st_mtime,
        real_path=os.path.realpath(video),
    )  # fmt: skip
    Path("out").mkdir(exist_ok=True)
    Path("out/yard.json").write_text(dataclasses.replace(timeline(SCORES, 0.4), video=facts, **changes).to_json())


def decide(*kinds, **rule):
    films = {True: [], False: []}
    for film in all_films():
        films[film.kind in kinds].append(film)
    settings = DeciderSettings("new", films=tuple(films[True]), other_films=tuple(films[False]), **rule)
    assert run_events(EventsSettings(("out/yard.json",), decider=settings, quiet=True)).failed == 0
    return {path.relative_to("new").parts[0] for path in Path("new").rglob("*") if path.is_file()}


def test_clips_and_films_of_other_events_go_with_their_result():
    analysed(write_video(Path("yard.mp4"), frames=70, gop=25))
    films = {"yard.clips", "yard.clips.csv", "yard.scores.mp4"}
    assert decide("clips", "mp4") >= films
    assert decide() >= films, "the events are the same"
    assert decide("clips", threshold=0.6, release=0.5) & films == {"yard.clips", "yard.clips.csv"}
    assert decide(threshold=0.8, release=0.5) & films == set()
    assert decide("mp4", threshold=0.8, release=0.5) & films == {"yard.scores.mp4"}
    assert decide("clips", threshold=0.8, release=0.5) & films == {"yard.clips", "yard.clips.csv", "yard.scores.mp4"}
    Path("new/yard.clips/mine.mp4").touch()
    Path("new/yard.json").unlink()
    assert decide(threshold=0.8, release=0.5) & films == {"yard.clips"}, "nobody knows of what they were made"
    assert [path.name for path in Path("new/yard.clips").iterdir()] == ["mine.mp4"]
