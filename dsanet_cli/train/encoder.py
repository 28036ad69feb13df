"""The CLIP that a training list's features came from; its image tower becomes part of the trained model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dsanet_cli.config import EncoderConfig, Preprocessing
from dsanet_cli.encoder.tower import split_towers, tower_sha256
from dsanet_cli.features.encoder_check import EncoderCheck
from dsanet_cli.features.sidecar import Extraction, read_extraction
from dsanet_cli.models.directory import TensorDict
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.models.presets import PUBLISHED_SAMPLED_FRAMES
from dsanet_cli.models.text_tower import load_clip

if TYPE_CHECKING:
    import open_clip


@dataclass(frozen=True)
class TrainingEncoder:
    """A loaded encoder and its preprocessing."""

    config: EncoderConfig
    preprocessing: Preprocessing
    sampled_frames: int
    clip: open_clip.CLIP
    sha256: str
    """Of the image tower's tensors."""
    snippet_seconds: float | None = None
    """That a snippet of the features lasts; None where each has so many frames."""

    def check(self, features: Sequence[Path]) -> None:
        """Refuse feature files of another encoder, or of other snippets.

        Raises:
            FeatureError: names the first one.
        """
        check = EncoderCheck(self.config, self.preprocessing, self.sha256, self.snippet_seconds, only_by_time=True)
        for file in features:
            check.check(file)

    def towers(self) -> tuple[TensorDict | None, TensorDict | None]:
        """Image and text tower for a model directory; none where open_clip brings them by tag."""
        if self.config.pretrained is not None:
            return None, None
        return split_towers(self.clip)


def training_encoder(choice: EncoderChoice, features: Sequence[Path], start_from: str | None = None) -> TrainingEncoder:
    """Load both towers of the encoder that feature files were made with.

    Args:
        choice: The encoder options; with none, the encoder in the features' sidecar, or without a sidecar the
            published one.
        features: The files; the first one with a sidecar speaks for all.
        start_from: A model whose encoder it is where neither says.

    Raises:
        UsageError: options that contradict each other.
        ModelError: it does not load.
        FeatureError: it is not the one that made the features, or they come from several.
    """
    folders = dict.fromkeys(file.parent for file in features)
    made = next((found for found in map(read_extraction, folders) if found is not None), None)
    if made is not None and choice.model is None and choice.architecture is None:
        choice = _choice_of(made, choice.weights)
    elif start_from is not None and choice.model is None and choice.architecture is None:
        choice = dataclasses.replace(choice, model=start_from)
    chosen = choose_encoder(choice)
    config = chosen.config
    if chosen.model is not None and config.pretrained is None:
        clip = load_clip(chosen.model.directory, chosen.model.config)
    else:
        from dsanet_cli.encoder.clip import load_pretrained  # noqa: PLC0415 - seconds of import

        clip = load_pretrained(config, chosen.weights)
    if chosen.weights is not None:  # the model must not depend on that file
        config = dataclasses.replace(config, pretrained=None)
    preprocessing, sampled_frames = chosen.preprocessing, PUBLISHED_SAMPLED_FRAMES
    if made is not None:
        preprocessing, sampled_frames = made.preprocessing, min(made.sampled_frames, PUBLISHED_SAMPLED_FRAMES)
    seconds = None if made is None else made.snippet_seconds
    encoder = TrainingEncoder(config, preprocessing, sampled_frames, clip, tower_sha256(clip.visual), seconds)
    encoder.check(features)
    return encoder


def _choice_of(made: Extraction, weights: Path | None) -> EncoderChoice:
    file = weights or (Path(made.weights) if made.weights else None)
    if made.model is not None:
        return EncoderChoice(model=made.model, weights=file)
    return EncoderChoice(architecture=made.encoder.architecture, tag=made.encoder.pretrained, weights=file)
