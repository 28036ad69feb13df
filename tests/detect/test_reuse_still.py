"""``--reuse-still``: what still pictures change in results, and that it is told and compared."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction

import av
import numpy as np
import pytest
from commands import check_results, run
from media import picture

from dsanet_cli.detect.day import Day, Recording
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.errors import UsageError
from dsanet_cli.features.folder import claim_folder
from dsanet_cli.features.sidecar import read_extraction
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import PipelineSettings

FRAMES = 96


def write_still(path, numbers, *, first=0):
    """Write frames without loss that show ``numbers``, each with a little noise of its own."""
    rng = np.random.default_rng(first)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        for at, number in enumerate(numbers):
            noise = rng.normal(0, 3, (96, 128, 3))
            image = np.clip(40 + 0.6 * picture(number) + noise, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def encoded(monkeypatch):
    """Numbers of the pictures that reach the encoder, batch by batch."""
    counts = []
    encode = FrameEncoder.encode

    def spy(self, frames, *arguments):
        counts.append(int(frames.any(axis=(1, 2, 3)).sum()))
        return encode(self, frames, *arguments)

    monkeypatch.setattr(FrameEncoder, "encode", spy)
    return counts


@pytest.fixture
def detector(tiny_model):
    model = load_model(str(tiny_model))
    made = []

    def make(**settings):
        made.append(Detector(model, DetectSettings(device="cpu", precision="fp32", **settings)))
        return made[-1]

    yield make
    for one in made:
        one.close()


STILL_BUT_ONE = [5] * 48 + [9] * 4 + [5] * 44
"""The fourth of six snippets begins with another picture."""


def test_only_what_is_new_is_encoded(tmp_path, detector, encoded):
    path = write_still(tmp_path / "a.mkv", STILL_BUT_ONE)
    whole = detector(sampled_frames=8).detect(path).timeline
    assert (sum(encoded), whole.sampling.reuse_still, whole.sampling.reused) == (48, None, None)
    encoded.clear()
    timeline = detector(sampled_frames=8, reuse_still=2).detect(path).timeline
    assert (sum(encoded), timeline.sampling.reuse_still) == (3, 2)
    assert timeline.sampling.reused == pytest.approx(45 / 48, abs=1e-4)
    assert timeline.coverage == whole.coverage
    np.testing.assert_array_equal(timeline.starts, whole.starts)
    np.testing.assert_allclose(timeline.scores, whole.scores, atol=0.02)  # noise alone makes a difference


def test_several_videos_at_once_get_what_each_gets_alone(tmp_path, detector):
    numbers = {"a": STILL_BUT_ONE, "b": [7] * FRAMES, "c": list(range(FRAMES))}
    sources = [Source(write_still(tmp_path / f"{name}.mkv", said), tmp_path / name) for name, said in numbers.items()]
    one = detector(reuse_still=2)
    together = dict(one.detect_many(sources, PipelineSettings(jobs=3), lambda *_: None))
    for source in sources:
        alone, joint = one.detect(source.path).timeline, together[source].timeline
        np.testing.assert_array_equal(alone.scores, joint.scores)
        assert alone.sampling.reused == joint.sampling.reused
    shares = [together[source].timeline.sampling.reused for source in sources]
    assert shares == [pytest.approx(11 / 12, abs=1e-4), pytest.approx(11 / 12, abs=1e-4), 0]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_scans(tmp_path, detector, encoded, level):
    path = write_still(tmp_path / "a.mkv", [5] * FRAMES)  # each of whose frames is a key frame
    timeline = detector(reuse_still=2, scan_level=level).detect(path).timeline
    assert sum(encoded) == 1
    assert timeline.sampling.reused == pytest.approx(5 / 6 if level else 17 / 18, abs=1e-4)


def test_days(tmp_path, detector):
    files = [write_still(tmp_path / f"{part}.mkv", [5] * 48, first=part) for part in range(2)]
    recordings = tuple(Recording(Source(path, path.with_suffix("")), None, 1.92, None) for path in files)
    day = Source(Day.of("camera/2026-11-27", "camera", recordings), tmp_path / "day")
    ((_, detection),) = detector(reuse_still=2).detect_many([day], PipelineSettings(), lambda *_: None)
    assert detection.timeline.sampling.reused == pytest.approx(10 / 12, abs=1e-4)


def test_frames_in_memory(detector, encoded):
    frames = [(at / 25, picture(number)) for at, number in enumerate(STILL_BUT_ONE)]
    detection = detector(sampled_frames=8, reuse_still=2).detect_frames(iter(frames), "camera", lambda *_: None)
    assert sum(encoded) == 3
    assert detection.timeline.sampling.reused == pytest.approx(45 / 48, abs=1e-4)


def test_the_command_says_what_was_reused_and_compares_the_level(tmp_path, tiny_model):
    write_still(tmp_path / "a.mkv", [5] * FRAMES)

    def detect(*options):
        arguments = "detect", "a.mkv", "--model", tiny_model, "-o", "out", "-f", "json", "--skip-existing", *options
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        sampling = json.loads((tmp_path / "out" / "a.json").read_text())["sampling"]
        return done.stderr, sampling.get("reuse_still"), sampling.get("reused")

    assert detect("--keep-features", "--reuse-still", "2")[1:] == (2, pytest.approx(11 / 12, abs=1e-4))
    check_results(tmp_path / "out")
    kept = read_extraction(tmp_path / "out" / "features")
    assert kept.reuse_still == 2
    assert "1 result of an earlier run kept" in detect("--reuse-still", "2")[0]
    assert detect("--reuse-still", "1.5")[1] == 1.5
    assert detect()[1:] == (None, None)
    with pytest.raises(UsageError, match="--reuse-still 2"):
        claim_folder(tmp_path / "out" / "features", dataclasses.replace(kept, reuse_still=None), [], False)


def test_extract_says_what_was_reused(tmp_path, tiny_model):
    write_still(tmp_path / "a.mkv", STILL_BUT_ONE)
    arguments = "extract", "a.mkv", "--model", tiny_model, "-o", "features", "--crops", "ten", "--reuse-still", "2"
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = read_extraction(tmp_path / "features")
    assert (made.reuse_still, made.videos[0].reused) == (2, pytest.approx(93 / 96, abs=1e-4))
    features = [np.load(tmp_path / "features" / f"a__{crop}.npy") for crop in range(10)]
    assert all((crop[1:3] == crop[0]).all() and (crop[3] != crop[0]).any() for crop in features)
    assert "1 kept" in run(*arguments, cwd=tmp_path).stderr
    refused = run(*arguments[:-2], cwd=tmp_path)
    assert (refused.returncode, "were made with --reuse-still 2" in refused.stderr) == (2, True)
