"""From the features of one video to scores and class probabilities (released code: test)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dsanet_cli.errors import FeatureError
from dsanet_cli.head.dsanet import DSANetHead


@dataclass(frozen=True)
class SnippetScores:
    """What the head says about N snippets; float32 on the CPU."""

    logits1: Tensor
    """(N,)."""
    logits2: Tensor
    """(N, C)."""
    scores: Tensor
    """Anomaly scores (N,) in 0..1."""
    probabilities: Tensor
    """(N, C), rows sum to 1; class 0 is normal."""


def cut_windows(features: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Consecutive windows of a video, the last one zero-padded: (N, D) → (W, T, D) and lengths (W,)."""
    count = -(-len(features) // window)
    padding = count * window - len(features)
    windows = F.pad(features, (0, 0, 0, padding)).reshape(count, window, features.shape[1])
    lengths = torch.full((count,), window, device=features.device)
    lengths[-1:] -= padding
    return windows, lengths


def class_probabilities(logits1: Tensor, logits2: Tensor, temperature: float) -> Tensor:
    """Divide the probability: 1 − p to normal, p among the anomaly classes; p = σ(logits1 / τ).

    Args:
        logits1: (N,).
        logits2: (N, C); class 0 has no part in the sharing.
        temperature: τ > 0; larger is flatter. Unlike these, the anomaly score has no temperature.

    Returns:
        (N, C) in 0..1, rows sum to 1.
    """
    abnormal = (logits1 / temperature).sigmoid()[:, None]
    shares = (logits2[:, 1:] / temperature).softmax(dim=-1)
    return torch.cat([1 - abnormal, abnormal * shares], dim=-1)


@torch.inference_mode()
def score_snippets(
    head: DSANetHead, features: Tensor, text_features: Tensor, temperature: float, batch_size: int = 32
) -> SnippetScores:
    """Score all snippets of one video.

    Args:
        head: on any device, in float32.
        features: (N, D), any float type, on any device.
        text_features: E (C, D).
        temperature: τ of the class probabilities.
        batch_size: windows scored at once.

    Raises:
        FeatureError: no snippets, or features of another width than the head's.
    """
    config, device = head.config, head.temporal.position_embeddings.device
    if features.ndim != 2 or features.shape[1] != config.width or len(features) == 0:
        raise FeatureError(
            f"features are {' × '.join(map(str, features.shape))}, "
            f"the model takes snippets × {config.width} and at least one snippet"
        )
    windows, lengths = cut_windows(features.to(device, torch.float32), config.window)
    classes = text_features.to(device, torch.float32)
    outputs = [
        head(x, length, classes)
        for x, length in zip(torch.split(windows, batch_size), torch.split(lengths, batch_size), strict=True)
    ]
    logits1 = torch.cat([o.logits1 for o in outputs]).flatten()[: len(features)].cpu()
    logits2 = torch.cat([o.logits2 for o in outputs]).flatten(0, 1)[: len(features)].cpu()
    probabilities = class_probabilities(logits1, logits2, temperature)
    return SnippetScores(logits1, logits2, logits1.sigmoid(), probabilities)


def score_window(head: DSANetHead, features: Tensor, text_features: Tensor, temperature: float) -> SnippetScores:
    """Score one window of a stream as it fills, or the shorter one at its end.

    Windows are independent, so all windows of a video give what ``score_snippets`` gives.

    Args:
        head: as for ``score_snippets``, and so are the others.
        features: (n, D), n from 1 to the head's window; a window before the last one is full.
        text_features: E (C, D).
        temperature: τ of the class probabilities.

    Raises:
        FeatureError: no snippets, more than a window holds, or features of another width than the head's.
    """
    if len(features) > head.config.window:
        raise FeatureError(f"{len(features)} snippets do not fit a window of {head.config.window}")
    return score_snippets(head, features, text_features, temperature)
