from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from media import damage, write_video
from tiny import WIDTH

from dsanet_cli.config import EventRule
from dsanet_cli.detect.analysis import Analysis, Scoring
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.scan import MARGIN, ScanAnalysis
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.errors import VideoError
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.batcher import EncodedSnippet
from dsanet_cli.timeline.facts import ModelFacts
from dsanet_cli.video.demux import CHUNK_FRAMES
from dsanet_cli.video.probe import VideoInfo

PICTURE = np.zeros((2, 2, 3), np.uint8)


def snippet(index, *features):
    """One of a second's length, with the features (1,) of its frames."""
    values = np.array(features, np.float32).reshape(1, -1, 1)
    return EncodedSnippet(index, index, index + 1, 16, values, PICTURE if features else None)


def scan(scores, keys, level=0.5):
    """A scan after its first pass, of snippets of a second, with scores at the numbers of the key snippets."""

    def score(features):
        return SimpleNamespace(scores=torch.from_numpy(features[:, 0]), probabilities=torch.zeros(len(features), 2))

    scoring = Scoring(ModelFacts("m", ""), ("normal", "other"), EventRule(), window=7, width=1, score=score)
    analysis = ScanAnalysis(Analysis(Path("a.mp4"), scoring, sampling=lambda: None), scoring, level)
    for index, value in enumerate(scores):
        analysis.take(snippet(index, value) if index in keys else snippet(index))
    return analysis


def test_what_follows_a_suspicious_key_frame_and_what_comes_before_is_decoded():
    scores = np.zeros(40)
    scores[20] = 0.5
    analysis = scan(scores, keys={0, 10, 20, 30})
    assert not analysis.scanned
    assert sorted(analysis.suspicious()) == list(range(10, 34))
    assert analysis.scanned


def test_where_key_frames_are_dense_there_is_a_margin():
    scores = np.zeros(40)
    scores[20] = 0.9
    assert sorted(scan(scores, keys=set(range(40))).suspicious()) == list(range(20 - MARGIN, 20 + MARGIN + 1))


def test_a_video_of_which_nothing_can_be_decoded_after_all():
    analysis = scan(np.ones(40), keys={0, 10})
    assert len(analysis.suspicious()) == 40
    with pytest.raises(VideoError, match=r"^a\.mp4: no frame can be decoded"):
        analysis.finish(VideoInfo(Path("a.mp4"), 640, Fraction(16), 40.0, 48, 32, "h264", 1000))


def test_no_frame_is_kept():
    analysis = scan(np.ones(40), keys={0, 10})
    wanted = analysis.suspicious()
    for index in sorted(wanted):
        analysis.take(snippet(index, 0))
    assert len(wanted) == 40
    assert all(kept.picture is None for kept in analysis._snippets)


@pytest.mark.parametrize("at", [0, 39])
def test_spans_end_with_the_video(at):
    scores = np.zeros(40)
    scores[at] = 0.9
    wanted = scan(scores, keys={0, 39}).suspicious()
    assert wanted <= set(range(40))
    assert at in wanted


def test_nothing_suspicious():
    assert scan(np.full(40, 0.49), keys={0, 10}).suspicious() == frozenset()


def test_a_first_key_frame_that_cannot_be_decoded():
    scores = np.zeros(20)
    scores[10] = 0.9
    assert sorted(scan(scores, keys={10}).suspicious()) == list(range(6, 20))


@pytest.fixture
def timeline_of(tiny_model):
    def run(path, **settings):
        detector = Detector(load_model(str(tiny_model)), DetectSettings(device="cpu", **settings))
        return detector.detect(path).timeline

    return run


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "a.mp4", 2 * CHUNK_FRAMES + 40, gop=64)


def test_a_scan_to_which_all_is_suspicious_is_the_full_analysis(timeline_of, video):
    full, scanned = timeline_of(video), timeline_of(video, scan_level=0.0)
    np.testing.assert_array_equal(scanned.scores, full.scores)
    np.testing.assert_array_equal(scanned.probabilities, full.probabilities)
    np.testing.assert_array_equal(scanned.starts, full.starts)
    assert scanned.coverage == full.coverage
    assert scanned.sampling.scan_level == 0.0
    assert scanned.sampling != full.sampling
    assert scanned.video == full.video


def test_a_scan_to_which_nothing_is_suspicious_looks_at_key_frames_only(timeline_of, video):
    timeline = timeline_of(video, scan_level=1.0)
    assert timeline.coverage.analysed == 0.0
    assert timeline.coverage.scanned == ((0.0, pytest.approx(timeline.video.duration)),)
    assert len(timeline.scores) == len(timeline_of(video).scores)
    assert timeline.video.frames == 2 * CHUNK_FRAMES + 40


def test_a_scan_decodes_around_what_is_suspicious(timeline_of, video, monkeypatch):
    monkeypatch.setattr(ScanAnalysis, "_scores", lambda self: np.isin(np.arange(len(self._snippets)), [12]) * 0.9)
    full, scanned = timeline_of(video), timeline_of(video, scan_level=0.5)
    assert scanned.coverage.scanned == (
        (0.0, pytest.approx(8 * 0.64)),
        (pytest.approx(17 * 0.64), pytest.approx(full.video.duration)),
    )
    assert scanned.coverage.analysed == pytest.approx(9 * 0.64 / full.video.duration)
    window = slice(8, 16)  # of the tiny model's head, which is 8 long
    np.testing.assert_array_equal(scanned.scores[window], full.scores[window])
    assert not np.array_equal(scanned.scores, full.scores)


def test_holes_are_told_in_a_scan_too(timeline_of, tmp_path):
    path = damage(write_video(tmp_path / "a.mp4", 300, gop=30), 60, 90)
    full, scanned = timeline_of(path), timeline_of(path, scan_level=0.0)
    assert full.coverage.holes
    assert scanned.coverage.holes == full.coverage.holes
    assert scanned.coverage.analysed == pytest.approx(full.coverage.analysed)
    np.testing.assert_array_equal(scanned.scores, full.scores)


def test_features_are_not_scanned(tiny_model, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, WIDTH), np.float32))
    detector = Detector(load_model(str(tiny_model)), DetectSettings(scan_level=0.2))
    assert detector.detect(tmp_path / "a.npy").timeline.sampling.scan_level is None
