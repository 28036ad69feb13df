"""Self-guided normality modelling (SG-NM, paper section 3): rebuild snippets from what is normal.

Used in training only. The snippets that score lowest are gathered into a few prototypes, and all
snippets are decoded from these; what cannot be rebuilt is abnormal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsanet_cli.config import HeadConfig
from dsanet_cli.head.layers import Mlp, valid_snippets

_LAYER_NORM_EPS = 1e-8


class ValidRows:
    """Which rows of a batch of windows are snippets and not padding, and the way there and back.

    What works on each snippet alone is spared the padding:

        (B, T, D)  a a a . .   pack →   a a a b b   (R, D)   ← R = sum of the lengths
                   b b . . .   ← unpack

    Args:
        lengths: (B,), each from 1 to T; None takes all rows.
        batch: B.
        window: T.
    """

    def __init__(self, lengths: Tensor | None, batch: int, window: int) -> None:
        self._shape = (batch, window)
        self._rows: Tensor | None = None
        if lengths is not None and not bool((lengths == window).all()):
            self._rows = valid_snippets(lengths, window).flatten().nonzero()[:, 0]

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, D) → (R, D)."""
        rows = x.flatten(0, 1)
        return rows if self._rows is None else rows[self._rows]

    def unpack(self, rows: Tensor) -> Tensor:
        """(R, D) → (B, T, D), padding 0."""
        if self._rows is not None:
            batch, window = self._shape
            rows = rows.new_zeros(batch * window, rows.shape[1]).index_copy(0, self._rows, rows)
        return rows.reshape(*self._shape, rows.shape[1])


class CrossAttention(nn.Module):
    """Projections of a multi-head attention from queries x to keys and values y."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def keys_and_values(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Project y (B, M, D) → k and v (B, heads, M, d)."""
        k, v = (self.split(part) for part in self.kv(y).chunk(2, dim=-1))
        return k, v

    def split(self, x: Tensor) -> Tensor:
        """(B, N, D) → (B, heads, N, d)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


def joined(heads: Tensor) -> Tensor:
    """(B, heads, N, d) → (B, N, D)."""
    return heads.transpose(1, 2).flatten(2)


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
        q = self.attn.split(self.attn.q(self.norm1(prototypes)))
        k, v = self.attn.keys_and_values(self.norm1(normal))
        prototypes = prototypes + self.attn.proj(joined(F.scaled_dot_product_attention(q, k, v)))
        mixed: Tensor = self.mlp(self.norm2(prototypes))
        return prototypes + mixed


class PrototypeAttention(CrossAttention):
    """Cosine attention with a learned scale per head and ReLU in place of softmax."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.learn_scale = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, x: Tensor, prototypes: Tensor, rows: ValidRows) -> Tensor:
        """Snippets x (R, D), prototypes (B, M, D) → (R, D)."""
        q = self.split(rows.unpack(self.q(x)))
        k, v = self.keys_and_values(prototypes)
        # scaling the few keys is scaling the similarities
        keys = self.learn_scale * F.normalize(k, dim=-1)
        weights = F.relu(F.normalize(q, dim=-1) @ keys.transpose(-2, -1))  # (B, heads, T, M)
        out: Tensor = self.proj(rows.pack(joined(weights @ v)))
        return out


class DecoderBlock(nn.Module):
    """Rebuild snippets from prototypes; without a residual around the attention, nothing else passes through."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.attn = PrototypeAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=_LAYER_NORM_EPS)
        self.mlp = Mlp(width, F.gelu)

    def forward(self, x: Tensor, prototypes: Tensor, rows: ValidRows) -> Tensor:
        """Snippets x (R, D), prototypes (B, M, D) → (R, D); one LayerNorm serves both."""
        x = self.attn(self.norm1(x), self.norm1(prototypes), rows)
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

    def forward(self, visual: Tensor, scores: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Rebuild V from its normal snippets.

        Args:
            visual: V (B, T, D).
            scores: s (B, T) in 0..1.
            lengths: (B,) valid snippets. Each snippet is rebuilt on its own, and no loss reads how padding is rebuilt,
                so it is left out; without lengths it is rebuilt too.

        Returns:
            R (B, T, D), 0 for what was left out, and the gather loss (0 dimensions): the mean over normal snippets of
            1 − cosine to the nearest prototype.
        """
        normal = select_normal(visual, scores, self.normal_share)  # (B, N, D)
        prototypes = self.aggregation(self.prototypes.expand(len(visual), -1, -1), normal)  # (B, M, D)
        rows = ValidRows(lengths, *scores.shape)
        x = self.bottleneck(rows.pack(visual))
        for block in self.decoder:
            x = block(x, prototypes, rows)
        return rows.unpack(x), gather_loss(normal, prototypes)


@torch.no_grad()
def select_normal(visual: Tensor, scores: Tensor, share: float) -> Tensor:
    """The int(T · share) snippets of each video that score lowest, padding included: (B, T, D) → (B, N, D).

    A constant for back-propagation: no gradient reaches V through it.
    """
    count = int(scores.shape[1] * share)
    lowest = scores.topk(count, dim=1, largest=False, sorted=False).indices  # (B, N)
    return visual.take_along_dim(lowest[:, :, None], dim=1)


def gather_loss(normal: Tensor, prototypes: Tensor) -> Tensor:
    """Mean distance (1 − cosine, 0..2) of normal snippets (B, N, D) to the nearest prototype (B, M, D).

    Computed in float32: of cosines near 1, bfloat16 leaves no distance, and the highest of several rounded ones is
    too high.
    """
    with torch.autocast(normal.device.type, enabled=False):
        directions = F.normalize(prototypes.float(), dim=-1)
        cosine = F.normalize(normal.float(), dim=-1) @ directions.transpose(1, 2)  # (B, N, M)
    return (1 - cosine.amax(dim=-1)).mean()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
        nn.init.zeros_(module.bias)
