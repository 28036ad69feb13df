"""Self-guided normality modelling (SG-NM, paper section 3): rebuild snippets from what is normal.

Used in training only. The snippets that score lowest are gathered into a few prototypes, and all
snippets are decoded from these; what cannot be rebuilt is abnormal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsanet_cli.config import HeadConfig
from dsanet_cli.head.layers import Mlp

_LAYER_NORM_EPS = 1e-8


class CrossAttention(nn.Module):
    """Projections of a multi-head attention from queries x to keys and values y."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def project(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project x (B, N, D), y (B, M, D) → q (B, heads, N, d), k and v (B, heads, M, d)."""
        q = self._split(self.q(x))
        k, v = (self._split(part) for part in self.kv(y).chunk(2, dim=-1))
        return q, k, v

    def merge(self, heads: Tensor) -> Tensor:
        """(B, heads, N, d) → (B, N, D)."""
        out: Tensor = self.proj(heads.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class AggregationBlock(nn.Module):
    """Gather a video's normal snippets into prototypes (softmax attention, pre-norm, residual)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.attn = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.mlp = Mlp(width, F.gelu)

    def forward(self, prototypes: Tensor, normal: Tensor) -> Tensor:
        """Prototypes (B, M, D), normal snippets (B, N, D) → (B, M, D); one LayerNorm serves both."""
        q, k, v = self.attn.project(self.norm1(prototypes), self.norm1(normal))
        prototypes = prototypes + self.attn.merge(F.scaled_dot_product_attention(q, k, v))
        mixed: Tensor = self.mlp(self.norm2(prototypes))
        return prototypes + mixed


class PrototypeAttention(CrossAttention):
    """Cosine attention with a learned scale per head and ReLU in place of softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.learn_scale = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, x: Tensor, prototypes: Tensor) -> Tensor:
        """Snippets x (B, T, D), prototypes (B, M, D) → (B, T, D)."""
        q, k, v = self.project(x, prototypes)
        # scaling the few keys is scaling the similarities
        keys = self.learn_scale * F.normalize(k, dim=-1)
        weights = F.relu(F.normalize(q, dim=-1) @ keys.transpose(-2, -1))  # (B, heads, T, M)
        return self.merge(weights @ v)


class DecoderBlock(nn.Module):
    """Rebuild snippets from prototypes; without a residual around the attention, nothing else passes through."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.attn = PrototypeAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.mlp = Mlp(width, F.gelu)

    def forward(self, x: Tensor, prototypes: Tensor) -> Tensor:
        """Snippets x (B, T, D), prototypes (B, M, D) → (B, T, D); one LayerNorm serves both."""
        x = self.attn(self.norm1(x), self.norm1(prototypes))
        mixed: Tensor = self.mlp(self.norm2(x))
        return x + mixed


class NormalityModel(nn.Module):
    """SG-NM: prototypes of normality and the decoder that rebuilds V from them."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width, heads = config.width, config.normality_heads
        self.normal_share = config.normal_share
        self.prototypes = nn.Parameter(torch.randn(config.prototypes, width))
        self.aggregation = AggregationBlock(width, heads)
        self.bottleneck = Mlp(width)
        self.decoder = nn.ModuleList(DecoderBlock(width, heads) for _ in range(config.normality_layers))
        self.apply(_initialise)

    def forward(self, visual: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Rebuild V from its normal snippets.

        Args:
            visual: V (B, T, D).
            scores: s (B, T) in 0..1.

        Returns:
            R (B, T, D), and the gather loss (0 dimensions): the mean over normal snippets of 1 − cosine
            to the nearest prototype.
        """
        normal = select_normal(visual, scores, self.normal_share)  # (B, N, D)
        prototypes = self.aggregation(self.prototypes.expand(len(visual), -1, -1), normal)  # (B, M, D)
        x = self.bottleneck(visual)
        for block in self.decoder:
            x = block(x, prototypes)
        return x, gather_loss(normal, prototypes)


@torch.no_grad()
def select_normal(visual: Tensor, scores: Tensor, share: float) -> Tensor:
    """The int(T · share) snippets of each video that score lowest, padding included: (B, T, D) → (B, N, D).

    A constant for back-propagation: no gradient reaches V through it.
    """
    count = int(scores.shape[1] * share)
    lowest = scores.topk(count, dim=1, largest=False, sorted=False).indices  # (B, N)
    return visual.take_along_dim(lowest[:, :, None], dim=1)


def gather_loss(normal: Tensor, prototypes: Tensor) -> Tensor:
    """Mean distance (1 − cosine, 0..2) of normal snippets (B, N, D) to the nearest prototype (B, M, D)."""
    cosine = F.normalize(normal, dim=-1) @ F.normalize(prototypes, dim=-1).transpose(1, 2)  # (B, N, M)
    return (1 - cosine.amax(dim=-1)).mean()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
        nn.init.zeros_(module.bias)
