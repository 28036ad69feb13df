"""Temporal encoder: relates snippets that are close in time or look alike (paper section 3, after VadCLIP)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsanet_cli.config import HeadConfig
from dsanet_cli.head.layers import Mlp, quick_gelu, valid_snippets

_SIMILARITY_THRESHOLD = 0.7
"""Snippets with a cosine of this or less are not alike."""


class LocalAttentionBlock(nn.Module):
    """Pre-norm transformer block whose attention stays inside consecutive windows of snippets.

    Padding is not masked: zero-padded snippets take part in their window, as in the released code.
    """

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        x = x + self._local_attention(self.ln_1(x))
        mixed: Tensor = self.mlp(self.ln_2(x))
        return x + mixed

    def _local_attention(self, x: Tensor) -> Tensor:
        whole = x.shape[1] - x.shape[1] % self.window
        # whole windows become batch rows; what remains is one shorter window of its own
        parts = [part for part in (x[:, :whole], x[:, whole:]) if part.shape[1] > 0]
        return torch.cat([self._attend(part) for part in parts], dim=1)

    def _attend(self, x: Tensor) -> Tensor:
        windows = x.reshape(-1, min(self.window, x.shape[1]), x.shape[2])  # (B · windows, window, D)
        attended: Tensor = self.attn(windows, windows, windows, need_weights=False)[0]
        return attended.reshape(x.shape)


class AttentionWindows:
    """The attention windows of a batch, those of nothing but padding once for all videos, in which they are the same.

        a a | a . | . .   pack →   a a | a . | b b | b b | b .   of their own
        b b | b b | b .   ← unpack       . . | . . | . .         of padding, at each place

    Args:
        lengths: (B,), each from 1 to T.
        count: T.
        window: snippets that attend to each other; divides T.
    """

    def __init__(self, lengths: Tensor, count: int, window: int) -> None:
        self._shape = (len(lengths), count)
        self._window = window
        starts = torch.arange(0, count, window, device=lengths.device)
        self._own = (starts < lengths[:, None]).flatten().nonzero()[:, 0]

    def pack(self, x: Tensor, padding: Tensor) -> Tensor:
        """Snippets (B, T, D) and what padding is at each place (T, D) → (windows, window, D)."""
        own = x.reshape(-1, self._window, x.shape[2])[self._own]
        return torch.cat([own, padding.reshape(-1, *own.shape[1:])])

    def unpack(self, windows: Tensor) -> Tensor:
        """(windows, window, D) → (B, T, D)."""
        batch, count = self._shape
        own, padding = windows[: len(self._own)], windows[len(self._own) :]
        whole = padding.expand(batch, *padding.shape).flatten(0, 1).index_copy(0, self._own, own)
        return whole.reshape(batch, count, -1)


class GraphLayer(nn.Module):
    """Graph convolution with a residual: A (x W) + r(x).

    r is the identity where the width stays, else a convolution over five snippets.
    """

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width_in, width_out)))
        self.residual = nn.Conv1d(width_in, width_out, 5, padding=2) if width_in != width_out else None

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Snippets x (B, T, D_in), adjacency (B, T, T) or (T, T) → (B, T, D_out)."""
        residual = x if self.residual is None else self.residual(x.transpose(1, 2)).transpose(1, 2)
        out: Tensor = adjacency @ (x @ self.weight) + residual
        return out


def similarity_adjacency(x: Tensor, lengths: Tensor) -> Tensor:
    """Which snippets look alike: softmax over each row of the thresholded cosine similarities.

    A cosine of 0.7 or less counts as 0 (and still takes part in the softmax). Only the first
    ``lengths`` snippets of a video are related; rows and columns of padding are 0.

    Args:
        x: (B, T, D).
        lengths: (B,), each from 1 to T.

    Returns:
        (B, T, T), rows of valid snippets sum to 1.
    """
    directions = F.normalize(x, dim=-1)
    cosine = directions @ directions.transpose(1, 2)  # (B, T, T)
    valid = valid_snippets(lengths, x.shape[1])
    alike = F.threshold(cosine, _SIMILARITY_THRESHOLD, 0.0).masked_fill(~valid[:, None, :], -math.inf)
    return alike.softmax(dim=-1).masked_fill(~valid[:, :, None], 0.0)


def distance_adjacency(x: Tensor) -> Tensor:
    """Which snippets are close in time: exp(−|i − j| / e), not normalised, padding included.

    Args:
        x: (B, T, D); gives T, dtype and device.

    Returns:
        (T, T).
    """
    position = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
    return torch.exp(-(position[:, None] - position[None, :]).abs() / math.e)


class TemporalEncoder(nn.Module):
    """Snippet features X → visual features V: position, local attention, then two graph branches."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        width, half = config.width, config.width // 2
        self.position_embeddings = nn.Parameter(torch.empty(config.window, width))
        if not self.position_embeddings.is_meta:  # which holds nothing, and to fill it imports torch's compiler
            nn.init.normal_(self.position_embeddings, std=0.01)
        self.window = config.attention_window
        self.blocks = nn.ModuleList(
            LocalAttentionBlock(width, config.temporal_heads, config.attention_window)
            for _ in range(config.temporal_layers)
        )
        self.similarity_branch = nn.ModuleList([GraphLayer(width, half), GraphLayer(half, half)])
        self.distance_branch = nn.ModuleList([GraphLayer(width, half), GraphLayer(half, half)])
        self.linear = nn.Linear(2 * half, width)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """X (B, T, D) zero-padded beyond ``lengths`` (B,) → V (B, T, D); T is the configured window."""
        x = self._locally_attended(features + self.position_embeddings, lengths)
        alike = _branch(self.similarity_branch, x, similarity_adjacency(x, lengths))  # (B, T, D/2)
        close = _branch(self.distance_branch, x, distance_adjacency(x))  # (B, T, D/2)
        visual: Tensor = self.linear(torch.cat([alike, close], dim=-1))
        return visual

    def _locally_attended(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Snippets with their positions (B, T, D) → the same shape."""
        windows = None
        if self.training and x.shape[1] % self.window == 0:
            windows = AttentionWindows(lengths, x.shape[1], self.window)
            x = windows.pack(x, self.position_embeddings)
        for block in self.blocks:
            x = block(x)
        return x if windows is None else windows.unpack(x)


def _branch(layers: nn.ModuleList, x: Tensor, adjacency: Tensor) -> Tensor:
    for layer in layers:
        x = quick_gelu(layer(x, adjacency))
    return x
