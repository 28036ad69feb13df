from __future__ import annotations

import open_clip
import pytest

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.architecture import OPENAI_MEAN, OPENAI_STD, architecture_config
from dsanet_cli.errors import ModelError


def test_every_architecture_is_as_open_clip_has_it():
    for name in open_clip.list_models():
        assert architecture_config(EncoderConfig(name, 1)) == open_clip.get_model_config(name)


def test_an_architecture_that_was_added_to_open_clip(tmp_path):
    config = {"embed_dim": 8, "vision_cfg": {"image_size": 32}, "text_cfg": {}}
    (tmp_path / "added.json").write_text('{"embed_dim": 8, "vision_cfg": {"image_size": 32}, "text_cfg": {}}')
    open_clip.add_model_config(tmp_path)
    assert architecture_config(EncoderConfig("added", 8)) == config


@pytest.mark.parametrize("name", ["ViT-Z", "../model_configs/ViT-B-16", "", "."])
def test_no_architecture(name):
    with pytest.raises(ModelError, match="not an open_clip architecture"):
        architecture_config(EncoderConfig(name, 1))


def test_mean_and_deviation_are_open_clips():
    assert (OPENAI_MEAN, OPENAI_STD) == (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
