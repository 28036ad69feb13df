from __future__ import annotations

import csv
import functools
import http.server
import io
import json
import pickle
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from filling import filled_state_dict

from dsanet_cli.encoder.clip import load_pretrained, load_pretrained_tower
from dsanet_cli.errors import ModelError, OutputError
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.head.text_adapter import tokenise
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.folders import read_config
from dsanet_cli.models.presets import PUBLISHED_ENCODER
from dsanet_cli.models.published import import_checkpoint
from dsanet_cli.models.text_tower import load_clip, load_text_adapter

REFERENCE = Path(__file__).parents[1] / "reference"
CPU = torch.device("cpu")


def published_state(preset_name: str) -> dict[str, torch.Tensor]:
    """A full-size state dict in the published layout, CLIP's second copy included."""
    shapes = json.loads((REFERENCE / "state_dict_shapes.json").read_text())[preset_name.split("-", maxsplit=1)[0]]
    again = "clip_adapter.clipmodel."
    state = filled_state_dict({name: shape for name, shape in shapes.items() if not name.startswith(again)})
    return state | {name: state[name.removeprefix("clip_adapter.")] for name in shapes if name.startswith(again)}


@pytest.fixture(scope="module", params=["ucf-crime", "xd-violence"])
def checkpoint(request, tmp_path_factory):
    """Preset name and a full-size published file."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.save(published_state(request.param), folder / "model.pth")
    yield request.param, folder / "model.pth"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def imported(checkpoint, tmp_path_factory):
    """Preset name and model directory, fetched and written by the installed command."""
    preset_name, file = checkpoint
    folder = tmp_path_factory.mktemp("imported")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=file.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{file.name}"
        result = run("models", "pull", url, "-o", folder / "model", XDG_CACHE_HOME=str(folder / "cache"))
        server.shutdown()
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"or always: dsanet models use {folder / 'model'}\n")
    yield preset_name, folder / "model"
    shutil.rmtree(folder)


def test_detect_on_a_feature_file_prints_the_reference_scores(imported, tmp_path):
    preset_name, directory = imported
    features = (0.3 * np.random.default_rng(1700).standard_normal((700, 512))).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    result = run("detect", tmp_path / "features.npy", "--model", directory, "-f", "csv", "-o", "-")
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


def test_the_shapes_say_which_data_set_it_is_from(checkpoint, tmp_path):
    preset_name, file = checkpoint
    other = "xd-violence" if preset_name == "ucf-crime" else "ucf-crime"
    result = run("models", "import", file, "--preset", other, "-o", tmp_path / "model")
    assert result.returncode == 1
    assert f"is a checkpoint for {preset_name}, not for {other}" in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_text_tower_and_the_adapter_go_along(imported, checkpoint):
    """They give the class features anew, as the whole checkpoint does."""
    directory = imported[1]
    config = read_config(directory)
    clip, adapter = load_clip(directory, config), load_text_adapter(directory, config)
    with torch.inference_mode():
        features = adapter(clip, tokenise(config.classes))
    np.testing.assert_allclose(features, load_model(str(directory)).text_features, atol=1e-6)


def test_both_towers_can_be_taken_from_the_published_file(checkpoint, imported):
    file, directory = checkpoint[1], imported[1]
    clip = load_pretrained(PUBLISHED_ENCODER, file)
    own = load_clip(directory, read_config(directory))
    assert all(torch.equal(tensor, own.state_dict()[name]) for name, tensor in clip.state_dict().items())
    tower = load_pretrained_tower(PUBLISHED_ENCODER, file)
    assert torch.equal(tower.proj, own.visual.proj)


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
        import_checkpoint(path, tmp_path / "model", "ucf-crime")
    assert "\n" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} <= {"model.pth"}


def test_import_never_replaces_unasked(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        import_checkpoint(tmp_path / "model.pth", tmp_path / "model", "ucf-crime")
