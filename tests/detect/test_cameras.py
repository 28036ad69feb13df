"""Profiles and classes in words, on the installed command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commands import run
from tiny import WIDTH

WORDS = """
[[class]]
name = "calm"
prompts = ["people walking"]

[[class]]
name = "fall"
prompts = ["a person falls", "someone on the floor"]
"""


@pytest.fixture
def detect(tiny_model, tmp_path):
    (tmp_path / "in" / "yard").mkdir(parents=True)
    for name in ("cam1", "cam2", "yard/cam1"):
        features = np.random.default_rng(5).standard_normal((30, WIDTH)).astype(np.float32)
        np.save(tmp_path / "in" / f"{name}.npy", features)
    return lambda *arguments: run("detect", "in", "-r", "-f", "json", "-o", "out", *arguments, cwd=tmp_path)


def result(tmp_path, name):
    return json.loads((tmp_path / "out" / f"{name}.json").read_text())


def rule(tmp_path, name):
    return result(tmp_path, name)["sampling"]["event_rule"]


def test_every_camera_has_its_rule_and_the_profile_its_model(detect, tiny_model, tmp_path):
    (tmp_path / "p.toml").write_text(
        f'model = "{tiny_model}"\nthreshold = 0.2\n'
        '[[camera]]\nmatch = "yard/*"\nthreshold = 0.9\ndrop = ["explosion"]\n'
    )
    first = detect("--profile", "p.toml")
    assert first.returncode == 0, first.stderr
    assert "(--profile)" in first.stderr
    assert [rule(tmp_path, name)["threshold"] for name in ("cam1", "cam2", "yard/cam1")] == [0.2, 0.2, 0.9]
    assert rule(tmp_path, "yard/cam1")["drop"] == ["explosion"]
    assert "3 results of an earlier run kept" in detect("--profile", "p.toml").stderr
    (tmp_path / "p.toml").write_text((tmp_path / "p.toml").read_text().replace("0.9", "0.8"))
    assert "2 results of an earlier run kept" in detect("--profile", "p.toml").stderr
    assert detect("--profile", "p.toml", "-t", "0.5").returncode == 0
    assert {rule(tmp_path, name)["threshold"] for name in ("cam1", "yard/cam1")} == {0.5}


def test_events_of_dropped_classes_are_left_out_and_scores_stay(detect, tiny_model, tmp_path):
    detect("--model", tiny_model, "-t", "0")
    before = result(tmp_path, "cam1")
    (label,) = {event["label"] for event in before["events"]}
    (tmp_path / "p.toml").write_text(f'drop = ["{label}"]\n')
    assert detect("--model", tiny_model, "-t", "0", "--profile", "p.toml").returncode == 0
    after = result(tmp_path, "cam1")
    assert (after["events"], after["verdict"]["anomalous"]) == ([], False)
    assert after["snippets"] == before["snippets"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'model_sha256 = "{"00" * 32}"', "was calibrated with another model than tiny"),
        ('drop = ["flood"]', "drops flood; model tiny has"),
        ("thresold = 1", "unknown entry 'thresold'"),
    ],
)
def test_a_profile_that_does_not_fit_is_refused(detect, tiny_model, tmp_path, text, message):
    (tmp_path / "p.toml").write_text(text)
    failed = detect("--model", tiny_model, "--profile", "p.toml")
    assert failed.returncode == 2
    assert message in failed.stderr
    assert not (tmp_path / "out" / "cam1.json").exists()


def test_words_name_events_anew_and_move_none(detect, tiny_model, tmp_path):
    detect("--model", tiny_model, "-t", "0")
    before = result(tmp_path, "cam1")
    (tmp_path / "words.toml").write_text(WORDS)
    words = detect("--model", tiny_model, "-t", "0", "--classes", "words.toml")
    assert words.returncode == 0, words.stderr
    after = result(tmp_path, "cam1")
    assert [snippet["score"] for snippet in after["snippets"]] == [snippet["score"] for snippet in before["snippets"]]
    assert {event["label"] for event in after["events"]} == {"fall"}
    assert list(after["snippets"][0]["probabilities"]) == ["calm", "fall"]
    assert after["model"]["sha256"] != before["model"]["sha256"]


def test_words_that_cannot_be_read_are_one_line(detect, tiny_model, tmp_path):
    failed = detect("--model", tiny_model, "--classes", "words.toml")
    assert failed.returncode != 0
    assert "words.toml: cannot be read" in failed.stderr


def cameras(*patterns):
    return "".join(f'[[camera]]\nmatch = "{one}"\nthreshold = 0.{number + 1}\n' for number, one in enumerate(patterns))


def test_a_camera_that_another_one_covers_gets_a_line(detect, tiny_model, tmp_path):
    (tmp_path / "p.toml").write_text(cameras("cam*", "cam2", "cam7"))
    done = detect("--model", tiny_model, "--profile", "p.toml")
    assert done.returncode == 0
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("note:")]
    assert "the camera cam2 takes no video, since cam* comes before it and matches in/cam2.npy, too" in note
    (tmp_path / "p.toml").write_text(cameras("cam2", "cam*", "cam7"))
    assert "note:" not in detect("--model", tiny_model, "--profile", "p.toml", "--overwrite").stderr
    assert [rule(tmp_path, name)["threshold"] for name in ("cam1", "cam2", "yard/cam1")] == [0.2, 0.1, 0.2]


def test_a_profile_whose_cameras_take_no_video_gets_a_line(detect, tiny_model, tmp_path):
    (tmp_path / "p.toml").write_text(cameras("cam7", "lobby/*"))
    done = detect("--model", tiny_model, "--profile", "p.toml")
    assert "note: --profile: no video is of a camera in it (cam7, lobby/*), so what it says of all holds" in done.stderr
