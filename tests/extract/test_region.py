"""``--region`` and ``--mask`` of ``extract``, on two videos that differ in their left halves only."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commands import run
from media import write_halves, write_mask

LEFT_HALF = np.arange(128)[None].repeat(96, 0) < 64
RIGHT = "0.5,0,0.5,1"


@pytest.fixture
def extract(tiny_model, tmp_path):
    for name, left in (("one", 100), ("two", 3000)):
        write_halves(tmp_path / f"{name}.mkv", left, 900)
    write_mask(tmp_path / "m.png", LEFT_HALF)
    return lambda *arguments: run("extract", "--model", tiny_model, *arguments, cwd=tmp_path)


def features(tmp_path, name, crop=0):
    return np.load(tmp_path / "features" / f"{name}__{crop}.npy")


@pytest.mark.parametrize("options", [("--region", RIGHT), ("--mask", "m.png"), ()])
def test_what_is_hidden_changes_no_feature(extract, tmp_path, options):
    done = extract("one.mkv", "two.mkv", "-o", "features", *options)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(features(tmp_path, "one"), features(tmp_path, "two")) == bool(options)


def test_a_folder_takes_features_of_one_region_and_mask(extract, tmp_path):
    assert extract("one.mkv", "-o", "features", "--region", RIGHT).returncode == 0
    sidecar = json.loads((tmp_path / "features" / "extraction.json").read_text())
    assert (sidecar["region"], sidecar["mask"]) == ([0.5, 0, 0.5, 1], None)
    assert "1 kept" in extract("one.mkv", "-o", "features", "--region", RIGHT).stderr
    failed = extract("one.mkv", "-o", "features")
    assert failed.returncode == 2
    assert "were made with region 0.5,0,0.5,1, not all of the picture; choose another --output" in failed.stderr
    assert "not 0,0,0.5,1" in extract("one.mkv", "-o", "features", "--region", "0,0,0.5,1").stderr
    assert "were made with mask" in extract("one.mkv", "-o", "features", "--region", RIGHT, "--mask", "m.png").stderr


def test_a_folder_takes_features_of_one_stream(extract):
    assert extract("one.mkv", "-o", "features").returncode == 0
    failed = extract("one.mkv", "-o", "features", "--stream", "0")
    assert failed.returncode == 2
    assert "were made with --stream None, not 0" in failed.stderr


@pytest.mark.parametrize("options", [("--region", RIGHT), ("--mask", "m.png")])
def test_verify_looks_at_the_same_part(extract, options):
    assert extract("one.mkv", "-o", "features", *options).returncode == 0
    same = extract("--verify", "features/one__0.npy", "two.mkv", *options)
    assert "the mean of all frames fits best: mean cosine 1.0000" in same.stdout, same.stderr
    other = extract("--verify", "features/one__0.npy", "two.mkv")
    assert "mean cosine 1.0000, " not in other.stdout
    assert "fits best" in other.stdout


def test_a_small_region_gets_a_line(extract):
    done = extract("one.mkv", "-o", "features", "--region", "0,0,0.25,1")
    assert "one.mkv: the region is only 32 x 96 pixels of the picture, in which little can be told" in done.stderr
    failed = extract("two.mkv", "-o", "other", "--region", "0,0,0.05,1")
    assert failed.returncode == 1
    assert "two.mkv: the region is 6 x 96 of its 128 x 96 pixels" in failed.stderr
