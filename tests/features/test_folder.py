from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny import ENCODER, tiny_config

from dsanet_cli.errors import FeatureError, UsageError
from dsanet_cli.features.folder import claim_folder, crop_of, feature_file, is_whole, write_features
from dsanet_cli.features.sidecar import SIDECAR_FILE, Extraction, read_extraction

MADE = Extraction(
    encoder=ENCODER,
    weights_sha256="0" * 64,
    preprocessing=tiny_config().preprocessing,
    sampled_frames=16,
    crops=(0,),
    storage="float32",
    precision="fp32",
)
CLIP, OTHER = Path("a/clip"), Path("b/other")


def changed(**values):
    return dataclasses.replace(MADE, **values)


def put(folder, relative, crop=0):
    path = feature_file(folder, relative, crop)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ones((2, 4), np.float32))
    return path


def test_names_of_feature_files():
    path = feature_file(Path("out"), Path("Bad.Boys/v.1__#0"), 7)
    assert path == Path("out/Bad.Boys/v.1__#0__7.npy")
    assert crop_of(path) == 7
    assert crop_of(Path("clip.npy")) is None
    assert crop_of(Path("clip__10.npy")) is None


@pytest.mark.parametrize("storage", ["float16", "float32"])
def test_what_is_written_is_whole(tmp_path, storage):
    features = np.random.default_rng(0).standard_normal((3, 2, 4)).astype(np.float32)
    paths = [tmp_path / "a__0.npy", tmp_path / "a__5.npy"]
    write_features(paths, features, storage)
    for number, path in enumerate(paths):
        stored = np.load(path)
        assert stored.dtype == storage
        np.testing.assert_array_equal(stored, features[:, number].astype(storage))
        assert is_whole(path, (3, 4), storage)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.ones((3, 4), np.float32), (4, 4)),
        (np.ones((3, 4), np.float32), (3, 5)),
        (np.ones((3, 4), np.float16), (3, 4)),
        (np.full((3, 4), np.inf, np.float32), (3, 4)),
        (np.array([[{}]]), (1, 1)),
    ],
)
def test_what_is_not_whole(tmp_path, array, shape):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    assert not is_whole(tmp_path / "a.npy", shape, "float32")


def test_truncated_or_missing_is_not_whole(tmp_path):
    path = tmp_path / "a.npy"
    assert not is_whole(path, (3, 4), "float32")
    np.save(path, np.ones((3, 4), np.float32))
    assert is_whole(path, (3, 4), "float32")
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_whole(path, (3, 4), "float32")
    path.write_bytes(b"")
    assert not is_whole(path, (3, 4), "float32")


def test_values_beyond_half_precision_are_not_written(tmp_path):
    features = np.full((1, 1, 4), 1e5, np.float32)
    with pytest.raises(FeatureError, match=r"a__0\.npy: not written, .*--storage fp32"):
        write_features([tmp_path / "a__0.npy"], features, "float16")
    assert not list(tmp_path.iterdir())


def test_the_sidecar_records_all_crops_there_are(tmp_path):
    claim_folder(tmp_path, changed(crops=tuple(range(10))), [CLIP], overwrite=False)
    put(tmp_path, CLIP)
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    assert read_extraction(tmp_path) == changed(crops=tuple(range(10)))


DIFFERENCES = [
    ({"weights_sha256": "1" * 64}, "encoder weights of SHA-256 0{64}, not 1{64}"),
    ({"sampled_frames": 4}, "frames per snippet 16, not 4"),
    ({"storage": "float16"}, "storage float32, not float16"),
    ({"precision": "bf16"}, "precision fp32, not bf16"),
    (
        {"preprocessing": dataclasses.replace(MADE.preprocessing, resize=(40, 60))},
        r"resize to \(height, width\) \(32, 48\), not \(40, 60\)",
    ),
    ({"encoder": dataclasses.replace(ENCODER, architecture="ViT-B-16")}, "encoder tiny, not ViT-B-16"),
    ({"encoder": dataclasses.replace(ENCODER, custom=ENCODER.custom | {"quick_gelu": False})}, "configuration"),
]


@pytest.mark.parametrize(("values", "message"), DIFFERENCES)
def test_features_of_other_settings_are_not_mixed(tmp_path, values, message):
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    file = put(tmp_path, CLIP)
    with pytest.raises(UsageError, match=rf"made with .*{message}.*another --output, or redo them with --overwrite"):
        claim_folder(tmp_path, changed(**values), [CLIP], overwrite=False)
    assert read_extraction(tmp_path) == MADE
    assert file.exists()


def test_where_the_weights_came_from_is_no_difference(tmp_path):
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    put(tmp_path, CLIP)
    tagged = changed(encoder=dataclasses.replace(ENCODER, pretrained="openai"), weights="ViT.pt")
    claim_folder(tmp_path, tagged, [CLIP], overwrite=False)
    assert read_extraction(tmp_path) == tagged


def test_settings_of_a_folder_without_features_are_replaced(tmp_path):
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    claim_folder(tmp_path, changed(sampled_frames=4), [CLIP], overwrite=False)
    assert read_extraction(tmp_path).sampled_frames == 4


def test_overwrite_removes_what_would_be_mixed_at_once(tmp_path):
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    files = [put(tmp_path, CLIP, crop) for crop in (0, 9)]
    claim_folder(tmp_path, changed(sampled_frames=4), [CLIP], overwrite=True)
    assert not any(file.exists() for file in files)
    assert read_extraction(tmp_path).sampled_frames == 4


def test_overwrite_with_the_same_settings_removes_nothing(tmp_path):
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    files = [put(tmp_path, CLIP), put(tmp_path, OTHER)]
    claim_folder(tmp_path, MADE, [CLIP], overwrite=True)
    assert all(file.exists() for file in files)


def test_overwrite_leaves_other_videos_and_says_so(tmp_path):
    claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    files = [put(tmp_path, CLIP), put(tmp_path, OTHER)]
    with pytest.raises(UsageError, match=r"other__0\.npy, were made with .*choose another --output"):
        claim_folder(tmp_path, changed(sampled_frames=4), [CLIP], overwrite=True)
    assert all(file.exists() for file in files)
    assert read_extraction(tmp_path) == MADE


def test_features_without_a_sidecar_are_of_unknown_settings(tmp_path):
    put(tmp_path, CLIP)
    with pytest.raises(UsageError, match=rf"the features there have no {SIDECAR_FILE} beside them"):
        claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    assert not (tmp_path / SIDECAR_FILE).exists()


def test_a_sidecar_above_speaks_for_other_features(tmp_path):
    claim_folder(tmp_path, MADE, [], overwrite=False)
    claim_folder(tmp_path / "below", changed(sampled_frames=4), [CLIP], overwrite=False)
    assert read_extraction(tmp_path / "below").sampled_frames == 4


def test_a_damaged_sidecar(tmp_path):
    (tmp_path / SIDECAR_FILE).write_text("{")
    put(tmp_path, CLIP)
    with pytest.raises(FeatureError, match=r"extraction\.json: damaged"):
        claim_folder(tmp_path, MADE, [CLIP], overwrite=False)
    claim_folder(tmp_path, MADE, [CLIP], overwrite=True)
    assert read_extraction(tmp_path) == MADE
