"""A training that starts from another model's head instead of random weights."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from dsanet_cli.errors import ModelError
from dsanet_cli.models.classes import OwnClasses
from dsanet_cli.models.directory import ADAPTER_FILE, Model
from dsanet_cli.models.presets import Preset
from dsanet_cli.models.text_tower import load_text_adapter
from dsanet_cli.train.encoder import TrainingEncoder
from dsanet_cli.train.trainer import Trainer


def classes_of_model(model: Model, own: OwnClasses) -> OwnClasses:
    """The model's classes, where they are all that a list's labels need; else those of the list."""
    names = {name.casefold().replace(" ", ""): name for name in model.config.class_names}
    found = {label: names.get(name.casefold().replace(" ", "")) for label, name in own.labels.items()}
    if None in found.values() or model.config.class_names[0] not in found.values():
        return own
    return OwnClasses(model.config.classes, MappingProxyType({label: name or "" for label, name in found.items()}))


def with_head_of(preset: Preset, model: Model, encoder: TrainingEncoder, published: bool) -> Preset:
    """The preset with the dimensions of the model's head; a published one has its own, which must be the same.

    Raises:
        ModelError: the head takes other features, or has other dimensions.
    """
    config = model.config
    if config.encoder_sha256 not in (None, encoder.sha256) or config.encoder.width != encoder.config.width:
        raise ModelError(
            f"{model.directory}: its head takes features of another encoder ({config.encoder.architecture}, "
            f"{config.encoder.width} wide) than {encoder.config.architecture}, {encoder.config.width} wide; start from "
            "a model of the encoder that made the features"
        )
    if (published and config.head != preset.head) or config.head.text_width != preset.head.text_width:
        raise ModelError(
            f"{model.directory}: its head has other dimensions than {preset.name}: {config.head}, not {preset.head}; "
            "train on classes of your own, or start from another model"
        )
    return dataclasses.replace(preset, head=config.head)


def start_from(trainer: Trainer, model: Model) -> None:
    """Give ``trainer`` the head of ``model`` and, for the same classes, its text adapter where the model has one."""
    same = trainer.preset.classes == model.config.classes and ADAPTER_FILE in model.config.files
    adapter = load_text_adapter(model.directory, model.config) if same else None
    trainer.start_from(model.head.state_dict(), None if adapter is None else adapter.state_dict())
