"""Kept features scored again: by another model on the same encoder, or with other classes in words."""

from __future__ import annotations

from pathlib import Path

import torch

from dsanet_cli.config import EventRule
from dsanet_cli.errors import FeatureError
from dsanet_cli.features.encoder_check import EncoderCheck
from dsanet_cli.features.files import load_features
from dsanet_cli.files.result_names import find_kept_features
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.classes import read_classes
from dsanet_cli.models.default import choose_model
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.words import with_classes
from dsanet_cli.timeline.facts import ModelFacts
from dsanet_cli.timeline.text import DEMONSTRATION
from dsanet_cli.timeline.timeline import Timeline, build_timeline


class Rescorer:
    """Scores the features that lie beside results.

    Args:
        model: Name or directory; None is the default one.
        classes: Others for it, in words.
        weights: A checkpoint to take the text tower from.

    Raises:
        ModelError: the model does not load, or cannot take other classes.
        SourceError: the classes cannot be read.
    """

    def __init__(self, model: str | None, classes: Path | None, weights: Path | None = None) -> None:
        self.model = load_model(choose_model(model).name)
        self.trained_sha256 = self.model.sha256
        """Of the model with its own classes."""
        if classes is not None:
            self.model = with_classes(self.model, read_classes(classes).classes, weights)
        self._check = EncoderCheck.of_model(self.model.config)

    @property
    def rule(self) -> EventRule:
        """The model's own."""
        return self.model.config.events

    def score(self, result: Path, timeline: Timeline) -> Timeline:
        """The timeline that this model gives.

        Args:
            result: Where the timeline was read.
            timeline: Of the video.

        Raises:
            FeatureError: there are no features, or those of another encoder or another video.
        """
        file = find_features(result)
        self._check.check(file)
        config = self.model.config
        features = load_features(file, config.encoder.width)
        if len(features) != len(timeline.starts):
            raise FeatureError(
                f"{file}: {len(features)} features for {len(timeline.starts)} snippets of {result}; "
                "analyse the video again with detect --keep-features"
            )
        scored = score_snippets(
            self.model.head, torch.from_numpy(features), self.model.text_features, config.temperature
        )
        notice = DEMONSTRATION if config.demonstration else None
        return build_timeline(
            timeline.video,
            ModelFacts(config.name, self.model.sha256, timeline.model.encoder_sha256, notice),
            config.class_names,
            timeline.sampling,
            self.rule,
            timeline.starts,
            timeline.ends,
            scored.scores.numpy(),
            scored.probabilities.numpy(),
            timeline.coverage,
        )


def find_features(result: Path) -> Path:
    """The features that were kept of a result.

    Raises:
        FeatureError: there are none.
    """
    if (file := find_kept_features(result)) is not None:
        return file
    raise FeatureError(f"{result}: no features are kept of it; analyse the video with detect --keep-features")
