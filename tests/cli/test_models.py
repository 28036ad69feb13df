from __future__ import annotations

import csv
import io
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from filling import filled_state_dict

from dsanet_cli.errors import ModelError, OutputError
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.published import import_checkpoint

REFERENCE = Path(__file__).parents[1] / "reference"
CPU = torch.device("cpu")


def published_state(preset_name: str) -> dict[str, torch.Tensor]:
    """A full-size state dict in the published layout, CLIP's second copy included."""
    shapes = json.loads((REFERENCE / "state_dict_shapes.json").read_text())[preset_name.split("-", maxsplit=1)[0]]
    again = "clip_adapter.clipmodel."
    state = filled_state_dict({name: shape for name, shape in shapes.items() if not name.startswith(again)})
    return state | {name: state[name.removeprefix("clip_adapter.")] for name in shapes if name.startswith(again)}


@pytest.fixture(scope="module", params=["ucf-crime", "xd-violence"])
def imported(request, tmp_path_factory):
    """Preset name and model directory, written by the installed command."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.save(published_state(request.param), folder / "model.pth")
    result = dsanet("models", "import", folder / "model.pth", "--preset", request.param, "-o", folder / "model")
    assert result.returncode == 0, result.stderr
    (folder / "model.pth").unlink()
    yield request.param, folder / "model"
    shutil.rmtree(folder)


def dsanet(*arguments):
    command = [Path(sys.executable).with_name("dsanet"), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_detect_on_a_feature_file_prints_the_reference_scores(imported, tmp_path):
    preset_name, directory = imported
    features = (0.3 * np.random.default_rng(1700).standard_normal((700, 512))).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    result = dsanet("detect", tmp_path / "features.npy", "--model", directory, "-f", "csv", "-o", "-")
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    reference = np.load(REFERENCE / f"inference_{preset_name.split('-', maxsplit=1)[0]}.npz")
    scores = [float(row["score"]) for row in rows]
    np.testing.assert_allclose(scores, reference["T700_score"].ravel(), rtol=1e-4, atol=1e-5)
    names = list(rows[0])[4:]
    probabilities = [[float(row[name]) for name in names] for row in rows]
    np.testing.assert_allclose(probabilities, reference["T700_class_probabilities"], rtol=1e-4, atol=1e-5)


def test_an_imported_checkpoint_gives_the_reference_scores(imported):
    preset_name, directory = imported
    model = load_model(str(directory))
    reference = np.load(REFERENCE / f"inference_{preset_name.split('-')[0]}.npz")
    for count in (37, 257):
        features = (0.3 * np.random.default_rng(1000 + count).standard_normal((count, 512))).astype(np.float32)
        result = score_snippets(model.head, torch.from_numpy(features), model.text_features, model.config.temperature)
        np.testing.assert_allclose(result.scores, reference[f"T{count}_score"].ravel(), atol=1e-5)
        np.testing.assert_allclose(
            result.probabilities, reference[f"T{count}_class_probabilities"], rtol=1e-4, atol=1e-5
        )


def test_its_encoder_gives_the_reference_features(imported):
    encoder = load_model(str(imported[1])).frame_encoder(CPU, torch.float32)
    images = np.random.default_rng(5).random((2, 3, 224, 224), dtype=np.float32) * 2 - 1
    expected = np.load(REFERENCE / "clip_vit_b16.npz")["image_features"]
    np.testing.assert_allclose(encoder.embed(torch.from_numpy(images)), expected, rtol=1e-4, atol=1e-5)


def test_it_takes_the_published_frames(imported):
    config = load_model(str(imported[1])).config
    assert config.preprocessing.resize == (256, 340)
    assert config.preprocessing.crop == (224, 224)
    assert config.encoder.pretrained is None


class Hostile:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def write_hostile(path: Path) -> None:
    torch.save({"classifier.weight": Hostile()}, path)


def write_plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Hostile()))


def write_truncated(path: Path) -> None:
    torch.save({"classifier.weight": torch.zeros(100, 512)}, path)
    path.write_bytes(path.read_bytes()[:-500])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_hostile, "more than tensors"),
        (write_plain_pickle, "more than tensors|not a PyTorch checkpoint"),
        (write_truncated, "damaged or cut off"),
        (lambda path: path.write_bytes(b""), "damaged or cut off"),
        (lambda path: path.write_text("no model"), "not a PyTorch checkpoint|more than tensors"),
        (lambda path: torch.save([1, 2], path), "holds a list, not a state dict"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path), "missing .*; unknown"),
        (lambda path: None, "no such file"),
    ],
)
def test_a_file_that_is_no_checkpoint_executes_and_writes_nothing(tmp_path, monkeypatch, write, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pth"
    write(path)
    with pytest.raises(ModelError, match=rf"model\.pth: .*({message})") as caught:
        import_checkpoint(path, "ucf-crime", tmp_path / "model", overwrite=False)
    assert "\n" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} <= {"model.pth"}


def test_import_never_replaces_unasked(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        import_checkpoint(tmp_path / "model.pth", "ucf-crime", tmp_path / "model", overwrite=False)
