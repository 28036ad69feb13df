"""The seven losses of DSANet (paper section 3 and the released code), for whole batches at once.

Labels y are multi-hot (B, C), class 0 normal; lengths (B,) count the valid snippets. Call outside of
autocast, in float32.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dsanet_cli.config import ALL_PARTS, Parts
from dsanet_cli.head.dsanet import TrainingOutput
from dsanet_cli.head.layers import valid_snippets

_SNIPPETS_PER_INSTANCE = 16
"""Multiple-instance learning: one in 16 snippets, those with the highest values, represent the video."""
_LABEL_SMOOTHING = 0.1
_BACKGROUND_TARGET = 0.01
"""Target of each anomaly class for the background, where normal has 1 (before normalising)."""


@dataclass(frozen=True)
class Losses:
    """The losses by name, each with 0 dimensions."""

    classification: Tensor
    alignment: Tensor
    text_separation: Tensor
    event: Tensor
    background: Tensor
    consistency: Tensor
    gather: Tensor
    alignment_weight: float
    parts: Parts = ALL_PARTS

    @property
    def total(self) -> Tensor:
        """The sum to minimise, with the weighted alignment loss and without the parts that are left out."""
        total = self.classification + self.alignment_weight * self.alignment + self.text_separation
        if self.parts.dcsa:
            total = total + self.event + self.background
        if self.parts.sg_nm:
            total = total + self.consistency + self.gather
        return total

    def by_name(self) -> dict[str, Tensor]:
        """The total and each loss."""
        single = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.type == "Tensor"}
        return {"total": self.total, **single}


def all_losses(
    output: TrainingOutput, labels: Tensor, lengths: Tensor, alignment_weight: float, parts: Parts = ALL_PARTS
) -> Losses:
    """The seven losses of one batch.

    Args:
        output: of ``DSANet.forward``.
        labels: y (B, C), float 0 or 1, at least one class each.
        lengths: (B,), each from 1 to T.
        alignment_weight: of the alignment loss in the total (1.1 for UCF-Crime, 5 for XD-Violence).
        parts: whose losses count in the total.
    """
    scores = output.logits1.sigmoid()
    return Losses(
        classification=classification_loss(scores, labels, lengths),
        alignment=alignment_loss(output.logits2, labels, lengths),
        text_separation=text_separation_loss(output.text_features),
        event=event_loss(output.logits3, labels),
        background=background_loss(output.logits4),
        consistency=consistency_loss(scores, output.visual, output.reconstruction, lengths),
        gather=output.gather_loss,
        alignment_weight=alignment_weight,
        parts=parts,
    )


def top_mean(values: Tensor, lengths: Tensor) -> Tensor:
    """Mean of the k highest values of each video's valid part, k = floor(length / 16 + 1).

    Args:
        values: (B, T, ...), each trailing entry on its own.
        lengths: (B,), each from 1 to T.

    Returns:
        (B, ...).
    """
    columns = values.flatten(2) if values.ndim > 2 else values[:, :, None]  # (B, T, K)
    window = columns.shape[1]
    valid = valid_snippets(lengths, window)[:, :, None]
    k = lengths // _SNIPPETS_PER_INSTANCE + 1  # (B,)
    largest_k = min(window // _SNIPPETS_PER_INSTANCE + 1, window)
    highest = columns.masked_fill(~valid, -math.inf).topk(largest_k, dim=1).values  # (B, largest k, K)
    counted = valid_snippets(k, largest_k)[:, :, None]
    means = highest.masked_fill(~counted, 0.0).sum(dim=1) / k[:, None]
    return means.reshape(values.shape[0], *values.shape[2:])


def classification_loss(scores: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """Whether the video is abnormal: scores s (B, T) in 0..1 against 1 − y_0."""
    return F.binary_cross_entropy(top_mean(scores, lengths), 1 - labels[:, 0])


def alignment_loss(logits2: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """Which classes the video shows: logits2 (B, T, C) against y / Σ y."""
    return F.cross_entropy(top_mean(logits2, lengths), _shares(labels))


def text_separation_loss(text_features: Tensor) -> Tensor:
    """Keeps the normal class apart from the others: Σ |cos(E_0, E_j)| / (C − 1), E (C, D)."""
    return F.cosine_similarity(text_features[:1], text_features[1:], dim=-1).abs().mean()


def event_loss(logits3: Tensor, labels: Tensor) -> Tensor:
    """The event is of the video's classes: logits3 (B, C) against y / Σ y, smoothed."""
    return F.cross_entropy(logits3, _shares(labels), label_smoothing=_LABEL_SMOOTHING)


def background_loss(logits4: Tensor) -> Tensor:
    """The background is normal in every video: logits4 (B, C) against [1, 0.01, …] normalised, smoothed."""
    target = torch.full_like(logits4, _BACKGROUND_TARGET)
    target[:, 0] = 1.0
    return F.cross_entropy(logits4, _shares(target), label_smoothing=_LABEL_SMOOTHING)


def consistency_loss(scores: Tensor, visual: Tensor, reconstruction: Tensor, lengths: Tensor) -> Tensor:
    """Scores s (B, T) agree with how badly V (B, T, D) is rebuilt: mean squared error over valid snippets."""
    error = (1 - F.cosine_similarity(visual, reconstruction, dim=-1)) / 2  # (B, T) in 0..1
    valid = valid_snippets(lengths, scores.shape[1])
    return (scores - error).square().masked_fill(~valid, 0.0).sum() / valid.sum()


def _shares(labels: Tensor) -> Tensor:
    return labels / labels.sum(dim=-1, keepdim=True)
