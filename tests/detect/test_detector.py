from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from media import read_number, write_video
from tiny import WIDTH

from dsanet_cli.config import EventRule
from dsanet_cli.detect import analysis as analysis_module
from dsanet_cli.detect.analysis import PeakFrames, SnippetFeature
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.errors import FeatureError, VideoError
from dsanet_cli.features.sidecar import Extraction, write_extraction
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.batcher import FrameBatcher
from dsanet_cli.timeline.facts import ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.timeline import build_timeline
from dsanet_cli.video.reader import open_video

SENSITIVE = EventRule(threshold=0.0, release=0.0)


@pytest.fixture
def detector(tiny_model):
    return Detector(load_model(str(tiny_model)), DetectSettings(device="cpu", precision="fp32"))


def test_timeline_is_reader_encoder_head_step_by_step(detector, tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=16 * 19 + 5)
    timeline = detector.detect(path).timeline
    config = detector.model.config
    snippets = list(open_video(path, config.preprocessing.resize, config.sampled_frames).snippets())
    encoder = detector.load_encoder()
    features = np.stack([encoder.encode(snippet.frames).mean(axis=0) for snippet in snippets])
    expected = score_snippets(
        detector.model.head, torch.from_numpy(features), detector.model.text_features, config.temperature
    )
    assert len(timeline.scores) == 20
    np.testing.assert_allclose(timeline.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(timeline.probabilities, expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(timeline.starts, [s.start for s in snippets])
    np.testing.assert_allclose(timeline.ends, [s.end for s in snippets])


def test_the_last_partial_snippet_is_analysed(detector, tmp_path):
    timeline = detector.detect(write_video(tmp_path / "a.mp4", frames=17, rate=25)).timeline
    assert timeline.ends.tolist() == pytest.approx([16 / 25, 17 / 25])


def test_one_frame_is_a_video(detector, tmp_path):
    timeline = detector.detect(write_video(tmp_path / "a.mp4", frames=1)).timeline
    assert timeline.scores.shape == (1,)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_batches_do_not_change_the_scores(tiny_model, tmp_path, batch_size):
    path = write_video(tmp_path / "a.mp4", frames=100)
    settings = {"device": "cpu", "precision": "fp32"}
    model = load_model(str(tiny_model))
    one = Detector(model, DetectSettings(**settings)).detect(path).timeline
    other = Detector(model, DetectSettings(**settings, batch_size=batch_size)).detect(path).timeline
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


@pytest.mark.parametrize(("sampled", "expected"), [(1, [8]), (2, [4, 12]), (16, list(range(16)))])
def test_sampled_frames_are_what_the_encoder_sees(tiny_model, tmp_path, monkeypatch, sampled, expected):
    seen = []
    add = FrameBatcher.add

    def spy(self, key, snippet):
        seen.extend(read_number(frame) for frame in snippet.frames)
        add(self, key, snippet)

    monkeypatch.setattr(FrameBatcher, "add", spy)
    detector = Detector(load_model(str(tiny_model)), DetectSettings(device="cpu", sampled_frames=sampled))
    timeline = detector.detect(write_video(tmp_path / "a.mp4", frames=32)).timeline
    assert seen == expected + [16 + number for number in expected]
    assert timeline.sampling.sampled_frames == sampled


def test_feature_file_is_scored_without_an_encoder(detector, tmp_path, monkeypatch):
    features = np.random.default_rng(0).standard_normal((19, WIDTH)).astype(np.float32)
    np.save(tmp_path / "a.npy", features)
    monkeypatch.setattr(detector, "load_encoder", lambda: pytest.fail("needs no encoder"))
    timeline = detector.detect(tmp_path / "a.npy").timeline
    expected = score_snippets(detector.model.head, torch.from_numpy(features), detector.model.text_features, 2.0)
    np.testing.assert_allclose(timeline.scores, expected.scores, atol=1e-6)
    assert timeline.video.fps == 30
    assert timeline.ends[-1] == pytest.approx(19 * 16 / 30)
    assert timeline.video.codec is None


def test_feature_file_takes_its_frame_rate_from_the_settings(tiny_model, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, WIDTH), np.float32))
    detector = Detector(load_model(str(tiny_model)), DetectSettings(feature_fps=Fraction(24)))
    assert detector.detect(tmp_path / "a.npy").timeline.ends.tolist() == pytest.approx([2 / 3, 4 / 3, 2])


def test_feature_file_of_another_width(detector, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 7), np.float32))
    with pytest.raises(FeatureError, match="features are 7 wide"):
        detector.detect(tmp_path / "a.npy")


def test_features_of_another_encoder(detector, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, WIDTH), np.float32))
    config = detector.model.config
    extraction = Extraction(config.encoder, "0" * 64, config.preprocessing, 16, (0,), "float32", "fp32")
    write_extraction(tmp_path, extraction)
    with pytest.raises(FeatureError, match=r"a\.npy: features of another encoder"):
        detector.detect(tmp_path / "a.npy")


def test_a_file_that_is_no_video(detector, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"a\.mp4"):
        detector.detect(tmp_path / "a.mp4")


def test_thumbnail_is_the_frame_of_the_peak(tiny_model, tmp_path):
    settings = DetectSettings(device="cpu", events=SENSITIVE)
    detection = Detector(load_model(str(tiny_model)), settings).detect(write_video(tmp_path / "a.mp4", frames=64))
    (event,) = detection.timeline.events
    peak = int(detection.timeline.scores.argmax())
    assert event.peak_score == pytest.approx(float(detection.timeline.scores[peak]))
    assert read_number(detection.thumbnails[0]) == 16 * peak + 12


def test_without_events_the_thumbnail_is_the_frame_of_the_highest_score(tiny_model, tmp_path):
    settings = DetectSettings(device="cpu", events=EventRule(threshold=1.0, release=1.0))
    video = write_video(tmp_path / "a.mp4", frames=16 * 20)  # several windows
    detection = Detector(load_model(str(tiny_model)), settings).detect(video)
    assert detection.timeline.events == ()
    assert list(detection.thumbnails) == [0]
    assert read_number(detection.thumbnails[0]) == 16 * int(detection.timeline.scores.argmax()) + 12


def test_peak_frames_stay_few_in_a_long_video():
    peaks = PeakFrames(threshold=0.5)
    frame = np.zeros((2, 2, 3), np.uint8)
    for number in range(100):
        scores = np.array([0.0, 0.9, 0.0, 0.6 + number / 1000], np.float32)
        snippets = [SnippetFeature(0, 1, np.zeros(1, np.float32), frame)] * 4
        peaks.add(scores, snippets, 4 * number)
    assert len(peaks._kept) == analysis_module.KEPT_THUMBNAILS
    assert all(kept[0] == pytest.approx(0.9) for kept in peaks._kept)


def test_a_frame_is_given_to_its_own_event_only():
    peaks = PeakFrames(threshold=0.5)
    picture = np.full((2, 2, 3), 7, np.uint8)
    scores = np.array([0.9, 0.0, 0.0, 0.8, 0.0, 0.7], np.float32)
    kept = {3: picture}  # the other events' frames were not among the best of a long video
    snippets = [SnippetFeature(float(n), n + 1.0, np.zeros(1, np.float32), kept.get(n)) for n in range(6)]
    peaks.add(scores, snippets, 0)
    timeline = build_timeline(
        VideoFacts("a.mp4", 96, 6.0),
        ModelFacts("tiny", "00"),
        ("normal", "fighting"),
        Sampling(16, 2, "fp32"),
        EventRule(0.5, 0.5, merge_gap=0.0, min_length=0.0),
        np.arange(6.0),
        np.arange(6.0) + 1,
        scores,
        np.stack([1 - scores, scores], axis=1),
    )
    assert len(timeline.events) == 3
    assert list(peaks.of(timeline)) == [1]
