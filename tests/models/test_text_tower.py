"""A text tower that several models share is stored once."""

from __future__ import annotations

import shutil

import pytest
import torch
from tiny import save_tiny_model, tiny_clip, tiny_config

from dsanet_cli.encoder.tower import split_towers
from dsanet_cli.errors import ModelError
from dsanet_cli.models.directory import load_model, read_tensors, save_model
from dsanet_cli.models.folders import read_config
from dsanet_cli.models.text_tower import load_clip


@pytest.fixture
def sharing(tmp_path):
    """A model beside ``tiny`` that differs from it in the projection of its text tower."""
    save_tiny_model(tmp_path / "tiny")
    image_tower, text_tower = split_towers(tiny_clip())
    text_tower["text_projection"] = torch.full_like(text_tower["text_projection"], 0.5)
    tiny = load_model(tmp_path / "tiny")
    save_model(
        tmp_path / "other",
        tiny_config(name="other"),
        head=tiny.head.state_dict(),
        text_features=tiny.text_features,
        image_tower=image_tower,
        text_tower=text_tower,
        shared_text=tmp_path / "tiny",
    )
    return tmp_path / "other"


def test_only_what_differs_is_written(sharing):
    assert not (sharing / "text_encoder.safetensors").exists()
    assert list(read_tensors(sharing / "text_projection.safetensors")) == ["text_projection"]


def test_both_towers_load_for_training(sharing):
    clip, base = load_clip(sharing, read_config(sharing)), tiny_clip()
    assert (clip.text_projection == 0.5).all()
    for name, tensor in base.state_dict().items():
        if name != "text_projection":
            torch.testing.assert_close(clip.state_dict()[name], tensor)


def test_the_shared_tower_is_found_among_all_models(sharing, tmp_path, monkeypatch):
    shutil.move(sharing, tmp_path / "elsewhere" / "other")
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path))
    moved = tmp_path / "elsewhere" / "other"
    assert (load_clip(moved, read_config(moved)).text_projection == 0.5).all()


@pytest.mark.parametrize("damage", ["gone", "another"])
def test_without_the_shared_tower_only_training_fails(sharing, tmp_path, damage, monkeypatch):
    monkeypatch.setenv("DSANET_MODELS", str(tmp_path))
    shared = tmp_path / "tiny" / "text_encoder.safetensors"
    shared.unlink() if damage == "gone" else shared.write_bytes(shared.read_bytes()[:-1] + b"\1")
    load_model(sharing)
    with pytest.raises(ModelError, match="nor with another model that shares it"):
        load_clip(sharing, read_config(sharing))


def test_the_projection_is_checked(sharing):
    path = sharing / "text_projection.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    load_model(sharing)
    with pytest.raises(ModelError, match=r"text_projection\.safetensors: damaged"):
        load_clip(sharing, read_config(sharing))
