"""EfficientNet-Lite0 with a projection, the image tower of the built-in model.

Architecture: Tan and Le, "EfficientNet" (ICML 2019), in the released variant for small devices: no squeeze-and-excite,
ReLU6. It gives the same features as timm's, to the bit, and takes the same weights; it is here because timm and
open_clip take longer to import than half a minute of video takes to analyse.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

KIND = {
    "timm_model_name": "tf_efficientnet_lite0",
    "timm_model_pretrained": False,
    "timm_pool": "avg",
    "timm_proj": "linear",
    "timm_proj_bias": True,
}
"""What open_clip's ``vision_cfg`` says of such a tower, beside its ``image_size``."""
STEM, LAST = 32, 1280
"""Channels after the first convolution, and before the projection."""
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, side of the kernel, stride of the first block, expansion and channels of each stage."""
EPSILON = 1e-3
"""Of batch norms, as the weights were trained."""


def is_lite0(config: Mapping[str, Any]) -> bool:
    """Whether an open_clip configuration describes this tower."""
    vision = config["vision_cfg"]
    return {name: value for name, value in vision.items() if name != "image_size"} == KIND


class EfficientNetLite0(nn.Module):
    """Pictures (B, 3, H, W), normalised, to features (B, D).

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = _Trunk()  # named as in open_clip's state dict
        self.head = nn.Sequential(OrderedDict(proj=nn.Linear(LAST, width)))

    def forward(self, images: Tensor) -> Tensor:
        """Features of pictures, not normalised."""
        features: Tensor = self.head(self.trunk(images))
        return features


class _Trunk(nn.Module):
    """(B, 3, H, W) to the means over the picture of its last channels, (B, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _SameConv(3, STEM, 3, stride=2)
        self.bn1 = _norm(STEM)
        self.act = nn.ReLU6()
        given = STEM
        self.blocks = nn.Sequential()
        for blocks, side, stride, expansion, channels in STAGES:
            stage = nn.Sequential()
            for step in (stride, *[1] * (blocks - 1)):
                stage.append(_block(given, channels, side, step, expansion))
                given = channels
            self.blocks.append(stage)
        self.conv_head = nn.Conv2d(given, LAST, 1, bias=False)
        self.bn2 = _norm(LAST)

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.act(self.bn1(self.conv_stem(images)))
        hidden = self.act(self.bn2(self.conv_head(self.blocks(hidden))))
        means: Tensor = functional.adaptive_avg_pool2d(hidden, 1).flatten(1)
        return means


def _block(given: int, channels: int, side: int, stride: int, expansion: int) -> nn.Module:
    if expansion == 1:
        return _Separable(given, channels, side, stride)
    return _Inverted(given, channels, side, stride, expansion)


class _Separable(nn.Module):
    """A convolution of each channel by itself, then one across channels."""

    def __init__(self, given: int, channels: int, side: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _SameConv(given, given, side, stride=stride, groups=given)
        self.bn1 = _norm(given)
        self.conv_pw = nn.Conv2d(given, channels, 1, bias=False)
        self.bn2 = _norm(channels)
        self.act = nn.ReLU6()
        self.adds = stride == 1 and given == channels

    def forward(self, given: Tensor) -> Tensor:
        hidden: Tensor = self.bn2(self.conv_pw(self.act(self.bn1(self.conv_dw(given)))))
        return hidden + given if self.adds else hidden


class _Inverted(nn.Module):
    """The same between a step to more channels and one back."""

    def __init__(self, given: int, channels: int, side: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = given * expansion
        self.conv_pw = nn.Conv2d(given, inside, 1, bias=False)
        self.bn1 = _norm(inside)
        self.conv_dw = _SameConv(inside, inside, side, stride=stride, groups=inside)
        self.bn2 = _norm(inside)
        self.conv_pwl = nn.Conv2d(inside, channels, 1, bias=False)
        self.bn3 = _norm(channels)
        self.act = nn.ReLU6()
        self.adds = stride == 1 and given == channels

    def forward(self, given: Tensor) -> Tensor:
        hidden = self.act(self.bn1(self.conv_pw(given)))
        hidden = self.act(self.bn2(self.conv_dw(hidden)))
        result: Tensor = self.bn3(self.conv_pwl(hidden))
        return result + given if self.adds else result


class _SameConv(nn.Conv2d):
    """A convolution that gives ⌈side / stride⌉: what the borders lack is added, the odd pixel at right and bottom."""

    def __init__(self, given: int, channels: int, side: int, stride: int, groups: int = 1) -> None:
        padding = side // 2 if stride == 1 else 0
        super().__init__(given, channels, side, stride, padding, groups=groups, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.stride[0] > 1:
            rows, columns = (self._lacking(length) for length in images.shape[-2:])
            sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
            images = functional.pad(images, sides)
        return super().forward(images)

    def _lacking(self, length: int) -> int:
        side, stride = self.kernel_size[0], self.stride[0]
        return max(0, (-(-length // stride) - 1) * stride + side - length)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON)
