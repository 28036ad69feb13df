"""The DSANet head put together (paper section 3).

``DSANetHead`` scores snippets; ``DSANet`` adds what training needs.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from dsanet_cli.config import HeadConfig
from dsanet_cli.head.alignment import FineGrainedAlignment, decoupled_logits
from dsanet_cli.head.layers import LinearProbe, Mlp, Standardise
from dsanet_cli.head.normality import NormalityModel
from dsanet_cli.head.temporal import TemporalEncoder
from dsanet_cli.head.text_adapter import Prompts, TextAdapter

if TYPE_CHECKING:
    from open_clip import CLIP


@dataclass(frozen=True)
class HeadOutput:
    """What inference needs, padding included."""

    logits1: Tensor
    """(B, T); the anomaly score is its sigmoid."""
    logits2: Tensor
    """(B, T, C)."""
    visual: Tensor
    """V (B, T, D)."""


@dataclass(frozen=True)
class TrainingOutput:
    """What the losses need, padding included."""

    logits1: Tensor
    """(B, T)."""
    logits2: Tensor
    """(B, T, C)."""
    logits3: Tensor
    """(B, C), of the event."""
    logits4: Tensor
    """(B, C), of the background."""
    visual: Tensor
    """V (B, T, D)."""
    reconstruction: Tensor
    """R (B, T, D), padding 0."""
    text_features: Tensor
    """E (C, D)."""
    gather_loss: Tensor
    """0 dimensions."""

    def float(self) -> TrainingOutput:
        """The same in float32, for the losses."""
        return TrainingOutput(*(getattr(self, f.name).float() for f in dataclasses.fields(self)))


class CoarseScore(nn.Module):
    """Anomaly logit of each snippet: a linear classifier on V + MLP(V)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = Mlp(width)
        self.classifier = nn.Linear(width, 1)

    def start_at_zero(self) -> None:
        """Give every snippet the logit 0, to which training adds: beside a probe that says something already."""
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, visual: Tensor) -> Tensor:
        """V (B, T, D) → logits1 (B, T)."""
        logits: Tensor = self.classifier(visual + self.mlp(visual))
        return logits.squeeze(-1)


class DSANetHead(nn.Module):
    """The part that inference runs; with class features E, its weights are a whole model.

    Where the configuration has it probed, the anomaly logit is that of a linear probe, and what the rest adds to it.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.standardise = Standardise(config.width) if config.standardised else None
        self.probe = LinearProbe(config.width) if config.probed else None
        self.temporal = TemporalEncoder(config)
        self.score = CoarseScore(config.width)
        self.alignment = FineGrainedAlignment(config.width)

    def forward(self, features: Tensor, lengths: Tensor, text_features: Tensor) -> HeadOutput:
        """Logits of each snippet of each window.

        Args:
            features: X (B, T, D), T the configured window, rows from ``lengths`` on 0.
            lengths: valid snippets (B,), each from 1 to T, on the features' device.
            text_features: E (C, D).
        """
        if self.standardise is not None:
            features = self.standardise(features, lengths)
        visual = self.temporal(features, lengths)
        logits1 = self.score(visual)
        if self.probe is not None:
            logits1 = logits1 + self.probe(features)
        logits2 = self.alignment(visual, logits1, text_features)
        return HeadOutput(logits1, logits2, visual)


class DSANet(nn.Module):
    """The head with its text adapter and normality model: everything that is trained.

    ``model.head.state_dict()`` is what a model directory holds for inference. CLIP is frozen and
    passed in, so its parameters are not this module's.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.head = DSANetHead(config)
        self.text_adapter = TextAdapter(config)
        self.normality = NormalityModel(config)

    def text_features(self, clip: CLIP, prompts: Prompts) -> Tensor:
        """Class features E (C, D); see ``TextAdapter.forward``."""
        features: Tensor = self.text_adapter(clip, prompts)
        return features

    def forward(self, features: Tensor, lengths: Tensor, text_features: Tensor) -> TrainingOutput:
        """Everything the losses need; arguments as for ``DSANetHead.forward``."""
        output: HeadOutput = self.head(features, lengths, text_features)
        scores = output.logits1.float().sigmoid()  # (B, T)
        logits3, logits4 = decoupled_logits(output.visual, scores, text_features)
        reconstruction, gather = self.normality(output.visual, scores, lengths)
        return TrainingOutput(
            logits1=output.logits1,
            logits2=output.logits2,
            logits3=logits3,
            logits4=logits4,
            visual=output.visual,
            reconstruction=reconstruction,
            text_features=text_features,
            gather_loss=gather,
        )
