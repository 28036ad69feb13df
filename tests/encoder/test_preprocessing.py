from __future__ import annotations

import pytest

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.architecture import OPENAI_MEAN, OPENAI_STD, PUBLISHED_PREPROCESSING, preprocessing_for
from dsanet_cli.models.presets import PUBLISHED_ENCODER


def test_the_published_encoder_gets_the_published_preprocessing():
    assert PUBLISHED_PREPROCESSING.resize == (256, 340)
    assert PUBLISHED_PREPROCESSING.crop == (224, 224)
    assert preprocessing_for(PUBLISHED_ENCODER) == PUBLISHED_PREPROCESSING


@pytest.mark.parametrize(
    ("architecture", "crop", "resize"),
    [("ViT-L-14-336-quickgelu", 336, (384, 510)), ("ViT-B-16-SigLIP-384", 384, (439, 583))],
)
def test_other_input_sizes_keep_the_proportions(architecture, crop, resize):
    preprocessing = preprocessing_for(EncoderConfig(architecture, 768))
    assert preprocessing.crop == (crop, crop)
    assert preprocessing.resize == resize


def test_an_input_that_is_not_square():
    custom = {"embed_dim": 8, "vision_cfg": {"image_size": [112, 224]}, "text_cfg": {}}
    preprocessing = preprocessing_for(EncoderConfig("wide", 8, custom=custom))
    assert (preprocessing.resize, preprocessing.crop) == ((128, 340), (112, 224))


def test_mean_and_deviation_are_those_of_the_weights():
    tagged = preprocessing_for(EncoderConfig("ViT-B-16-SigLIP", 768, pretrained="webli"))
    assert (tagged.mean, tagged.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    from_file = preprocessing_for(EncoderConfig("ViT-B-16-SigLIP", 768))
    assert (from_file.mean, from_file.std) == (OPENAI_MEAN, OPENAI_STD)
