"""CLIP's plain vision transformer, the image tower of every published model.

It gives the same features as open_clip's, to the bit, and takes the same weights. It is here because open_clip takes
longer to import than half a minute of video takes to analyse, and an image tower is all that inference needs of it.

Shapes: B pictures of P patches, W channels, D feature width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = {"image_size", "layers", "width", "head_width", "patch_size", "mlp_ratio"}
"""What open_clip's ``vision_cfg`` may hold for this tower; all else makes it another one."""
DEFAULTS = {"image_size": 224, "layers": 12, "width": 768, "head_width": 64, "patch_size": 16, "mlp_ratio": 4.0}
"""open_clip's."""


def is_plain(config: Mapping[str, Any]) -> bool:
    """Whether an open_clip configuration describes a tower of this kind; one of four ``layers`` is a ResNet."""
    vision = config["vision_cfg"]
    return vision.keys() <= PLAIN and isinstance(vision.get("layers", 1), int)


class VisionTransformer(nn.Module):
    """Pictures (B, 3, H, W), normalised, to features (B, D).

    Args:
        config: An open_clip configuration for which ``is_plain`` holds.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        vision = DEFAULTS | config["vision_cfg"]
        width, patch, size = vision["width"], vision["patch_size"], vision["image_size"]
        high, wide = (size, size) if isinstance(size, int) else size
        activation = _QuickGelu if config.get("quick_gelu", False) else nn.GELU
        # Named as in open_clip's state dict.
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((high // patch) * (wide // patch) + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = _Blocks(
            _Block(width, width // vision["head_width"], int(width * vision["mlp_ratio"]), activation)
            for _ in range(vision["layers"])
        )
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, config["embed_dim"]))

    def forward(self, images: Tensor) -> Tensor:
        """Features of pictures, not normalised."""
        patches = self.conv1(images).flatten(2).transpose(1, 2)  # (B, P, W)
        summary = self.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = torch.cat([summary, patches], dim=1) + self.positional_embedding.to(patches.dtype)  # (B, 1 + P, W)
        tokens = self.transformer(self.ln_pre(tokens))
        features: Tensor = self.ln_post(tokens)[:, 0] @ self.proj
        return features


class _Blocks(nn.Module):
    """One block after the other."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(blocks)

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.resblocks:
            tokens = block(tokens)
        return tokens


class _Block(nn.Module):
    """Attention between patches, then a step for each, both added to what comes in."""

    def __init__(self, width: int, heads: int, hidden: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        layers = [("c_fc", nn.Linear(width, hidden)), ("gelu", activation()), ("c_proj", nn.Linear(hidden, width))]
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.ln_1(tokens)
        tokens = tokens + self.attn(normed, normed, normed, need_weights=False)[0]
        result: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return result


class _QuickGelu(nn.Module):
    """OpenAI's approximation of GELU, which its weights were trained with."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * torch.sigmoid(1.702 * hidden)
