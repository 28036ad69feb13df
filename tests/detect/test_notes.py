from __future__ import annotations

import io

import pytest
from commands import run

from dsanet_cli.detect.notes import without_effect
from dsanet_cli.detect.settings import DetectSettings, RunnerSettings
from dsanet_cli.files.sources import find_sources
from dsanet_cli.pipeline.pipeline import PipelineSettings

VIDEO_ONLY = RunnerSettings(
    "out",
    detect=DetectSettings(sampled_frames=2, snippet_seconds=1.0, batch_size=8, scan_level=0.1, precision="fp32"),
    pipeline=PipelineSettings(jobs=2, stall_timeout=5),
)


@pytest.fixture
def notes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.txt").write_text("a.npy\n")
    for name in ("a.npy", "a.mp4", "folder/b.mp4"):
        (tmp_path / name).touch()

    def find(*arguments, recursive=False, work=VIDEO_ONLY):
        sources = find_sources(arguments, recursive, io.StringIO("a.npy\n")).sources
        return list(without_effect(arguments, recursive, work, sources))

    return find


def test_options_for_videos_with_feature_files_only(notes):
    assert [note.split()[0] for note in notes("a.npy")] == [
        "--jobs", "--stall-timeout", "--frames-per-snippet", "--snippet-seconds", "--batch-size", "--precision",
        "--scan",
    ]  # fmt: skip
    assert notes("a.npy", work=RunnerSettings("out")) == []
    assert notes("a.npy", "a.mp4") == notes("gone.npy") == []


@pytest.mark.parametrize("argument", ["folder", "f*", "@list.txt", "-"])
def test_recursive_may_have_an_effect(notes, argument):
    assert notes(argument, recursive=True, work=RunnerSettings("out")) == []


def test_recursive_without_a_folder(notes):
    assert notes("a.mp4", recursive=True) == ["--recursive has no effect, no folder is named"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-t", 0.3, "--release", 0.5), "--release 0.5 is above --threshold 0.3; an event ends below where it starts"),
        (("-q", "-v"), "--quiet and --verbose contradict each other; give one of them"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    result = run("detect", "a.mp4", *options)
    assert (result.returncode, result.stderr) == (2, f"error: {message}\n")


def test_time_spent_per_video_without_an_analysis(tiny_model, tmp_path):
    (tmp_path / "a.npy").touch()
    result = run("detect", "a.npy", "--model", tiny_model, "--dry-run", "-v", cwd=tmp_path)
    assert "note: --verbose has no effect with --dry-run, which analyses nothing" in result.stderr


def test_a_release_level_above_the_models_threshold(tiny_model, tmp_path):
    (tmp_path / "a.npy").touch()
    result = run("detect", "a.npy", "--model", tiny_model, "--release", 0.9, cwd=tmp_path)
    assert result.returncode == 2
    assert "--release 0.9 is above the model's threshold 0.5" in result.stderr


def test_a_scan_level_without_a_scan_gets_a_line_unless_quiet(tiny_model, tmp_path):
    (tmp_path / "a.npy").touch()
    command = ("detect", "a.npy", "--model", tiny_model, "--scan-level", 0.3)
    assert "note: --scan-level has no effect without --scan" in run(*command, cwd=tmp_path).stderr
    assert "note" not in run(*command, "-q", cwd=tmp_path).stderr


def test_a_part_without_inputs_gets_a_line(tmp_path):
    (tmp_path / "a.npy").touch()
    result = run("detect", "a.npy", "--shard", "2/3", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "note: part 2 of 3 holds no input that could be found\n")
