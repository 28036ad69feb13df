from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_clip
from torch import nn

from dsanet_cli.config import EncoderConfig, Preprocessing
from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.encoder.folding import fold_batch_norms
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import tower_sha256

SIZE = (32, 48)
TEXT = {"context_length": 8, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1}


def timm_tower(name, pool="avg"):
    vision = {
        "image_size": list(SIZE),
        "timm_model_name": name,
        "timm_model_pretrained": False,
        "timm_pool": pool,
        "timm_proj": "linear",
        "timm_proj_bias": True,
    }
    config = {"embed_dim": 24, "quick_gelu": False, "vision_cfg": vision, "text_cfg": TEXT}
    return with_statistics(build_clip(EncoderConfig(name, 24, custom=config)).visual)


def with_statistics(tower):
    """Batch norms that do something, as after training."""
    torch.manual_seed(1)
    for norm in (module for module in tower.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.3)
    return tower.eval().requires_grad_(False)


def norms(tower):
    return sum(isinstance(module, nn.BatchNorm2d) for module in tower.modules())


@pytest.mark.parametrize(("name", "left"), [("tf_efficientnet_lite0", 0), ("resnet18", 0), ("test_vit", 0)])
def test_features_stay(name, left):
    tower = timm_tower(name, "token" if "vit" in name else "avg")
    images = torch.randn(3, 3, *SIZE)
    with torch.inference_mode():
        folded = fold_batch_norms(tower)
        expected, found = tower(images), folded(images)
    assert norms(folded) == left
    assert (expected - found).abs().max() <= 1e-4 * expected.abs().max()


def test_the_tower_itself_keeps_its_weights():
    tower = timm_tower("tf_efficientnet_lite0")
    before, count = tower_sha256(tower), norms(tower)
    folded = fold_batch_norms(tower)
    assert tower_sha256(tower) == before
    assert norms(tower) == count > norms(folded)


class Unusual(nn.Module):
    """Norms that follow something else, share a convolution, or take what is needed elsewhere too."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        if self.kind == "residual":
            return y + self.norm(y)
        if self.kind == "after activation":
            return self.norm(y.relu())
        if self.kind == "twice":
            return self.norm(y) + self.norm(self.conv(2 * x))
        if self.kind == "by value" and x.sum() > 1e9:
            return y
        return self.norm(y)


@pytest.mark.parametrize("kind", ["residual", "after activation", "twice", "by value"])
def test_norms_that_cannot_be_folded_stay(kind):
    tower = with_statistics(Unusual(kind))
    images = torch.randn(2, 3, *SIZE)
    folded = fold_batch_norms(tower)
    assert norms(folded) == 1
    with torch.inference_mode():
        assert torch.equal(folded(images), tower(images))


def test_a_norm_of_the_batch_itself_stays():
    tower = Unusual("plain")
    tower.norm = nn.BatchNorm2d(4, track_running_stats=False)
    assert norms(fold_batch_norms(tower.eval())) == 1


def test_the_encoder_folds_and_leaves_the_tower_as_it_is():
    tower = timm_tower("tf_efficientnet_lite0")
    before = tower_sha256(tower)
    frames = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), dtype=np.uint8)
    mean = std = (0.5, 0.5, 0.5)
    encoder = FrameEncoder(tower, Preprocessing(SIZE, SIZE, mean, std), torch.device("cpu"), torch.float32)
    images = (torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    with torch.inference_mode():
        expected = tower(images).numpy()
    np.testing.assert_allclose(encoder.encode(frames), expected, atol=1e-4 * np.abs(expected).max())
    assert norms(encoder._tower.placed.tower) == 0
    assert tower_sha256(tower) == before


def test_towers_without_batch_norms_are_used_as_they_are():
    tower = tiny_clip().visual
    assert fold_batch_norms(tower) is tower
