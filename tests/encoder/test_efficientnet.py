from __future__ import annotations

import copy

import pytest
import torch

from dsanet_cli.encoder.clip import build_image_tower
from dsanet_cli.encoder.efficientnet import EfficientNetLite0, is_lite0
from dsanet_cli.encoder.folding import fold_batch_norms
from dsanet_cli.encoder.tower import load_exactly, load_image_tower
from dsanet_cli.models.directory import IMAGE_FILE, read_tensors
from dsanet_cli.models.folders import find_model, read_config

STREET = find_model("street")
ENCODER = read_config(STREET).encoder


@pytest.fixture(scope="module")
def towers():
    """The tower that is built here, and timm's, with the weights of the built-in model."""
    state = read_tensors(STREET / IMAGE_FILE)
    theirs = build_image_tower(ENCODER)
    load_exactly(theirs, state, STREET)
    return load_image_tower(ENCODER, state, STREET), theirs


@pytest.mark.parametrize("size", [(160, 224), (161, 95)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("folded", [False, True])
def test_features_are_timms_to_the_bit(towers, size, dtype, folded):
    ours, theirs = (fold_batch_norms(tower) if folded else copy.deepcopy(tower) for tower in towers)
    assert isinstance(ours, EfficientNetLite0)
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in ours.modules()) is not folded
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.inference_mode():
        for layout in (torch.contiguous_format, torch.channels_last):
            given = images.to(memory_format=layout)
            expected = theirs.to(dtype=dtype, memory_format=layout)(given)
            torch.testing.assert_close(ours.to(dtype=dtype, memory_format=layout)(given), expected, rtol=0, atol=0)


def test_other_towers_of_timm_are_built_by_timm():
    assert is_lite0(ENCODER.custom)
    for other in ({"timm_model_name": "tf_efficientnet_lite1"}, {"timm_pool": ""}, {"timm_proj": "mlp"}):
        assert not is_lite0({**ENCODER.custom, "vision_cfg": ENCODER.custom["vision_cfg"] | other})
    assert not is_lite0(read_config(find_model("scenes")).encoder.custom)
