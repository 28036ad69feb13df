from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dsanet_cli.errors import FeatureError, SourceError
from dsanet_cli.features.files import fit_length, load_features
from dsanet_cli.features.lists import ListedFeature, read_list, require_files

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "train_resampling.npz")


@pytest.mark.parametrize("count", [3, 255, 256, 257, 300, 1000, 5000])
def test_length_for_training_equals_the_reference(count):
    features = np.random.default_rng(count).standard_normal((count, 8)).astype(np.float32)
    fitted, length = fit_length(features, 256)
    assert fitted.dtype == np.float32
    assert length == REFERENCE[f"T{count}_length"]
    np.testing.assert_allclose(fitted, REFERENCE[f"T{count}"], rtol=1e-5, atol=1e-6)


def test_half_precision_features_load_as_float32(tmp_path):
    array = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float16)
    np.save(tmp_path / "a.npy", array)
    loaded = load_features(tmp_path / "a.npy", 4)
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3), np.float32), "features are 3 wide, the model takes 4"),
        (np.zeros((0, 4), np.float32), "no snippets"),
        (np.zeros(4, np.float32), "expected floating-point features"),
        (np.zeros((5, 4), np.int64), "expected floating-point features"),
        (np.full((5, 4), np.nan, np.float32), "not finite"),
        (np.array([["a", {}]], dtype=object), "not a feature file"),
    ],
)
def test_features_that_do_not_fit(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(FeatureError, match=rf"a\.npy: .*{message}"):
        load_features(tmp_path / "a.npy", 4)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00v\x00{'descr'", b"text"])
def test_a_file_that_holds_no_array(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FeatureError, match=r"a\.npy: not a feature file"):
        load_features(tmp_path / "a.npy", 4)


def test_a_missing_feature_file(tmp_path):
    with pytest.raises(FeatureError, match=r"a\.npy: no such feature file"):
        load_features(tmp_path / "a.npy", 4)


def test_list_paths_are_relative_to_the_list(tmp_path):
    (tmp_path / "list.csv").write_text("path,label\na/b.npy,Normal\n/c.npy,B2-G-0\n")
    assert read_list(tmp_path / "list.csv") == [
        ListedFeature(tmp_path / "a" / "b.npy", "Normal"),
        ListedFeature(Path("/c.npy"), "B2-G-0"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a feature list"),
        ("a.npy,Normal\n", "first line must be path,label"),
        ("path,label\n", "lists no feature files"),
        ("path,label\na.npy\n", "line 2 is no path,label"),
    ],
)
def test_a_list_that_is_none(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"list\.csv: .*{message}"):
        read_list(tmp_path / "list.csv")


def test_a_missing_list(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        read_list(tmp_path / "list.csv")


def write_list(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("path,label\n" + "".join(f"{row},Normal\n" for row in rows))
    return path


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    "written", ["/home/ann/data/UCF/Abuse/Abuse001__0.npy", "D:\\data\\UCF\\Abuse\\Abuse001__0.npy"]
)
def test_paths_of_another_machine_are_found_by_their_tail(tmp_path, written):
    root = tmp_path / "here"
    touch(root / "Abuse001__0.npy")
    nearer = touch(root / "Abuse" / "Abuse001__0.npy")
    (row,) = read_list(write_list(tmp_path / "list.csv", written), root)
    assert row.path == nearer


def test_a_path_without_a_file_stays_below_the_root(tmp_path):
    (row,) = read_list(write_list(tmp_path / "list.csv", "/home/ann/gone__0.npy"), tmp_path / "here")
    assert row.path == tmp_path / "here" / "home/ann/gone__0.npy"


def test_missing_files_are_counted_and_named(tmp_path):
    touch(tmp_path / "a__0.npy")
    names = [f"{n}__0.npy" for n in range(7)]
    path = write_list(tmp_path / "list.csv", "a__0.npy", *names)
    with pytest.raises(SourceError, match=r"7 of 8 feature files are missing: .*0__0.npy, .* and 2 more; .*--root"):
        require_files(read_list(path), path)
    found, missing = require_files(read_list(path), path, skip_missing=True)
    assert [row.path.name for row in found] == ["a__0.npy"]
    assert [file.name for file in missing] == names


def test_a_list_of_missing_files_only_is_an_error(tmp_path):
    path = write_list(tmp_path / "list.csv", "a__0.npy")
    with pytest.raises(SourceError, match="1 of 1 feature files are missing"):
        require_files(read_list(path), path, skip_missing=True)
