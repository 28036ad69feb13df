from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from tiny import ENCODER, tiny_clip, tiny_config

from dsanet_cli.encoder.architecture import PUBLISHED_PREPROCESSING
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import ModelError, UsageError
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.models.presets import PUBLISHED_ENCODER


def test_nothing_said_is_the_published_encoder():
    chosen = choose_encoder(EncoderChoice())
    assert chosen.config == PUBLISHED_ENCODER
    assert chosen.preprocessing == PUBLISHED_PREPROCESSING
    assert chosen.snippet_frames == 16


def test_the_encoder_of_a_model(tiny_model):
    chosen = choose_encoder(EncoderChoice(model=str(tiny_model)))
    assert chosen.config == ENCODER
    assert chosen.preprocessing == tiny_config().preprocessing
    assert tower_sha256(chosen.load_tower()) == tower_sha256(tiny_clip().visual)


def test_an_architecture_with_a_tag():
    chosen = choose_encoder(EncoderChoice(architecture="ViT-L-14-336-quickgelu", tag="openai"))
    assert (chosen.config.width, chosen.config.pretrained) == (768, "openai")
    assert chosen.preprocessing.crop == (336, 336)


def test_an_architecture_with_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("dsanet_cli.encoder.architecture._shipped_config", lambda name: ENCODER.custom)
    save_file(tiny_clip().state_dict(), tmp_path / "weights.safetensors")
    chosen = choose_encoder(EncoderChoice(architecture="ViT-B-16", weights=tmp_path / "weights.safetensors"))
    assert chosen.config.width == 16
    images = torch.randn(2, 3, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(chosen.load_tower()(images), tiny_clip().visual(images))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (EncoderChoice(model="scenes", architecture="ViT-B-16"), "--model brings its encoder"),
        (EncoderChoice(model="scenes", tag="openai"), "--model brings its encoder"),
        (EncoderChoice(tag="openai"), "--tag names weights of an --encoder"),
        (EncoderChoice(architecture="ViT-B-16"), r"with --tag \(.*laion2b.*\) or --encoder-weights FILE"),
    ],
)
def test_options_that_contradict_each_other(choice, message):
    with pytest.raises(UsageError, match=message):
        choose_encoder(choice)


def test_an_unknown_architecture():
    with pytest.raises(ModelError, match="ViT-Z: not an open_clip architecture"):
        choose_encoder(EncoderChoice(architecture="ViT-Z", tag="openai"))
