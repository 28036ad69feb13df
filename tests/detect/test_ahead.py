"""Decoders that begin before there is an encoder."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from media import write_video

from dsanet_cli.detect.ahead import decoders_ahead
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.run import BatchSettings, run_batch
from dsanet_cli.detect.settings import DetectSettings, RunnerSettings
from dsanet_cli.errors import ModelError, UsageError
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import Ahead, PipelineSettings
from dsanet_cli.video.messages import Finished

TWO = PipelineSettings(jobs=2, cores=2)


@pytest.fixture
def sources(tmp_path):
    return [Source(write_video(tmp_path / f"{name}.mp4", frames=60), Path(name)) for name in ("a", "b")]


@pytest.fixture
def work(tiny_model, tmp_path):
    def make(**changes):
        return RunnerSettings(**{"output": str(tmp_path / "out"), "model": str(tiny_model), "pipeline": TWO} | changes)

    return make


@pytest.fixture
def detector(tiny_model):
    return Detector(load_model(tiny_model), DetectSettings(device="cpu"))


def wait_for_all(ahead: Ahead):
    for item in ahead.pool.messages():
        if item is not None and isinstance(item[1], Finished):
            yield item[0].source


def ended(ahead: Ahead):
    return all(decoder is None or decoder._process.returncode is not None for decoder in ahead.pool._decoders)


def found(detector, sources, ahead=None):
    return {
        source: result.timeline.to_json()
        for source, result in detector.detect_many(sources, TWO, lambda *_: None, ahead)
    }


def test_results_are_those_of_decoders_that_began_later(detector, sources, work):
    with decoders_ahead(work(), sources, skip_done=False) as ahead:
        assert found(detector, sources, ahead) == found(detector, sources)
    assert len(found(detector, sources)) == 2


def test_a_video_that_is_done_already_is_given_up(detector, sources, work):
    with decoders_ahead(work(), sources, skip_done=False) as ahead:
        assert found(detector, sources[1:], ahead).keys() == {sources[1]}
        assert ended(ahead)


def test_what_was_begun_otherwise_is_begun_anew(detector, sources, work):
    otherwise = work(detect=DetectSettings(sampled_frames=1))
    with decoders_ahead(otherwise, sources, skip_done=False) as ahead:
        assert found(detector, sources, ahead) == found(detector, sources)
        assert ended(ahead)


def test_decoding_needs_no_torch(sources, work):
    code = (
        "import sys\nfrom pathlib import Path\nfrom dsanet_cli.detect.ahead import decoders_ahead\n"
        "from dsanet_cli.detect.run import run_batch\nfrom dsanet_cli.detect.settings import RunnerSettings\n"
        "from dsanet_cli.files.sources import Source\nfrom dsanet_cli.video.messages import Finished\n"
        "work = RunnerSettings(output=None, model=sys.argv[1])\n"
        "with decoders_ahead(work, [Source(Path(sys.argv[2]), Path('a'))], False) as ahead:\n"
        "    assert any(isinstance(item[1], Finished) for item in ahead.pool.messages() if item)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, work().model, sources[0].path], check=True, timeout=100)


def test_an_error_leaves_no_decoder_behind(sources, work):
    begun = []

    def fail():
        with decoders_ahead(work(), sources, skip_done=False) as ahead:
            begun.append(ahead)
            raise UsageError("no such device")

    with pytest.raises(UsageError):
        fail()
    assert ended(begun[0])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decoder")]


def test_a_model_that_is_missing_comes_first(sources, work, monkeypatch):
    monkeypatch.setattr("dsanet_cli.detect.ahead.Ahead", None)
    with pytest.raises(ModelError, match="neither a model directory"):
        run_batch(BatchSettings((str(sources[0].path),), recursive=False, work=work(model="none")))


def test_what_may_be_done_already_is_not_begun(sources, work, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.json").write_text("{}")
    with decoders_ahead(work(), sources, skip_done=True) as ahead:
        assert ahead is None
    with decoders_ahead(work(), sources[:1], skip_done=True) as ahead:
        assert set(wait_for_all(ahead)) == {sources[0]}


def test_more_videos_than_decoders_are_not_begun(sources, work):
    with decoders_ahead(work(pipeline=PipelineSettings(jobs=1)), sources, skip_done=False) as ahead:
        assert ahead is None
    with decoders_ahead(work(), [Source(Path("a.npy"), Path("a"))], skip_done=False) as ahead:
        assert ahead is None
