"""The installed command on real video files."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, read_csv, run
from media import write_audio, write_video
from tiny import WIDTH, save_tiny_model

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.architecture import PUBLISHED_PREPROCESSING
from dsanet_cli.evaluate.groundtruth import read_annotations
from dsanet_cli.timeline.files import read_timeline


@pytest.fixture
def detect(tiny_model, tmp_path):
    return lambda *arguments, **options: run("detect", "--model", tiny_model, *arguments, cwd=tmp_path, **options)


def test_one_video(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=50)
    result = detect("clip.mp4", "-t", "0")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("[00:00.00 -> 00:02.00] ")
    assert "in bf16" in result.stderr or "in fp32" in result.stderr
    output = tmp_path / "dsanet-results"
    assert {path.name for path in output.iterdir()} == {"clip.json", "clip.csv", "clip.png", "clip.thumbs.zip"}
    data = json.loads((output / "clip.json").read_text())
    assert list(data) == [
        "schema",
        "program",
        "video",
        "model",
        "sampling",
        "coverage",
        "snippets",
        "events",
        "verdict",
    ]
    assert data["video"] == {
        "path": "clip.mp4",
        "frames": 50,
        "fps": "25/1",
        "duration": 2.0,
        "width": 128,
        "height": 96,
        "codec": "h264",
        "bytes": (tmp_path / "clip.mp4").stat().st_size,
        "mtime": (tmp_path / "clip.mp4").stat().st_mtime,
        "real_path": str(tmp_path / "clip.mp4"),
    }
    assert (output / "clip.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_abnormal(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=20)
    result = detect("clip.mp4", "-t", "1")
    assert result.returncode == 0
    assert "nothing abnormal" in result.stdout


def test_a_tree_is_mirrored_and_summarised(detect, tmp_path):
    for name in ("in/a/clip.mp4", "in/b/clip.mp4"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_video(tmp_path / name, frames=20)
    result = detect("in", "-r", "-o", "out", "-f", "json", "-f", "csv")
    assert result.returncode == 0, result.stderr
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert found == {"a/clip.json", "a/clip.csv", "b/clip.json", "b/clip.csv", "summary.csv"}
    rows = read_csv(tmp_path / "out" / "summary.csv")
    assert [row["path"] for row in rows] == ["in/a/clip.mp4", "in/b/clip.mp4"]
    assert {row["status"] for row in rows} == {"ok"}


def test_broken_inputs_cost_only_themselves(detect, tmp_path):
    write_video(tmp_path / "good.mp4", frames=20)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    write_audio(tmp_path / "sound.mp4")
    whole = write_video(tmp_path / "whole.mp4", frames=50).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    names = ["missing.mp4", "empty.mp4", "text.mp4", "sound.mp4", "cut.mp4", "good.mp4"]
    result = detect(*names, "-o", "out")
    assert result.returncode == 3
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 5
    for name in names[:-1]:
        assert sum(name in line for line in errors) == 1, errors
    assert "Traceback" not in result.stderr
    assert (tmp_path / "out" / "good.json").exists()
    rows = {row["path"]: row for row in read_csv(tmp_path / "out" / "summary.csv")}
    assert rows["good.mp4"]["status"] == "ok"
    assert {rows[name]["status"] for name in names[:-1]} == {"failed"}
    assert all(rows[name]["error"] for name in names[:-1])


@pytest.mark.parametrize("name", ["missing.mp4", "folder", "*.mp4", "@missing.txt"])
def test_every_input_failed(detect, tmp_path, name):
    (tmp_path / "folder").mkdir()
    result = detect(name)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "dsanet-results").exists()


def test_lists_from_file_and_stdin(detect, tmp_path):
    write_video(tmp_path / "a.mp4", frames=20)
    write_video(tmp_path / "b.mp4", frames=20)
    (tmp_path / "list.txt").write_text("# cameras\na.mp4\n\nb.mp4\n")
    for arguments, stdin in ((("@list.txt",), ""), (("-",), "a.mp4\nb.mp4\n")):
        result = detect(*arguments, "-o", "out", "-f", "json", "--overwrite", stdin=stdin)
        assert result.returncode == 0, result.stderr
        assert len(read_csv(tmp_path / "out" / "summary.csv")) == 2


def test_results_on_stdout_are_all_there_is_on_stdout(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=40)
    result = detect("clip.mp4", "-f", "csv", "-o", "-")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0]) == ["start", "end", "score", "label", "normal", "fighting", "explosion"]
    assert len(rows) == 3
    assert json.loads(detect("clip.mp4", "-f", "json", "-o", "-").stdout)["schema"] == 1
    assert not (tmp_path / "dsanet-results").exists()


def test_several_results_do_not_fit_on_stdout(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=20)
    assert detect("clip.mp4", "-o", "-").returncode == 2
    assert detect("clip.mp4", "clip.mp4", "missing.mp4", "-o", "-", "-f", "csv").returncode == 2


def test_feature_file(detect, tmp_path):
    np.save(tmp_path / "a.npy", np.ones((4, WIDTH), np.float16))
    result = detect("a.npy", "--fps", "32", "-f", "csv", "-o", "-")
    assert result.returncode == 0, result.stderr
    assert [row["end"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["0.500", "1.000", "1.500", "2.000"]
    assert result.stderr.count("no extraction.json beside the features") == 1


def test_whole_results_of_the_same_settings_are_kept_in_folders(detect, tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "clip.mp4", frames=40)
    target = tmp_path / "dsanet-results" / "clip.json"

    def written(*options):
        before = target.stat().st_mtime_ns if target.exists() else None
        result = detect("in", *options)
        assert result.returncode == 0, result.stderr
        return target.stat().st_mtime_ns != before

    assert written()
    assert not written()
    assert written("--overwrite")
    assert written("--frames-per-snippet", "3")
    assert not written("--frames-per-snippet", "3")
    target.write_bytes(target.read_bytes()[:-40])
    assert written("--frames-per-snippet", "3")
    (tmp_path / "dsanet-results" / "clip.png").unlink()
    assert written("--frames-per-snippet", "3")


def test_a_named_file_is_analysed_again(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=20)
    target = tmp_path / "dsanet-results" / "clip.json"
    detect("clip.mp4")
    before = target.stat().st_mtime_ns
    assert detect("clip.mp4", "--skip-existing").returncode == 0
    assert target.stat().st_mtime_ns == before
    assert detect("clip.mp4").returncode == 0
    assert target.stat().st_mtime_ns != before


def test_output_that_cannot_be_written(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=20)
    (tmp_path / "file").write_text("")
    result = detect("clip.mp4", "-o", "file")
    assert result.returncode == 1
    assert "file is not a folder; choose another with --output" in result.stderr
    assert (tmp_path / "file").read_text() == ""


def test_a_damaged_model_is_one_line(tiny_model, tmp_path):
    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    data = (broken / "head.safetensors").read_bytes()
    (broken / "head.safetensors").write_bytes(data[:-1] + b"x")
    write_video(tmp_path / "clip.mp4", frames=20)
    result = run("detect", "clip.mp4", "--model", broken, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "head.safetensors: damaged" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_encoder_that_cannot_be_downloaded_says_which_file_to_bring(tmp_path):
    encoder = EncoderConfig("ViT-B-16-quickgelu", WIDTH, pretrained="openai")
    save_tiny_model(tmp_path / "model", encoder=encoder, preprocessing=PUBLISHED_PREPROCESSING)
    write_video(tmp_path / "clip.mp4", frames=20)
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_CACHE": str(tmp_path / "cache")}
    result = run("detect", "clip.mp4", "clip.mp4", "--model", "model", cwd=tmp_path, **offline)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "open_clip_model.safetensors" in line
    assert "--encoder-weights FILE" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("detect",),
        ("detect", "clip.mp4", "--threshold", "2"),
        ("detect", "clip.mp4", "--frames-per-snippet", "17"),
        ("detect", "clip.mp4", "--device", "tpu"),
        ("detect", "clip.mp4", "--precision", "fp8"),
        ("detect", "clip.mp4", "--no-such-option"),
        ("no-such-command",),
    ],
)
def test_wrong_usage(tmp_path, tiny_model, arguments):
    write_video(tmp_path / "clip.mp4", frames=20)
    model = ("--model", tiny_model) if len(arguments) > 1 else ()
    result = run(*arguments, *model, cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_quiet_and_verbose(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=20)
    assert detect("clip.mp4", "-q").stderr == ""
    assert "clip.mp4: analysed in " in detect("clip.mp4", "-v").stderr


def test_debug_shows_where_it_failed(detect, tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    errors = detect("text.mp4", DSANET_DEBUG="1").stderr
    assert "Traceback" in errors
    assert "open_video(" in errors


def test_numbers_that_are_none_are_found_out_before_the_work(detect):
    result = detect("clip.mp4", "--merge-gap", "inf")
    assert (result.returncode, result.stderr) == (2, "error: --merge-gap inf: use a finite number\n")


def test_a_name_too_long_for_the_system(detect):
    result = detect("x" * 5000)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; sys.argv = ['dsanet', '--help']\n"
        "from dsanet_cli.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'open_clip', 'av', 'decord', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "detect" in result.stdout
    assert run("--version").stdout.startswith("dsanet ")


def test_the_module_is_the_command():
    for option in ("-h", "--help"):
        result = subprocess.run(
            [sys.executable, "-m", "dsanet_cli", "detect", option], capture_output=True, text=True, check=True
        )
        assert "--threshold" in result.stdout


def test_completion_can_be_installed(tmp_path):
    shell = {"HOME": str(tmp_path), "SHELL": "/bin/bash", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    assert run("--install-completion", "bash", **shell).returncode == 0
    assert "dsanet" in (tmp_path / ".bashrc").read_text()


def test_models_list_and_show(tiny_model, tmp_path):
    environment = {"DSANET_MODELS": str(tiny_model.parent)}
    listed = run("models", "list", **environment).stdout
    assert "tiny" in listed
    assert listed.splitlines()[-1].startswith("street is taken where --model names no other; dsanet models use")
    shutil.copytree(tiny_model, tmp_path / "tiny")
    assert run("models", "use", "tiny", DSANET_MODELS=str(tmp_path)).returncode == 0
    listed = run("models", "list", DSANET_MODELS=str(tmp_path)).stdout
    assert listed.splitlines()[-1].startswith("tiny is taken where --model names no other")
    shown = run("models", "show", "tiny", **environment).stdout
    assert "fighting (fighting | people fighting)" in shown
    assert run("models", "show", "nope", **environment).returncode == 1


def test_the_built_in_model_on_the_samples(tmp_path):
    result = run("detect", ROOT / "samples", "--model", "scenes", "-o", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = {Path(row["path"]).stem: row for row in read_csv(tmp_path / "out" / "summary.csv")}
    assert rows.keys() == {Path(row["path"]).stem for row in read_csv(ROOT / "samples" / "list.csv")}
    assert {name: row["label"] for name, row in rows.items()} == {
        "Arson001": "arson",
        "Explosion001": "explosion",
        "Fighting001": "fighting",
        "Fighting002": "fighting",
        "Normal001": "normal",
        "RoadAccidents001": "roadaccidents",
    }
    for truth in read_annotations(ROOT / "samples" / "groundtruth.txt"):
        events = read_timeline(tmp_path / "out" / f"{truth.name}.json").events
        for segment in truth.segments:
            assert any(event.start < segment.end / 25 and event.end > segment.start / 25 for event in events)
        assert (tmp_path / "out" / f"{truth.name}.png").read_bytes().startswith(b"\x89PNG")


def test_where_no_model_is_named_the_one_that_has_seen_real_pictures_is_taken(tmp_path):
    result = run("detect", ROOT / "samples" / "Explosion001.mp4", "-o", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    timeline = read_timeline(tmp_path / "out" / "Explosion001.json")
    assert timeline.model.name == "street"
    assert timeline.verdict.label == "explosion"
