"""Training data: labelled feature files, and the batches drawn from them (released code: train, dataset)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dsanet_cli.errors import SourceError
from dsanet_cli.features.files import fit_length, load_features
from dsanet_cli.features.lists import ListedFeature
from dsanet_cli.models.presets import Preset

NORMAL_CLASS = 0
_ROUNDING = 1e-5
"""Share of a mean below which a deviation is what rounding leaves of none."""
_CROP = re.compile(r"__\d+$")


@dataclass(frozen=True)
class LabelledFeatures:
    """A feature file and the classes (indices; 0 is normal) that its video shows somewhere."""

    path: Path
    classes: tuple[int, ...]
    group: str | None = None
    """Camera or source, where the list says so."""

    @property
    def normal(self) -> bool:
        """Whether nothing abnormal happens in the video."""
        return self.classes == (NORMAL_CLASS,)

    @property
    def video(self) -> Path:
        """What the files of all crops of a video share: its path without the crop."""
        return self.path.with_name(_CROP.sub("", self.path.stem))


@dataclass(frozen=True)
class Batch:
    """Features (B, T, D), valid snippets (B,) and multi-hot labels (B, C)."""

    features: Tensor
    lengths: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(self.features.to(device), self.lengths.to(device), self.labels.to(device))


def label_features(listed: Sequence[ListedFeature], preset: Preset) -> list[LabelledFeatures]:
    """Rows of a list with their labels as the preset's classes.

    Raises:
        SourceError: a label that the preset does not have.
    """
    names = [c.name for c in preset.classes]
    return [
        LabelledFeatures(row.path, tuple(names.index(name) for name in preset.classes_of(row.label)), row.group)
        for row in listed
    ]


class Sampler:
    """Draws batches: normal and anomalous videos in equal parts, or any, as the preset says.

    Every epoch shuffles anew. With both kinds it ends with the smaller one, and incomplete batches are dropped; any
    mix keeps its last, partial batch (both as in the released code).

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
        if preset.balanced_batches:
            self._kinds = [(normal, half), (anomalous, half)]
            batches = [len(indices) // max(half, 1) for indices, _ in self._kinds]
        else:
            self._kinds = [(list(range(len(videos))), preset.batch_size)]
            batches = [math.ceil(len(videos) / max(preset.batch_size, 1))]
        self.batches_per_epoch = min(batches)
        self.batches_of_all_kinds = sum(batches)
        """What the learning rate of SG-NM counts as an epoch: batches of both kinds, although a step takes one each."""
        if self.batches_per_epoch == 0 or half == 0:
            raise SourceError(
                f"{len(normal)} normal and {len(anomalous)} anomalous videos are too few for a batch of "
                f"{' + '.join(str(size) for _, size in self._kinds)}; add videos or choose smaller batches"
            )
        self._orders: list[list[int]]
        self.shuffle()

    def shuffle(self) -> None:
        """Start an epoch."""
        self.epoch_state = self._generator.get_state()
        """From which the epoch's order follows."""
        self._orders = [
            [indices[i] for i in torch.randperm(len(indices), generator=self._generator)] for indices, _ in self._kinds
        ]

    def return_to(self, epoch_state: Tensor) -> None:
        """Start the epoch again that began with ``epoch_state``."""
        self._generator.set_state(epoch_state)
        self.shuffle()

    def batch(self, number: int) -> Batch:
        """The epoch's batch of that number, from 0."""
        chosen: list[int] = []
        for order, (_, size) in zip(self._orders, self._kinds, strict=True):
            chosen += order[number * size : (number + 1) * size]
        return load_batch([self._videos[i] for i in chosen], self._preset)


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


@dataclass(frozen=True)
class FeatureStatistics:
    """What the features of N files are like, padding left out."""

    mean: Tensor
    """(D,) float32, over all snippets that batches hold."""
    deviation: Tensor
    """(D,) float32, standard deviation likewise; 0 where a feature never varies."""
    file_means: Tensor
    """(N, D) float64, over the snippets of each file."""


def feature_statistics(videos: Sequence[LabelledFeatures], preset: Preset) -> FeatureStatistics:
    """Read each file once, and say what features are like.

    Raises:
        FeatureError: a file that is missing or does not fit.
    """
    width = preset.head.width
    count, total, squares, file_means = 0, np.zeros(width), np.zeros(width), np.empty((len(videos), width))
    for video, file_mean in zip(videos, file_means, strict=True):
        loaded = load_features(video.path, width)
        file_mean[:] = loaded.mean(axis=0, dtype=np.float64)
        fitted, length = fit_length(loaded, preset.head.window)
        features = fitted[:length].astype(np.float64)
        count += length
        total += features.sum(axis=0)
        squares += (features**2).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    deviation[deviation <= _ROUNDING * np.abs(mean)] = 0
    return FeatureStatistics(
        torch.from_numpy(mean).float(), torch.from_numpy(deviation).float(), torch.from_numpy(file_means)
    )


def one_crop_each(videos: Sequence[LabelledFeatures]) -> list[LabelledFeatures]:
    """The first listed file of each video."""
    return list({video.video: video for video in reversed(videos)}.values())[::-1]
