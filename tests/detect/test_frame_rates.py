"""Snippets that last some time, whatever the frame rate."""

from __future__ import annotations

import dataclasses
import itertools
import json
from fractions import Fraction

import av
import numpy as np
import pytest
from commands import check_results, run
from media import picture, read_number, restamp, write_video
from tiny import WIDTH, save_tiny_model
from typer.testing import CliRunner

from dsanet_cli.cli.app import app
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.library import Detector as PublicDetector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.errors import FeatureError, ModelError
from dsanet_cli.features.sidecar import Extraction, MadeFrom, write_extraction
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.batcher import FrameBatcher

EXACT = {"device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def timed_model(tmp_path_factory):
    """A model whose snippets last 0.64 s: 16 frames at 25 a second."""
    directory = tmp_path_factory.mktemp("timed") / "timed"
    save_tiny_model(directory, snippet_seconds=0.64)
    return directory


@pytest.fixture
def detect(timed_model, tmp_path, monkeypatch):
    """The JSON results of the command, by name."""

    def analyse(*arguments):
        monkeypatch.chdir(tmp_path)
        command = ("detect", "--model", timed_model, "-f", "json", "-o", "out", *arguments)
        done = CliRunner().invoke(app, [*map(str, command)])
        assert done.exit_code == 0, done.output
        check_results(tmp_path / "out")
        return results(tmp_path / "out")

    return analyse


def results(folder):
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.fixture
def seen(monkeypatch):
    """Numbers of the frames that reach the encoder, a list for each snippet."""
    found = []
    add = FrameBatcher.add

    def spy(self, key, snippet):
        found.append([read_number(frame) for frame in snippet.frames])
        add(self, key, snippet)

    monkeypatch.setattr(FrameBatcher, "add", spy)
    return found


def test_snippets_last_as_long_at_every_rate(timed_model, tmp_path):
    rates = {"slow": 1, "five": 5, "ten": 10, "native": 25, "ntsc": Fraction(24_000, 1001), "sixty": 60}
    for name, rate in rates.items():
        write_video(tmp_path / f"{name}.mp4", round(12.8 * rate), rate=rate, gop=max(1, round(2 * rate)), b_frames=2)
    videos = (f"{name}.mp4" for name in rates)
    done = run("detect", "--model", timed_model, "-f", "json", "-o", "out", *videos, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "out")
    for name, rate in rates.items():
        snippets = found[name]["snippets"]
        assert len(snippets) == pytest.approx(20, abs=1), name
        assert snippets[0]["start"] == 0
        assert snippets[-1]["end"] == found[name]["video"]["duration"]
        for number, (before, after) in enumerate(itertools.pairwise(snippets), 1):
            assert before["end"] == after["start"]
            assert abs(after["start"] - 0.64 * number) <= min(1 / rate, 0.64) / 2 + 0.01
        sampling = found[name]["sampling"]
        assert (sampling["snippet_seconds"], sampling["snippet_frames"]) == (0.64, 16)
        assert found[name]["coverage"]["analysed"] == 1


def test_the_length_can_be_chosen_and_decides_whether_a_result_is_kept(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", 100)
    assert len(detect("clip.mp4")["clip"]["snippets"]) == 7
    found = detect("clip.mp4", "--snippet-seconds", "1", "--skip-existing")["clip"]
    assert [snippet["start"] for snippet in found["snippets"]] == [0, 1, 2, 3]
    assert found["sampling"]["snippet_seconds"] == 1
    refused = CliRunner().invoke(app, ["detect", "clip.mp4", "--snippet-seconds", "0.01"])
    assert (refused.exit_code, "0.1" in refused.output) == (2, True)


@pytest.mark.parametrize("frames", [5, 100, 400])
def test_at_the_rate_of_the_training_nothing_changes(tiny_model, tmp_path, frames):
    path = write_video(tmp_path / "clip.mp4", frames, b_frames=2)
    model = load_model(str(tiny_model))
    by_frames = Detector(model, DetectSettings(**EXACT)).detect(path).timeline
    by_time = Detector(model, DetectSettings(**EXACT, snippet_seconds=16 / 25)).detect(path).timeline
    assert by_frames.sampling.snippet_seconds is None
    sampling = dataclasses.replace(by_time.sampling, snippet_seconds=None)
    assert dataclasses.replace(by_time, sampling=sampling).to_json() == by_frames.to_json()


def test_a_snippet_without_a_frame_shows_the_nearest(timed_model, tmp_path, seen):
    path = write_video(tmp_path / "clip.mp4", 4, rate=1, gop=2)
    timeline = Detector(load_model(str(timed_model)), DetectSettings(**EXACT, sampled_frames=3)).detect(path).timeline
    assert seen == [[0], [1], [1], [2], [3], [3]]
    assert timeline.starts.tolist() == pytest.approx([0, 0.64, 1, 2, 2.56, 3])
    assert timeline.video.frames == 4


@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_both_decoders_share_frames_between_snippets_and_chunks(timed_model, tmp_path, seen, monkeypatch, codec):
    monkeypatch.setattr("dsanet_cli.video.demux.Demuxer.chunks.__defaults__", (4,), raising=False)
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / "clip.avi", 12, rate=1, codec=codec, pix_fmt=pix_fmt, gop=3)
    settings = DetectSettings(**EXACT, snippet_seconds=0.25)
    Detector(load_model(str(timed_model)), settings).detect(path)
    assert [number for (number,) in seen] == [0, 0, *(number for number in range(1, 11) for _ in range(4)), *[11] * 6]


def test_snippets_end_at_holes(detect, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", 120, rate=10, gop=10)
    restamp(whole, tmp_path / "clip.mkv", lambda number, time: None if 40 <= number < 80 else time)
    found = detect("clip.mkv")["clip"]
    assert found["coverage"]["holes"] == [[4.0, 8.0]]
    assert not any(s["start"] < 8 and s["end"] > 4 for s in found["snippets"])
    assert {4.0, 12.0} <= {s["end"] for s in found["snippets"]}
    assert 8.0 in {s["start"] for s in found["snippets"]}


def test_a_part_begins_with_a_snippet_of_its_own(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", 100, rate=10)
    snippets = detect("clip.mp4", "--from", "2.3", "--to", "5")["clip"]["snippets"]
    assert (snippets[0]["start"], snippets[-1]["end"]) == (2.3, 5.0)
    assert len(snippets) == 5


def test_a_scan_has_the_same_snippets(detect, tmp_path):
    for rate in (1, 10):
        write_video(tmp_path / "clip.mp4", 20 * rate, rate=rate, gop=4 * rate)
        full = detect("clip.mp4", "--overwrite")["clip"]["snippets"]
        for level in ("0", "1"):
            scan = detect("clip.mp4", "--overwrite", "--scan", "--scan-level", level)["clip"]
            assert [(s["start"], s["end"]) for s in scan["snippets"]] == [(s["start"], s["end"]) for s in full]
        assert scan["coverage"]["scanned"] == [[0, 20]]


def test_pictures_come_at_the_rate_that_is_given(detect, tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(8):
        with av.open(str(tmp_path / "frames" / f"{number}.png"), "w") as container:
            stream = container.add_stream("png", rate=1)
            stream.height, stream.width, stream.pix_fmt = 96, 128, "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), "rgb24")))
            container.mux(stream.encode())
    (found,) = detect("frames/*.png", "--fps", "2").values()
    assert len(found["snippets"]) == 6
    assert found["snippets"][-1]["end"] == 4
    found = detect("frames/*.png", "--fps", "1", "--skip-existing")
    assert [len(one["snippets"]) for one in found.values()] == [13]


def test_frames_in_memory_go_by_time(timed_model):
    with PublicDetector.load(str(timed_model), DetectSettings(**EXACT)) as detector:
        for rate in (1, 5, 25, 60):
            frames = ((number / rate, picture(number % 4096)) for number in range(round(6.4 * rate)))
            timeline = detector.detect_frames(frames)
            assert len(timeline.scores) == pytest.approx(10, abs=1)
            assert timeline.sampling.snippet_seconds == 0.64
            assert timeline.starts.tolist() == sorted(timeline.starts)


@pytest.fixture
def features(timed_model, tmp_path):
    """Writes a feature file of five snippets with a note beside it, and names it."""

    def write(fps=None, **changes):
        config = load_model(str(timed_model)).config
        made = MadeFrom("a", "/a.mp4", 1, 1, 5, (0,), "0", frames=90, fps=fps)
        note = Extraction(
            config.encoder,
            str(config.encoder_sha256),
            config.preprocessing,
            16,
            (0,),
            "float32",
            "fp32",
            videos=(made,),
        )
        write_extraction(tmp_path, dataclasses.replace(note, **changes))
        np.save(tmp_path / "a__0.npy", np.ones((5, WIDTH), np.float32))
        return tmp_path / "a__0.npy"

    return write


def test_features_last_as_long_as_their_note_says(timed_model, features):
    detector = Detector(load_model(str(timed_model)), DetectSettings(**EXACT))
    timeline = detector.detect(features()).timeline
    assert (timeline.ends[-1], timeline.video.fps) == (pytest.approx(5 * 16 / 30), 30)
    assert timeline.sampling.snippet_seconds is None
    detector = Detector(detector.model, DetectSettings(**EXACT))
    timeline = detector.detect(features("25/2")).timeline
    assert (timeline.ends[-1], timeline.video.fps) == (pytest.approx(5 * 16 / 12.5), 12.5)
    detector = Detector(detector.model, DetectSettings(**EXACT))
    timeline = detector.detect(features("25/2", snippet_seconds=0.64)).timeline
    assert (timeline.ends[-1], timeline.video.frames) == (pytest.approx(3.2), 40)
    assert timeline.sampling.snippet_seconds == 0.64
    detector = Detector(detector.model, DetectSettings(**EXACT, feature_fps=Fraction(50)))
    assert detector.detect(features("25/2")).timeline.ends[-1] == pytest.approx(5 * 16 / 50)


def test_features_of_another_length_are_refused(timed_model, tiny_model, features):
    path = features("25/1", snippet_seconds=1.0)
    for model, own in ((timed_model, r"0\.64 s"), (tiny_model, "16 frames")):
        with pytest.raises(FeatureError, match=rf"a__0\.npy: features of snippets of 1 s, not of {own}; extract"):
            Detector(load_model(str(model)), DetectSettings(**EXACT)).detect(path)


def test_resuming_knows_the_rate_and_length_of_features(detect, features, tmp_path):
    features("25/1")
    command = ("a__0.npy", "--skip-existing")
    assert detect(*command)["a__0"]["snippets"][-1]["end"] == pytest.approx(5 * 0.64, abs=1e-3)
    features("25/2")
    assert detect(*command)["a__0"]["snippets"][-1]["end"] == pytest.approx(5 * 1.28, abs=1e-3)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 61.0, float("nan"), "long"])
def test_a_model_has_a_length_within_bounds(timed_model, tmp_path, seconds):
    for file in timed_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"snippet_seconds": seconds}))
    with pytest.raises(ModelError):
        load_model(str(tmp_path))
