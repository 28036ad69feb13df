"""What several parts of the head share: CLIP's activation and its two-layer perceptron."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_QUICK_GELU_SLOPE = 1.702


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's activation, x · sigmoid(1.702 x).

    Computed by SiLU: one fused kernel, which stores one tensor for the backward pass.
    """
    return F.silu(_QUICK_GELU_SLOPE * x) / _QUICK_GELU_SLOPE


class Mlp(nn.Module):
    """Perceptron D → 4 D → D along the last axis."""

    def __init__(self, width: int, activation: Callable[[Tensor], Tensor] = quick_gelu) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) → (..., D)."""
        out: Tensor = self.c_proj(self.activation(self.c_fc(x)))
        return out


def valid_snippets(lengths: Tensor, window: int) -> Tensor:
    """Which of ``window`` positions hold a snippet and not padding: lengths (B,) → bool (B, T)."""
    return torch.arange(window, device=lengths.device) < lengths[:, None]


class Standardise(nn.Module):
    """Centres features, and scales them to a variance of 1 on average; padding stays 0. Not fitted, it changes nothing.

    All by the same number: directions in which an encoder's features vary most say most, and would be lost among the
    others if each had the same variance.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, mean: Tensor, deviation: Tensor) -> None:
        """Take the means (D,) and standard deviations (D,) of a training set; a feature that never varies becomes 0."""
        varies = deviation > 0
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(varies, deviation[varies].square().mean().rsqrt(), 0.0))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """X (B, T, D) of ``lengths`` (B,) → the same shape."""
        padding = ~valid_snippets(lengths, features.shape[1])
        return ((features - self.mean) * self.scale).masked_fill(padding[:, :, None], 0.0)


class LinearProbe(nn.Module):
    """Anomaly logit of a snippet from its features alone: w · x + b, fitted beforehand. Not fitted, it is 0."""

    weight: Tensor
    bias: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(width))
        self.register_buffer("bias", torch.zeros(()))

    def fit(self, weight: Tensor, bias: Tensor) -> None:
        """Take w (D,) and b ()."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    def forward(self, features: Tensor) -> Tensor:
        """X (B, T, D) → (B, T)."""
        return features @ self.weight + self.bias
