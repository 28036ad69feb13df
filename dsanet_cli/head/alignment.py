"""Alignment of visual features with class features: fine-grained, and decoupled (DCSA, paper section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsanet_cli.head.layers import Mlp

_TEMPERATURE = 0.07
"""Cosine similarities are divided by this to become logits."""
_SHARPNESS = 10.0
"""How strongly DCSA favours snippets with the highest, or the lowest, scores."""


def cosine_logits(visual: Tensor, classes: Tensor) -> Tensor:
    """Cosine similarity over temperature: (B, T, D) with (C, D) or (B, C, D) → (B, T, C)."""
    similarity = F.normalize(visual, dim=-1) @ F.normalize(classes, dim=-1).transpose(-2, -1)
    return similarity / _TEMPERATURE


class FineGrainedAlignment(nn.Module):
    """Class logits of each snippet, against class features adapted to the video at hand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = Mlp(width)

    def forward(self, visual: Tensor, logits1: Tensor, text_features: Tensor) -> Tensor:
        """V (B, T, D), logits1 (B, T), E (C, D) → logits2 (B, T, C).

        The video's context weighs its snippets by their raw logits, padding included.
        """
        context = F.normalize(logits1[:, None, :] @ visual, dim=-1)  # (B, 1, D)
        classes = text_features + context  # (B, C, D)
        return cosine_logits(visual, classes + self.mlp(classes))


def decoupled_logits(visual: Tensor, scores: Tensor, text_features: Tensor) -> tuple[Tensor, Tensor]:
    """Class logits of a video's event and of its background, separated by the scores (DCSA).

    Args:
        visual: V (B, T, D).
        scores: s (B, T) in 0..1.
        text_features: E (C, D).

    Returns:
        logits3 of the event and logits4 of the background, each (B, C).
    """
    weights = torch.stack([scores, 1 - scores], dim=1)  # (B, 2, T)
    weights = F.normalize(torch.expm1(_SHARPNESS * weights), p=1, dim=-1)
    logits = cosine_logits(weights @ visual, text_features)  # (B, 2, C)
    return logits[:, 0], logits[:, 1]
