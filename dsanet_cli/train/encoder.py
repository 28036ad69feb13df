"""The CLIP that a training list's features came from; its image tower becomes part of the trained model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import open_clip

from dsanet_cli.config import EncoderConfig, Preprocessing
from dsanet_cli.encoder.clip import load_pretrained, split_towers
from dsanet_cli.errors import ModelError
from dsanet_cli.features.sidecar import Extraction, read_extraction, tower_sha256
from dsanet_cli.models.directory import TensorDict, load_clip
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.models.presets import PUBLISHED_SAMPLED_FRAMES


@dataclass(frozen=True)
class TrainingEncoder:
    """A loaded encoder and its preprocessing."""

    config: EncoderConfig
    preprocessing: Preprocessing
    sampled_frames: int
    clip: open_clip.CLIP

    def towers(self) -> tuple[TensorDict | None, TensorDict | None]:
        """Image and text tower for a model directory; none where open_clip brings them by tag."""
        if self.config.pretrained is not None:
            return None, None
        return split_towers(self.clip)


def training_encoder(choice: EncoderChoice, features: Path) -> TrainingEncoder:
    """Load both towers of the encoder that the features in the folder ``features`` were made with.

    Args:
        choice: The encoder options; with none, the encoder in the features' sidecar, or without a sidecar the
            published one.
        features: Where a sidecar may lie, or in a folder above.

    Raises:
        UsageError: options that contradict each other.
        ModelError: it does not load, or is not the one that made the features.
    """
    made = read_extraction(features)
    if made is not None and choice.model is None and choice.architecture is None:
        choice = _choice_of(made, choice.weights)
    chosen = choose_encoder(choice)
    config = chosen.config
    if chosen.model is not None and config.pretrained is None:
        clip = load_clip(chosen.model.directory, chosen.model.config)
    else:
        clip = load_pretrained(config, chosen.weights)
    if chosen.weights is not None:  # the model must not depend on that file
        config = dataclasses.replace(config, pretrained=None)
    if made is None:
        return TrainingEncoder(config, chosen.preprocessing, PUBLISHED_SAMPLED_FRAMES, clip)
    if tower_sha256(clip.visual) != made.weights_sha256:
        raise ModelError(
            f"{features}: features were extracted with other weights than these of {config.architecture} "
            f"({made.model or made.weights or made.encoder.pretrained} at that time); name that encoder with --model, "
            "or --encoder and --tag or --encoder-weights, or extract the features again"
        )
    return TrainingEncoder(config, made.preprocessing, min(made.sampled_frames, PUBLISHED_SAMPLED_FRAMES), clip)


def _choice_of(made: Extraction, weights: Path | None) -> EncoderChoice:
    file = weights or (Path(made.weights) if made.weights else None)
    if made.model is not None:
        return EncoderChoice(model=made.model, weights=file)
    return EncoderChoice(architecture=made.encoder.architecture, tag=made.encoder.pretrained, weights=file)
