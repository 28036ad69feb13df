from __future__ import annotations

import inspect
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.model import CLIPVisionCfg
from tiny import ENCODER

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.architecture import architecture_config
from dsanet_cli.encoder.clip import build_image_tower
from dsanet_cli.encoder.tower import load_image_tower
from dsanet_cli.encoder.vision_transformer import DEFAULTS, PLAIN, VisionTransformer, is_plain
from dsanet_cli.errors import ModelError


def small(quick_gelu=True, **vision):
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 8, **vision}
    config = {"embed_dim": 16, "quick_gelu": quick_gelu, "vision_cfg": vision, "text_cfg": ENCODER.custom["text_cfg"]}
    return EncoderConfig("small", 16, custom=config)


@pytest.mark.parametrize(
    "encoder",
    [ENCODER, small(), small(quick_gelu=False), small(mlp_ratio=2.5), small(image_size=[32, 50], patch_size=16)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_are_open_clips_to_the_bit(encoder, dtype):
    torch.manual_seed(0)
    theirs = build_image_tower(encoder).requires_grad_(False)
    for tensor in theirs.parameters():
        tensor.add_(0.1 * torch.randn_like(tensor))  # norms and biases, too, which start as ones and zeros
    ours = load_image_tower(encoder, theirs.state_dict(), Path("weights"))
    assert isinstance(ours, VisionTransformer)
    size = encoder.custom["vision_cfg"]["image_size"]
    images = torch.randn(3, 3, *([size, size] if isinstance(size, int) else size)).to(dtype)
    with torch.inference_mode():
        for layout in (torch.contiguous_format, torch.channels_last):
            given = images.to(memory_format=layout)
            torch.testing.assert_close(ours.to(dtype)(given), theirs.to(dtype)(given), rtol=0, atol=0)


def test_which_towers_are_plain():
    plain = {name for name in open_clip.list_models() if is_plain(architecture_config(EncoderConfig(name, 1)))}
    assert {"ViT-B-16", "ViT-B-16-quickgelu", "ViT-L-14-336-quickgelu"} <= plain
    assert not plain & {"RN50", "convnext_base", "ViT-B-16-SigLIP", "coca_ViT-B-32", "ViT-H-14-CLIPA"}


def test_the_usual_values_are_open_clips():
    assert {name: getattr(CLIPVisionCfg(), name) for name in PLAIN} == DEFAULTS
    assert inspect.signature(open_clip.CLIP).parameters["quick_gelu"].default is False


@pytest.mark.parametrize("wrong", [{"head_width": 5}, {"patch_size": 64}, {"width": 4}])
def test_numbers_that_do_not_fit_each_other(wrong):
    with pytest.raises(ModelError, match=r"^weights: (encoder small: cannot be built|weights do not fit)"):
        load_image_tower(small(**wrong), build_image_tower(small()).state_dict(), Path("weights"))


def test_another_tower_is_open_clips():
    encoder = small(ls_init_value=0.1)
    theirs = build_image_tower(encoder)
    tower = load_image_tower(encoder, theirs.state_dict(), Path("weights"))
    assert type(tower) is open_clip.transformer.VisionTransformer
