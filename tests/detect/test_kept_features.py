"""Features kept beside results, and what ``events`` makes of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import run
from media import write_video
from tiny import WIDTH, save_tiny_model

from dsanet_cli.features.sidecar import read_extraction
from dsanet_cli.files.sources import find_sources
from dsanet_cli.timeline.files import read_timeline

WORDS = """
[[class]]
name = "calm"
prompts = ["people walking"]

[[class]]
name = "fall"
prompts = ["a person falls", "someone on the floor"]
"""


@pytest.fixture(scope="module")
def analysed(tiny_model, tmp_path_factory):
    """Two videos in ``in``, and their results in ``out``."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "in" / "yard").mkdir(parents=True)
    write_video(folder / "in" / "a.mp4", frames=150)
    write_video(folder / "in" / "yard" / "b.mp4", frames=170, first_number=500)
    done = run("detect", "in", "-r", "-o", "out", "-f", "json", "--keep-features", "--model", tiny_model, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def place(analysed, tmp_path, monkeypatch):
    shutil.copytree(analysed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_they_are_written_as_extract_writes_them(place, tiny_model):
    assert (
        run("extract", "in", "-r", "-o", "extracted", "--model", tiny_model, "--frames-per-snippet", 2).returncode == 0
    )
    kept, extracted = read_extraction(Path("out/features")), read_extraction(Path("extracted"))
    for name in ("encoder", "weights_sha256", "preprocessing", "sampled_frames", "crops", "storage", "precision"):
        assert getattr(kept, name) == getattr(extracted, name)
    assert {made.name for made in kept.videos} == {"a", "yard/b"}
    for name in ("a", "yard/b"):
        ours, theirs = (np.load(Path(folder, f"{name}__0.npy")) for folder in ("out/features", "extracted"))
        assert len(ours) == len(read_timeline(f"out/{name}.json").starts) == len(theirs) + 1, (
            "and the rest of 16 frames"
        )
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours[:-1], theirs)


def test_a_later_run_takes_them_for_no_sources(place):
    shutil.copytree("out", "in/out")
    found = {source.relative.as_posix() for source in find_sources(["in"], True, None).sources}
    assert found == {"a", "yard/b"}
    named = find_sources(["in/out/features"], True, None).sources
    assert {source.path.name for source in named} == {"a__0.npy", "b__0.npy"}, "named itself, it is taken"


def test_they_are_part_of_a_complete_result(place, tiny_model):
    command = ("detect", "in", "-r", "-o", "out", "-f", "json", "--model", tiny_model)
    assert "2 results of an earlier run kept" in run(*command, "--keep-features").stderr
    before = Path("out/features/a__0.npy").read_bytes()
    Path("out/features/a__0.npy").unlink()
    assert "2 results of an earlier run kept" in run(*command).stderr, "where nobody asks for them"
    assert "1 result of an earlier run kept" in run(*command, "--keep-features").stderr
    assert Path("out/features/a__0.npy").read_bytes() == before
    refused = run(*command, "--keep-features", "--frames-per-snippet", 3)
    assert refused.returncode == 2
    assert "the features there were made with frames per snippet 2, not 3" in refused.stderr


def test_another_head_scores_them_as_if_the_video_were_analysed_anew(place, tiny_model):
    other = place / "other"
    save_tiny_model(other, name="other", temperature=0.5)
    done = run("events", "out", "-r", "-o", "new", "--model", other, "-f", "csv", "-t", "0.4")
    assert done.returncode == 0, done.stderr
    options = ("-f", "csv", "-t", "0.4", "--model", other)
    assert run("detect", "in", "-r", "-o", "anew", *options).returncode == 0
    for name in ("a", "yard/b"):
        found, wanted = (json.loads(Path(folder, f"{name}.json").read_text()) for folder in ("new", "anew"))
        assert found["model"] == wanted["model"]
        assert found["model"]["name"] == "other"
        assert [event["label"] for event in found["events"]] == [event["label"] for event in wanted["events"]]
        for one, two in zip(found["snippets"], wanted["snippets"], strict=True):
            assert one["score"] == pytest.approx(two["score"], abs=1e-5)
            assert one["probabilities"] == pytest.approx(two["probabilities"], abs=1e-5)


def test_other_classes_in_words(place, tiny_model):
    Path("words.toml").write_text(WORDS)
    done = run("events", "out/a.json", "-o", "new", "--model", tiny_model, "--classes", "words.toml", "-t", "0.1")
    assert done.returncode == 0, done.stderr
    found, before = read_timeline("new/a.json"), read_timeline("out/a.json")
    assert found.class_names == ("calm", "fall")
    np.testing.assert_allclose(found.scores, before.scores, atol=1e-5, err_msg="when stays, what changes")
    assert {event.label for event in found.events} == {"fall"}


def test_features_that_do_not_fit_are_one_line_each(place, tiny_model):
    from tiny import MARGINS  # noqa: PLC0415

    save_tiny_model(place / "wide", preprocessing=MARGINS)
    refused = run("events", "out", "-r", "--model", "wide")
    assert refused.returncode == 1
    assert refused.stderr.count("features of another encoder") == 2
    np.save("out/features/a__0.npy", np.zeros((3, WIDTH), np.float32))
    Path("out/features/yard/b__0.npy").unlink()
    refused = run("events", "out", "-r", "--model", tiny_model)
    assert refused.returncode == 1
    assert "a__0.npy: 3 features for 10 snippets of out/a.json" in refused.stderr
    assert "out/yard/b.json: no features are kept of it" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_they_do_not_go_with(place, tiny_model):
    for options in (("--scan",), ("-o", "-", "-f", "json")):
        assert run("detect", "in/a.mp4", "--keep-features", "--model", tiny_model, *options).returncode == 2
    refused = run("detect", "in/a.mp4", "--keep-features", "-o", "memory://x", "--model", tiny_model)
    assert refused.returncode == 2
    assert "takes a folder of this machine" in refused.stderr


def test_the_sidecar_says_what_was_looked_at(place, tiny_model):
    region = ("--region", "0,0,1,0.5", "--keep-features", "-f", "json", "--model", tiny_model)
    assert run("detect", "in/a.mp4", "-o", "upper", *region).returncode == 0
    assert read_extraction(Path("upper/features")).region == (0, 0, 1, 0.5)
    refused = run("detect", "in/yard/b.mp4", "-o", "out", *region)
    assert refused.returncode == 2
    assert "region" in refused.stderr


def test_cameras_with_regions_of_their_own_are_refused(place, tiny_model):
    Path("cameras.toml").write_text('[[camera]]\nmatch = "a"\nregion = [0, 0, 1, 0.5]\n')
    refused = run(
        "detect", "in/a.mp4", "-o", "new", "--keep-features", "--profile", "cameras.toml", "--model", tiny_model
    )
    assert refused.returncode == 2
    assert "features of one folder show one region" in refused.stderr
