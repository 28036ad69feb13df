"""Which encoder features are extracted with: the published one, a model's, or any of open_clip's."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from dsanet_cli.config import FRAMES_PER_SNIPPET, EncoderConfig, Preprocessing
from dsanet_cli.encoder.architecture import architecture_config, preprocessing_for
from dsanet_cli.errors import UsageError
from dsanet_cli.files.paths import take_paths
from dsanet_cli.models.directory import Model, load_model
from dsanet_cli.models.presets import PUBLISHED_ENCODER


@dataclass(frozen=True)
class EncoderChoice:
    """The encoder options of a command line; with none of them, the published encoder."""

    model: str | None = None
    """Name or directory of a model whose encoder and preprocessing to take."""
    architecture: str | None = None
    """Of open_clip."""
    tag: str | None = None
    """Of the architecture's weights."""
    weights: Path | None = None
    """A checkpoint file, instead of what open_clip downloads."""

    def __post_init__(self) -> None:
        take_paths(self, "weights")
        if self.model is not None:
            object.__setattr__(self, "model", os.fspath(self.model))


@dataclass(frozen=True)
class ChosenEncoder:
    """An encoder whose weights are not loaded yet, and the preprocessing of its frames."""

    config: EncoderConfig
    preprocessing: Preprocessing
    weights: Path | None
    model: Model | None = None

    @property
    def snippet_frames(self) -> int:
        """Frames in a snippet."""
        return FRAMES_PER_SNIPPET if self.model is None else self.model.config.snippet_frames

    def load_tower(self) -> nn.Module:
        """The image tower, in float32 on the CPU.

        Raises:
            ModelError: the weights are missing or do not fit.
        """
        if self.model is not None:
            return self.model.image_tower(self.weights)
        from dsanet_cli.encoder.clip import load_pretrained_tower  # noqa: PLC0415 - seconds of import

        return load_pretrained_tower(self.config, self.weights)


def choose_encoder(choice: EncoderChoice) -> ChosenEncoder:
    """Find the encoder that the command line asks for.

    Raises:
        UsageError: the options contradict each other, or do not say which weights.
        ModelError: no such model or architecture.
    """
    if choice.model is not None:
        if choice.architecture or choice.tag:
            raise UsageError("--model brings its encoder; drop --encoder and --tag, or --model")
        model = load_model(choice.model)
        return ChosenEncoder(model.config.encoder, model.config.preprocessing, choice.weights, model)
    if choice.architecture is None:
        if choice.tag:
            raise UsageError("--tag names weights of an --encoder; name that too")
        config = PUBLISHED_ENCODER
    else:
        config = EncoderConfig(choice.architecture, width=0, pretrained=choice.tag)
        config = dataclasses.replace(config, width=architecture_config(config)["embed_dim"])
        if choice.tag is None and choice.weights is None:
            from open_clip.pretrained import list_pretrained_tags_by_model  # noqa: PLC0415 - seconds of import

            tags = ", ".join(list_pretrained_tags_by_model(choice.architecture)) or "none known"
            raise UsageError(
                f"--encoder {choice.architecture}: name its weights with --tag ({tags}) or --encoder-weights FILE"
            )
    return ChosenEncoder(config, preprocessing_for(config), choice.weights)
