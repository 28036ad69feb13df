"""Train the DSANet head on feature files with labels of whole videos (paper 4.1, released code)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import Tensor

from dsanet_cli.errors import SourceError
from dsanet_cli.features import fit_length, load_features
from dsanet_cli.model.head import DSANet
from dsanet_cli.model.losses import Losses, alignment_loss, all_losses, classification_loss
from dsanet_cli.model.text_adapter import Prompts, tokenise
from dsanet_cli.optim import StableAdamW, epoch_cosine, warm_cosine
from dsanet_cli.presets import Preset

NORMAL_CLASS = 0


@dataclass(frozen=True)
class LabelledFeatures:
    """A feature file and the classes (indices; 0 is normal) that its video shows somewhere."""

    path: Path
    classes: tuple[int, ...]

    @property
    def normal(self) -> bool:
        """Whether nothing abnormal happens in the video."""
        return self.classes == (NORMAL_CLASS,)


@dataclass(frozen=True)
class Batch:
    """Features (B, T, D), valid snippets (B,) and multi-hot labels (B, C)."""

    features: Tensor
    lengths: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.features.to(device), self.lengths.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Progress:
    """Where training stands after a validation: epoch from 1, losses of the last step, the figure reached."""

    epoch: int
    epochs: int
    losses: Losses
    figure: float
    best: float


class Sampler:
    """Draws batches: normal and anomalous videos in equal parts, or any, as the preset says.

    Every epoch shuffles anew and ends with the smaller of the two kinds; incomplete batches are dropped.

    Raises:
        SourceError: too few videos of a kind for a batch.
    """

    def __init__(self, videos: Sequence[LabelledFeatures], preset: Preset, generator: torch.Generator) -> None:
        self._videos = videos
        self._preset = preset
        self._generator = generator
        normal = [i for i, video in enumerate(videos) if video.normal]
        anomalous = [i for i, video in enumerate(videos) if not video.normal]
        half = preset.batch_size // 2
        self._kinds = [(list(range(len(videos))), preset.batch_size)]
        if preset.balanced_batches:
            self._kinds = [(normal, half), (anomalous, half)]
        self.batches_per_epoch = min(len(indices) // size for indices, size in self._kinds)
        if self.batches_per_epoch == 0:
            raise SourceError(
                f"{len(normal)} normal and {len(anomalous)} anomalous videos are too few for a batch of "
                f"{' + '.join(str(size) for _, size in self._kinds)}; add videos or choose smaller batches"
            )

    def epoch(self) -> Iterator[Batch]:
        """One epoch of batches."""
        orders = [
            [indices[i] for i in torch.randperm(len(indices), generator=self._generator)] for indices, _ in self._kinds
        ]
        for number in range(self.batches_per_epoch):
            chosen = []
            for order, (_, size) in zip(orders, self._kinds, strict=True):
                chosen += order[number * size : (number + 1) * size]
            yield load_batch([self._videos[i] for i in chosen], self._preset)


def load_batch(videos: Sequence[LabelledFeatures], preset: Preset) -> Batch:
    """Read the features of ``videos`` and bring them to the head's window.

    Raises:
        FeatureError: a file that is missing or does not fit.
    """
    window, width = preset.head.window, preset.head.width
    fitted = [fit_length(load_features(video.path, width), window) for video in videos]
    labels = torch.zeros(len(videos), len(preset.classes))
    for row, video in enumerate(videos):
        labels[row, list(video.classes)] = 1.0
    return Batch(
        torch.from_numpy(np.stack([features for features, _ in fitted])),
        torch.tensor([length for _, length in fitted]),
        labels,
    )


class Trainer:
    """The head in training: its parameters, both optimisers and both schedules."""

    def __init__(
        self,
        preset: Preset,
        videos: Sequence[LabelledFeatures],
        clip: open_clip.CLIP,
        device: torch.device,
    ) -> None:
        torch.manual_seed(preset.seed)
        self.preset = preset
        self.device = device
        self.sampler = Sampler(videos, preset, torch.Generator().manual_seed(preset.seed))
        self.model = DSANet(preset.head).to(device)
        self.clip = clip.to(device).requires_grad_(False).eval()
        self.prompts: Prompts = tokenise(preset.classes, context_length=clip.context_length).to(device)
        normality = list(self.model.normality.parameters())
        rest = [p for name, p in self.model.named_parameters() if not name.startswith("normality.")]
        self._optimiser = torch.optim.AdamW(rest, lr=preset.learning_rate)
        self._normality_optimiser = StableAdamW(normality, lr=preset.learning_rate)
        self._schedule = epoch_cosine(self._optimiser, preset.epochs)
        self._normality_schedule = warm_cosine(
            self._normality_optimiser, preset.epochs * self.sampler.batches_per_epoch
        )

    def text_features(self) -> Tensor:
        """Class text features E (C, D) of the weights as they are."""
        return self.model.text_features(self.clip, self.prompts)

    def step(self, batch: Batch) -> Losses:
        """One step of both optimisers on one batch."""
        batch = batch.to(self.device)
        output = self.model(batch.features, batch.lengths, self.text_features())
        losses = all_losses(output, batch.labels, batch.lengths, self.preset.alignment_weight)
        self._optimiser.zero_grad(set_to_none=True)
        self._normality_optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._normality_optimiser.step()
        self._normality_schedule.step()
        return losses

    def fit(self, validate: Callable[[DSANet, Tensor], float], report: Callable[[Progress], None]) -> float:
        """Train for the preset's epochs and end with the weights that validated best.

        Args:
            validate: Given the model and its class text features, the figure to maximise.
            report: Called after every validation.

        Returns:
            The best figure.
        """
        best, best_state = -np.inf, copy.deepcopy(self.model.state_dict())
        for epoch in range(1, self.preset.epochs + 1):
            seen = 0
            for number, batch in enumerate(self.sampler.epoch(), start=1):
                losses = self.step(batch)
                seen += len(batch.labels)
                last = number == self.sampler.batches_per_epoch
                if last or self._validation_due(seen, len(batch.labels)):
                    figure = self._validate(validate)
                    if figure > best:
                        best, best_state = figure, copy.deepcopy(self.model.state_dict())
                    report(Progress(epoch, self.preset.epochs, losses, figure, best))
            self._schedule.step()
            self.model.load_state_dict(best_state)
        return float(best)

    def _validation_due(self, seen: int, step: int) -> bool:
        """Whether a validation's worth of samples have passed with the last ``step`` ones; never for None."""
        every = self.preset.samples_per_validation
        return every is not None and seen // every > (seen - step) // every

    def _validate(self, validate: Callable[[DSANet, Tensor], float]) -> float:
        self.model.eval()
        with torch.inference_mode():
            figure = validate(self.model, self.text_features())
        self.model.train()
        return figure


def agreement(model: DSANet, text_features: Tensor, batch: Batch, alignment_weight: float) -> float:
    """How well scores and classes agree with the labels of whole videos: the negative of those two losses.

    Unlike a ranking figure it does not saturate, so it can tell good weights from better ones even where
    every video is on the right side. To be called without gradients.
    """
    output = model.head(batch.features, batch.lengths, text_features)
    classification = classification_loss(output.logits1.sigmoid(), batch.labels, batch.lengths)
    alignment = alignment_loss(output.logits2, batch.labels, batch.lengths)
    return -float(classification + alignment_weight * alignment)
