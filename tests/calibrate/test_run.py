"""``dsanet calibrate`` on the installed command."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
from commands import run
from media import write_video
from tiny import WIDTH

from dsanet_cli.detect.profile import read_profile


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """A folder of feature files: two minutes each at 30 frames/s."""
    folder = tmp_path_factory.mktemp("footage")
    for number in range(3):
        features = np.random.default_rng(number).standard_normal((225, WIDTH)).astype(np.float32)
        np.save(folder / f"cam{number}.npy", features)
    return folder


@pytest.fixture
def calibrate(tiny_model, tmp_path):
    return lambda *arguments: run("calibrate", "--model", tiny_model, *arguments, cwd=tmp_path)


def test_a_profile_a_plot_and_what_the_footage_can_bear(calibrate, footage, tmp_path, tiny_model):
    result = calibrate(footage, "--false-alarms", "200/hour", "-o", "gate.toml", "--min-length", "1.5")
    assert result.returncode == 0, result.stderr
    profile = read_profile(tmp_path / "gate.toml")
    assert profile.model == str(tiny_model)
    assert (profile.min_length, profile.release) == (1.5, round(0.7 * profile.threshold, 3))
    assert (tmp_path / "gate.png").read_bytes().startswith(b"\x89PNG")
    assert "chosen" in result.stdout
    assert "in 0.1 h" in result.stderr
    assert "with 95 % confidence" in result.stderr
    assert (tmp_path / "gate.toml").read_text().startswith("# For 200/hour false alarms, from 3 videos")


def test_results_that_are_there_give_the_same_threshold(calibrate, footage, tmp_path, tiny_model):
    calibrate(footage, "--false-alarms", "200/hour", "-o", "videos.toml")
    detected = run("detect", footage, "--model", tiny_model, "-o", tmp_path / "out", "-f", "json")
    assert detected.returncode == 0, detected.stderr
    result = calibrate("out", "--false-alarms", "200/hour", "-o", "results.toml")
    assert result.returncode == 0, result.stderr
    assert read_profile(tmp_path / "results.toml") == read_profile(tmp_path / "videos.toml")
    assert "no effect" not in result.stderr
    more = ("--recursive", "--device", "cpu", "--jobs", 2, "--stall-timeout", 5, "--overwrite")
    again = calibrate("out", "--false-alarms", "200/hour", "-o", "results.toml", *more)
    line = "note: no effect on results, which are there already: --recursive, --device, --jobs, --stall-timeout\n"
    assert line in again.stderr


def test_results_of_another_model_are_refused(calibrate, footage, tmp_path, tiny_model):
    run("detect", footage / "cam0.npy", "--model", tiny_model, "-o", tmp_path / "out", "-f", "json")
    data = json.loads((tmp_path / "out" / "cam0.json").read_text())
    data["model"] |= {"name": "other", "sha256": "00" * 32}
    (tmp_path / "out" / "cam0.json").write_text(json.dumps(data))
    result = calibrate("out", "-o", "p.toml")
    assert result.returncode == 1
    assert "cam0.json: was made with another model (other)" in result.stderr
    assert not (tmp_path / "p.toml").exists()


def test_videos_are_analysed_and_a_broken_one_costs_itself_only(calibrate, tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "one.mp4", 80, height=32, width=48)
    (tmp_path / "in" / "two.mp4").write_bytes(b"no video")
    result = calibrate("in", "-o", "p.toml")
    assert result.returncode == 3, result.stderr
    assert "two.mp4: not a video" in result.stderr
    assert tomllib.loads((tmp_path / "p.toml").read_text())["threshold"] <= 0.99
    assert "To promise 1.0 a day takes 72 h" in result.stderr or "even the highest threshold" in result.stderr


def test_a_profile_that_is_there_is_not_replaced_unasked(calibrate, footage, tmp_path):
    (tmp_path / "p.toml").write_text("threshold = 0.5\n")
    result = calibrate(footage / "cam0.npy", "-o", "p.toml")
    assert result.returncode == 2
    assert "p.toml: exists already" in result.stderr
    assert calibrate(footage / "cam0.npy", "-o", "p.toml", "--overwrite").returncode == 0


def test_a_picture_that_is_there_is_not_replaced_unasked(calibrate, footage, tmp_path):
    (tmp_path / "p.png").write_bytes(b"a photo")
    result = calibrate(footage / "cam0.npy", "-o", "p.toml")
    assert result.returncode == 2
    assert "p.png: exists already" in result.stderr
    assert (tmp_path / "p.png").read_bytes() == b"a photo"
    assert not (tmp_path / "p.toml").exists()
    result = calibrate(footage / "cam0.npy", "-o", "q.png")
    assert result.returncode == 2
    assert "name the profile .toml" in result.stderr


def test_nothing_to_calibrate_on_and_no_rate(calibrate, tmp_path):
    (tmp_path / "empty").mkdir()
    assert calibrate("empty").returncode == 1
    assert calibrate("empty", "--false-alarms", "often").returncode == 2
