"""The work beneath the command line: which results stand, and failures in odd places."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from media import write_video
from tiny import WIDTH

from dsanet_cli.detect.analysis import Analysis
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.runner import Runner
from dsanet_cli.detect.scan import ScanAnalysis
from dsanet_cli.detect.settings import DetectSettings, RunnerSettings
from dsanet_cli.encoder.frame_encoder import FrameEncoder, _Tower
from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.pipeline.progress import BatchProgress
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.video.messages import Notice

FORMATS = ("json", "csv")


@pytest.fixture
def work(tiny_model, tmp_path):
    """A runner for settings, by default those of all others."""

    def make(**settings):
        return Runner(RunnerSettings(str(tmp_path / "out"), FORMATS, str(tiny_model), **settings))

    return make


def analyse(runner, *sources):
    """What becomes of each source, in the order in which they are done."""
    outcomes = []
    with BatchProgress(sources, quiet=True) as progress:

        def report(source, result):
            outcomes.append((source, result))
            progress.done(source, "")

        runner.run(sources, progress.watch, report)
    return outcomes


@pytest.fixture
def done(work, tmp_path):
    """A source with a result that stands."""
    np.save(tmp_path / "a.npy", np.ones((20, WIDTH), np.float32))
    source = Source(tmp_path / "a.npy", Path("a"))
    runner = work()
    analyse(runner, source)
    assert isinstance(runner.settled(source, True), Timeline)
    return source


def test_other_settings_need_another_result(work, done):
    for settings in ({"threshold": 0.123}, {"detect": DetectSettings(feature_fps=Fraction(25))}):
        assert work(**settings).settled(done, True) is None


def test_a_file_that_grew_is_analysed_again_whatever_its_time_says(work, done):
    status = done.path.stat()
    np.save(done.path, np.ones((30, WIDTH), np.float32))
    os.utime(done.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert work().settled(done, True) is None


def test_a_result_of_which_a_part_was_written_by_a_later_run_is_not_trusted(work, done, tmp_path):
    table = tmp_path / "out" / "a.csv"
    later = (tmp_path / "out" / "a.json").stat().st_mtime_ns + 10**7
    os.utime(table, ns=(later, later))
    assert work().settled(done, True) is None


def path_of(analysis):
    return analysis._path if isinstance(analysis, Analysis) else analysis._analysis._path


@pytest.mark.parametrize(("kind", "settings"), [(Analysis, {}), (ScanAnalysis, {"scan_level": 0.0})])
def test_an_analysis_that_fails_midway_costs_its_video_only(work, tmp_path, monkeypatch, kind, settings):
    sources = [Source(write_video(tmp_path / f"{n}.mp4", 700, gop=50), Path(n)) for n in ("bad", "good")]
    take = kind.take

    def fail(self, snippet):
        if path_of(self).name == "bad.mp4" and snippet.index >= 1:
            raise MemoryError
        take(self, snippet)

    monkeypatch.setattr(kind, "take", fail)
    outcomes = analyse(work(detect=DetectSettings(**settings)), *sources)
    assert sorted(source.path.name for source, _ in outcomes) == ["bad.mp4", "good.mp4"]
    for source, result in outcomes:
        assert isinstance(result, Timeline if source.path.name == "good.mp4" else DsanetError)


@pytest.mark.parametrize("error", [MemoryError, VideoError])
def test_a_scan_that_fails_between_its_passes_costs_its_video_only(work, tmp_path, monkeypatch, error):
    sources = [Source(write_video(tmp_path / f"{n}.mp4", 700, gop=50), Path(n)) for n in ("bad", "good")]
    suspicious = ScanAnalysis.suspicious

    def fail(self):
        if path_of(self).name == "bad.mp4":
            raise error("no")
        return suspicious(self)

    monkeypatch.setattr(ScanAnalysis, "suspicious", fail)
    outcomes = dict(analyse(work(detect=DetectSettings(scan_level=0.0), pipeline=PipelineSettings(jobs=1)), *sources))
    assert len(outcomes) == 2
    assert isinstance(outcomes[sources[0]], DsanetError)
    assert isinstance(outcomes[sources[1]], Timeline)


def test_a_batch_that_fails_costs_its_videos_only(work, tmp_path, monkeypatch):
    sources = [Source(write_video(tmp_path / f"{n}.mp4", 64), Path(n)) for n in ("a", "b", "c")]
    encode, failing = FrameEncoder.encode, [True]

    def fail_once(self, frames, crop):
        if failing and failing.pop():
            raise RuntimeError("no")
        return encode(self, frames, crop)

    monkeypatch.setattr(FrameEncoder, "encode", fail_once)
    outcomes = dict(analyse(work(detect=DetectSettings(batch_size=8), pipeline=PipelineSettings(jobs=1)), *sources))
    assert sorted(type(result).__name__ for result in outcomes.values()) == ["DsanetError", "Timeline", "Timeline"]


def test_a_device_without_memory_for_a_batch_is_named_with_what_fits(work, tmp_path, monkeypatch, capsys):
    def limited(self, images):
        if len(images) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return embed(self, images)

    source = Source(write_video(tmp_path / "a.mp4", 100), Path("a"))
    ((_, whole),) = analyse(work(), source)
    embed = _Tower.embed
    monkeypatch.setattr(_Tower, "embed", limited)
    runner = work()
    notices = []
    results = []
    runner.run([source], lambda _, message: notices.append(message), lambda _, result: results.append(result))
    ((text,),) = [[m.text for m in notices if isinstance(m, Notice)][:1]]
    assert text == "16 frames at once do not fit the memory of cpu; going on with 8"
    assert whole.sampling.batch_size == 16
    assert results[0].sampling.batch_size == 4
    np.testing.assert_allclose(results[0].scores, whole.scores, atol=1e-5)
    assert isinstance(work().settled(source, skip_done=True), Timeline), "a smaller batch is no other result"


def test_the_cpu_scores_where_the_device_fails(tiny_model, monkeypatch):
    detector = Detector(load_model(str(tiny_model)), DetectSettings(device="cpu"))
    features = np.random.default_rng(0).standard_normal((5, WIDTH)).astype(np.float32)
    expected = detector.score(features).scores
    head = detector._scorer[0]
    assert detector.device_failure is None

    def broken(*_):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(head, "forward", broken)
    assert torch.equal(detector.score(features).scores, expected)
    assert detector._scorer[0] is not head
    assert detector.device_failure == "CUDA error: device-side assert triggered"


def test_a_line_says_that_the_cpu_scores_features(work, tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).standard_normal((5, WIDTH)).astype(np.float32))
    runner = work()

    def broken(*_):
        raise RuntimeError("CUDA error: device-side assert triggered\nadvice for programmers")

    monkeypatch.setattr(runner._detector._scorer[0], "forward", broken)
    notices, results = [], []
    source = Source(tmp_path / "a.npy", Path("a"))
    for _ in range(2):
        runner.run([source], lambda _, message: notices.append(message.text), lambda _, result: results.append(result))
    assert notices == ["cpu failed (CUDA error: device-side assert triggered); the CPU takes over the scoring"]
    assert [type(result) for result in results] == [Timeline, Timeline]


def test_what_fails_while_reporting_is_not_lost(work, done):
    def report(source, result):
        raise KeyError

    with pytest.raises(KeyError):
        work().run([done], lambda *_: None, report)
