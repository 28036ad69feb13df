from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from tiny import CLASSES, HEAD, WIDTH, save_tiny_model, tiny_clip, tiny_config

from dsanet_cli.config import ModelConfig
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import ModelError, OutputError
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.models.directory import load_model, save_model
from dsanet_cli.models.folders import BUILT_IN_MODEL, find_model, list_models, read_config, user_models_folder
from dsanet_cli.models.text_tower import load_clip, load_text_adapter
from dsanet_cli.records import decode_exactly, to_json


@pytest.fixture
def directory(tmp_path):
    save_tiny_model(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_saved_model_loads_as_it_was(directory):
    model = load_model(str(directory))
    assert model.config == read_config(directory)
    assert model.config.class_names == ("normal", "fighting", "explosion")
    assert model.text_features.shape == (len(CLASSES), WIDTH)
    images = torch.randn(2, 3, 32, 48)
    encoder = model.frame_encoder(torch.device("cpu"), torch.float32)
    torch.testing.assert_close(encoder.embed(images), tiny_clip().visual(images))


def test_a_saved_model_knows_the_weights_of_its_encoder(directory):
    assert read_config(directory).encoder_sha256 == tower_sha256(tiny_clip().visual)


@pytest.mark.parametrize("name", [BUILT_IN_MODEL, "scenes"])
def test_the_built_in_models_know_the_weights_of_their_encoders(name):
    model = load_model(name)
    assert model.config.encoder_sha256 == tower_sha256(model.image_tower())


def test_others_may_read_it(directory):
    modes = {path.stat().st_mode & 0o777 for path in directory.iterdir()}
    (directory / "plain").touch()
    assert modes == {(directory / "plain").stat().st_mode & 0o777}


def test_both_towers_load_for_training(directory):
    clip = load_clip(directory, read_config(directory))
    for name, tensor in tiny_clip().state_dict().items():
        torch.testing.assert_close(clip.state_dict()[name], tensor)


def test_config_survives_json():
    config = tiny_config()
    assert decode_exactly(ModelConfig, json.dumps(to_json(config)).encode()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("head"), "missing required field `head`"),
        (lambda data: data.update(colour="red"), "unknown entry 'colour'"),
        (lambda data: data["head"].update(window="256"), "head.window: expected `int`, got `str`"),
        (lambda data: data["preprocessing"].update(mean=[0.5]), "mean"),
        (lambda data: data["head"].update(width=24), "the head takes features 24 wide"),
        (lambda data: data.update(classes=[]), "normal class"),
    ],
)
def test_a_config_that_does_not_fit_names_the_entry(directory, change, message):
    path = directory / "config.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match=message):
        load_model(str(directory))


def test_a_model_of_before_features_were_scaled_loads_unchanged(directory):
    """Its configuration has no such entry, and its head no such weights."""
    before = load_model(directory)
    path = directory / "config.json"
    config = json.loads(path.read_text())
    del config["head"]["standardised"], config["head"]["probed"]
    path.write_text(json.dumps(config))
    after = load_model(directory)
    assert after.config == before.config
    assert all(torch.equal(after.head.state_dict()[name], value) for name, value in before.head.state_dict().items())
    assert after.head.standardise is None
    assert after.head.probe is None


def test_a_head_that_scales_features_keeps_its_numbers(tmp_path):
    head_config = dataclasses.replace(HEAD, standardised=True, probed=True)
    head = DSANetHead(head_config)
    head.standardise.fit(torch.arange(WIDTH) + 1.0, torch.arange(WIDTH) + 2.0)
    head.probe.fit(torch.arange(WIDTH) / 7, torch.tensor(0.25))
    config = dataclasses.replace(tiny_config(), head=head_config)
    tower = tiny_clip().visual.state_dict()
    save_model(tmp_path / "scaled", config, head.state_dict(), torch.eye(3, WIDTH), tower)
    probe = load_model(tmp_path / "scaled").head.probe
    torch.testing.assert_close((probe.weight, probe.bias), (head.probe.weight, head.probe.bias))
    loaded = load_model(tmp_path / "scaled").head.standardise
    torch.testing.assert_close(loaded.mean, head.standardise.mean)
    torch.testing.assert_close(loaded.scale, head.standardise.scale)
    assert 0 < loaded.scale[0] < 1


def test_config_that_is_not_json(directory):
    (directory / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: not whole JSON"):
        load_model(str(directory))


@pytest.mark.parametrize("name", ["head.safetensors", "image_encoder.safetensors"])
def test_a_damaged_file_is_named(directory, name):
    path = directory / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=f"{name}: damaged"):
        load_model(str(directory))


def test_a_missing_file_is_named(directory):
    (directory / "image_encoder.safetensors").unlink()
    with pytest.raises(ModelError, match=r"image_encoder\.safetensors: cannot be read"):
        load_model(str(directory))


def test_head_of_other_dimensions_names_the_entries(tmp_path):
    config = save_tiny_model(tmp_path / "tiny")
    path = tmp_path / "tiny" / "config.json"
    data = json.loads(path.read_text())
    data["head"]["window"] = 2 * config.head.window
    path.write_text(json.dumps(data))
    with pytest.raises(ModelError, match=r"position_embeddings has shape .* instead of"):
        load_model(str(tmp_path / "tiny"))


def test_saving_never_replaces_unasked(directory):
    before = (directory / "config.json").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        save_tiny_model(directory, description="another")
    assert (directory / "config.json").read_bytes() == before


def test_what_is_no_model_is_never_replaced(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="notes: is there and is no model"):
        save_tiny_model(tmp_path / "notes", overwrite=True)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "years of work"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_model_stays_one(directory, tmp_path):
    (tmp_path / "link").symlink_to(directory)
    save_tiny_model(tmp_path / "link", overwrite=True, description="another")
    assert (tmp_path / "link").is_symlink()
    assert read_config(directory).description == "another"
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "link"}


def test_what_a_crash_left_of_a_model_is_found_and_drafts_are_not(directory, tmp_path, monkeypatch):
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path))
    shutil.copytree(directory, tmp_path / ".tiny.1.partial")
    directory.rename(tmp_path / ".tiny.old")
    assert [path.name for path in list_models() if path.parent == tmp_path] == ["tiny"]
    directory.rename(tmp_path / ".tiny.old")
    assert load_model("tiny").config.name == "tiny"


def test_saving_to_an_impossible_place_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        save_tiny_model(tmp_path / "file" / "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_are_looked_up_in_the_users_folder(tmp_path, monkeypatch, directory):
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path))
    assert find_model("tiny") == directory
    assert directory in list_models()


def test_an_unknown_name_lists_the_known_ones(tmp_path, monkeypatch, directory):
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match=r"model nope: .*tiny"):
        load_model("nope")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ucf-crime", "model ucf-crime: not here yet; bring it with dsanet models pull ucf-crime"),
        ("UCF_Crime", "dsanet models pull ucf-crime"),
        ("xd-violence", "dsanet models pull xd-violence"),
        ("model_ucf.pth", "a checkpoint, not a model directory; turn it into one with dsanet models import"),
        ("tinny", "did you mean tiny?"),
        (__file__, "a file, not a model directory"),
    ],
)
def test_what_is_no_model_yet_names_the_way_to_one(tmp_path, monkeypatch, directory, name, message):
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match=re.escape(message)):
        find_model(name)


def test_a_home_of_another_user_holds_no_models(tmp_path, monkeypatch):
    stat = Path.stat

    def deny(path, *rest, **more):
        if path.is_relative_to(tmp_path):
            raise PermissionError(13, "Permission denied")
        return stat(path, *rest, **more)

    monkeypatch.delenv("DSANET_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(Path, "stat", deny)  # file modes do not stop root
    assert find_model("scenes").name == "scenes"
    assert [model.name for model in list_models()] == ["scenes", "street"]


def test_without_a_home_only_the_models_that_come_along_are_there(monkeypatch):
    def nowhere(name):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("DSANET_MODELS", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", nowhere)
    assert [model.name for model in list_models()] == ["scenes", "street"]
    with pytest.raises(OutputError, match="DSANET_MODELS"):
        user_models_folder()


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(str(tmp_path))


def test_encoder_weights_where_the_model_brings_its_own(directory, tmp_path):
    with pytest.raises(ModelError, match="drop --encoder-weights"):
        load_model(str(directory)).frame_encoder(torch.device("cpu"), torch.float32, tmp_path / "clip.pt")


@pytest.mark.parametrize(
    ("name", "load"), [("text_encoder.safetensors", load_clip), ("text_adapter.safetensors", load_text_adapter)]
)
def test_what_few_need_is_checked_when_it_is_read(directory, name, load):
    config = read_config(directory)
    load(directory, config)
    data = bytearray((directory / name).read_bytes())
    data[-1] ^= 1
    (directory / name).write_bytes(data)
    load_model(str(directory))
    with pytest.raises(ModelError, match=f"{name}: damaged"):
        load(directory, config)


def test_a_model_without_its_text_adapter_says_so(directory):
    config = read_config(directory)
    files = {name: value for name, value in config.files.items() if name != "text_adapter.safetensors"}
    with pytest.raises(ModelError, match="holds no text adapter"):
        load_text_adapter(directory, dataclasses.replace(config, files=files))
