from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from media import remux, write_video
from tiny import WIDTH

from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.dry_run import Plan, Speed, describe, measure, plan_work
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.video.options import ReadOptions

SETTINGS = PipelineSettings(jobs=2)


def source(path):
    return Source(Path(path), Path(path).with_suffix(""))


def test_headers_say_how_long_videos_are(tmp_path):
    one = source(write_video(tmp_path / "a.mp4", 100))
    other = source(write_video(tmp_path / "b.mp4", 50))
    bad, features = source(tmp_path / "gone.mp4"), source(tmp_path / "a.npy")
    failed = []
    plan = plan_work([one, bad, features, other], 3, SETTINGS, lambda *failure: failed.append(failure))
    assert list(plan.lengths.items()) == [(one, 4.0), (other, 2.0)]
    assert (plan.features, plan.done) == (1, 3)
    assert [(at, "no such file" in str(error)) for at, error in failed] == [(bad, True)]


@pytest.mark.parametrize(("frames", "least", "most"), [(100, 7.9, 8.1), (1000, 60, 79)])
def test_a_minute_is_measured_or_all_there_is(tiny_model, tmp_path, frames, least, most):
    sources = [source(write_video(tmp_path / f"{name}.mp4", frames, height=32, width=48)) for name in "ab"]
    detector = Detector(load_model(str(tiny_model)), DetectSettings(device="cpu"))
    speed = measure(sources, detector.pipeline(SETTINGS))
    assert least <= speed.video <= most
    assert speed.elapsed > 0
    assert set(speed.sources) == set(sources)


def test_the_estimate_says_what_it_is_based_on():
    names = [source(f"{name}.mp4") for name in "abcde"]
    lengths = dict(zip(names, [3600.0, 7200.0, 0.0, 60.0, 60.0], strict=True))
    speed = Speed(60.0, 6.0, names)
    assert list(describe(Plan(lengths, 2, 4), speed)) == [
        "a.mp4: 1:00:00",
        "b.mp4: 2:00:00",
        "c.mp4: of unknown length",
        "d.mp4: 1:00",
        "e.mp4: 1:00",
        "5 videos to analyse, 3:02:00 in all; 1 of unknown length; 2 feature files to score; 4 done already",
        "about 0:18:12 on this machine, since 60 s of a.mp4, b.mp4, c.mp4 and 2 more took 6.0 s",
    ]
    assert list(describe(Plan({}, 0, 4), None)) == ["0 videos to analyse, 0:00:00 in all; 4 done already"]


def test_a_dry_run_writes_nothing_and_knows_what_is_done(tiny_model, tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4", 50)
    np.save(tmp_path / "in" / "b.npy", np.ones((4, WIDTH), np.float32))
    (tmp_path / "in" / "c.mp4").write_text("no video")
    command = ("detect", "in", "--model", tiny_model)
    result = run(*command, "--dry-run", cwd=tmp_path)
    assert result.returncode == 3
    lines = result.stdout.splitlines()
    assert lines[:2] == [
        "in/a.mp4: 0:02",
        "1 video to analyse, 0:00:02 in all; 1 feature file to score; 0 done already",
    ]
    assert lines[2].startswith("about 0:00:0")
    assert "since 2 s of in/a.mp4 took" in lines[2]
    assert "error: in/c.mp4: not a video" in result.stderr
    assert not (tmp_path / "dsanet-results").exists()
    run(*command, cwd=tmp_path)
    assert run(*command, "--dry-run", cwd=tmp_path).stdout == "0 videos to analyse, 0:00:00 in all; 2 done already\n"


def test_only_the_part_asked_for_counts(tiny_model, tmp_path):
    write_video(tmp_path / "a.mp4", 500)
    write_video(tmp_path / "b.mp4", 100)
    write_video(tmp_path / "c.mp4", 200)
    part = ("--from", "5", "--to", "13")
    result = run("detect", "a.mp4", "b.mp4", "c.mp4", "--model", tiny_model, "--dry-run", *part, cwd=tmp_path)
    assert result.stdout.splitlines()[:3] == [
        "a.mp4: 0:08",
        "c.mp4: 0:03",
        "2 videos to analyse, 0:00:11 in all; 0 done already",
    ]
    assert "since 11 s of" in result.stdout
    assert "error: b.mp4: lasts 4.0 s, so nothing of it is after --from 5" in result.stderr
    assert result.returncode == 3


def test_what_is_said_of_a_video_counts(tmp_path):
    bare = source(remux(write_video(tmp_path / "a.avi", 50, codec="mjpeg", pix_fmt="yuvj420p"), tmp_path / "a.mjpeg"))
    failed = []
    plan_work([bare], 0, SETTINGS, lambda *failure: failed.append(failure), ReadOptions(stream=1))
    ((_, error),) = failed
    assert "there is no --stream 1" in str(error)
