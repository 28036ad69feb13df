"""``dsanet calibrate`` on the installed command."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest
from commands import run
from media import write_halves, write_mask, write_video
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
    assert "in 6 min" in result.stderr
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


@pytest.fixture
def halves(tmp_path):
    """A video whose right half the mask hides."""
    (tmp_path / "in").mkdir()
    write_halves(tmp_path / "in" / "one.mkv", 100, 900)
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "m.png", np.arange(128)[None].repeat(96, 0) >= 64)
    return "in"


VIEW = ("--region", "0,0,0.75,1", "--mask", "masks/m.png")


def test_region_and_mask_are_in_the_profile_and_detect_takes_them_from_it(calibrate, halves, tmp_path):
    (tmp_path / "profiles").mkdir()
    assert calibrate(halves, "-o", "masks/p.toml", *VIEW).returncode == 0
    assert tomllib.loads((tmp_path / "masks" / "p.toml").read_text())["mask"] == "m.png"
    result = calibrate(halves, "-o", "profiles/p.toml", *VIEW)
    assert result.returncode == 0, result.stderr
    profile = tomllib.loads((tmp_path / "profiles" / "p.toml").read_text())
    assert (profile["region"], profile["mask"]) == ([0, 0, 0.75, 1], str(tmp_path / "masks" / "m.png"))
    detected = run("detect", "../in", "--profile", "p.toml", "-o", "out", "-f", "json", cwd=tmp_path / "profiles")
    assert detected.returncode == 0, detected.stderr
    sampling = json.loads((tmp_path / "profiles" / "out" / "one.json").read_text())["sampling"]
    assert sampling["region"] == [0, 0, 0.75, 1]
    assert len(sampling["mask"]) == 64


def test_the_table_is_that_of_what_the_mask_leaves(calibrate, halves, tmp_path, tiny_model):
    tables = {}
    for name, right in (("one", 900), ("two", 3500)):
        write_halves(tmp_path / "in" / "one.mkv", 100, right)
        for view in (VIEW[:2], VIEW[2:]):
            run("detect", "in", "--model", tiny_model, "-o", name + view[0], "-f", "json", *view, cwd=tmp_path)
            results = calibrate(name + view[0], "-o", "a.toml", "--overwrite", *view)
            videos = calibrate("in", "-o", "b.toml", "--overwrite", *view)
            assert results.stdout == videos.stdout, results.stderr
            tables[name, view] = results.stdout
    assert tables["one", VIEW[2:]] == tables["two", VIEW[2:]]


def test_results_say_their_region_and_all_must_have_one(calibrate, halves, tmp_path, tiny_model):
    def detect(output, *view):
        assert run("detect", "in", "--model", tiny_model, "-o", output, *view, cwd=tmp_path).returncode == 0

    detect("left", *VIEW[:2])
    detect("whole")
    detect("masked", *VIEW)
    assert calibrate("left", "-o", "p.toml").returncode == 0
    assert tomllib.loads((tmp_path / "p.toml").read_text())["region"] == [0, 0, 0.75, 1]
    mixed = calibrate("left", "whole", "-o", "q.toml")
    assert mixed.returncode == 3
    assert "in/one.mkv: analysed in all of the picture, not 0,0,0.75,1; calibrate regions one by one" in mixed.stderr
    assert "analysed in all of the picture, not 0,0,0.75,1" in calibrate("whole", "-o", "r.toml", *VIEW[:2]).stderr
    assert "analysed with another mask; name the mask" in calibrate("masked", "-o", "r.toml").stderr
    assert "analysed without a mask" in calibrate("left", "-o", "r.toml", *VIEW).stderr
    assert not (tmp_path / "r.toml").exists()
    assert calibrate("masked", "-o", "r.toml", *VIEW[2:]).returncode == 0


def test_a_model_beside_the_profile_is_found_from_anywhere(footage, tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "best")
    result = run("calibrate", footage / "cam0.npy", "--model", "best", "-o", "p.toml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (tmp_path / "elsewhere").mkdir()
    profile = (tmp_path / "p.toml").read_text()
    for model in (str(tmp_path / "best"), "best"):
        (tmp_path / "p.toml").write_text(profile.replace(str(tmp_path / "best"), model))
        arguments = footage / "cam0.npy", "--profile", "../p.toml", "-f", "json"
        done = run("detect", *arguments, cwd=tmp_path / "elsewhere")
        assert done.returncode == 0, done.stderr
        assert "model tiny (--profile)" in done.stderr


def test_results_of_other_encoder_weights_are_refused(calibrate, halves, tmp_path, tiny_model):
    detected = run("detect", "in", "--model", tiny_model, "-o", "out", cwd=tmp_path)
    assert detected.returncode == 0
    data = json.loads((tmp_path / "out" / "one.json").read_text())
    data["model"]["encoder_sha256"] = "ab" * 32
    (tmp_path / "out" / "one.json").write_text(json.dumps(data))
    result = calibrate("out", "-o", "p.toml")
    assert result.returncode == 1
    assert "one.json: was made with other encoder weights" in result.stderr
