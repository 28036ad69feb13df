"""The ``models`` command: list, show, and import published checkpoints."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from dsanet_cli.clip import build_clip, load_exactly
from dsanet_cli.config import EncoderConfig, EventRule, ModelConfig
from dsanet_cli.errors import DsanetError, ModelError
from dsanet_cli.model.head import DSANet
from dsanet_cli.model.published import PUBLISHED_CLIP, split_published
from dsanet_cli.model.text_adapter import tokenise
from dsanet_cli.preprocessing import PUBLISHED_PREPROCESSING
from dsanet_cli.presets import PRESETS, PUBLISHED_SAMPLED_FRAMES, Preset
from dsanet_cli.weights import check_free, find_model, list_models, read_config, save_model, user_models_folder


def print_models() -> None:
    """One row per model that can be given by name."""
    table = Table("name", "encoder", "classes", "where", box=None, header_style="bold")
    for directory in list_models():
        try:
            config = read_config(directory)
            classes = ", ".join(config.class_names)
            table.add_row(directory.name, config.encoder.architecture, classes, str(directory))
        except DsanetError as error:
            table.add_row(directory.name, "", f"damaged: {error}", str(directory))
    Console(highlight=False, markup=False).print(table)


def print_model(name: str) -> None:
    """Everything a model says of itself.

    Raises:
        ModelError: no such model.
    """
    directory = find_model(name)
    config = read_config(directory)
    encoder = config.encoder
    source = "in the model directory" if encoder.pretrained is None else f"open_clip, tag {encoder.pretrained}"
    rows = [
        ("directory", str(directory)),
        ("description", config.description),
        ("classes", ", ".join(f"{c.name} ({' | '.join(c.prompts)})" for c in config.classes)),
        ("encoder", f"{encoder.architecture}, {encoder.width} wide; weights {source}"),
        ("frames", f"resized to {_size(config.preprocessing.resize)}, cut to {_size(config.preprocessing.crop)}"),
        ("snippets", f"{config.snippet_frames} frames, of which {config.sampled_frames} are encoded"),
        ("events", f"from score {config.events.threshold:.3g} on, until below {config.events.release:.3g}"),
        *((f"training: {key}", str(value)) for key, value in config.training.items()),
        *((f"measured: {key}", str(value)) for key, value in config.metrics.items()),
    ]
    table = Table(box=None, show_header=False)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def import_checkpoint(checkpoint: Path, preset_name: str, output: Path | None, overwrite: bool) -> None:
    """Write a model directory from a published state dict: encoder, head and class text features.

    Raises:
        ModelError: not such a checkpoint; nothing in it is executed.
        OutputError: the directory exists or cannot be written.
    """
    directory = output or user_models_folder() / preset_name
    check_free(directory, overwrite)
    preset = PRESETS[preset_name]
    try:
        model_state, clip_state = split_published(_read_checkpoint(checkpoint), preset.head)
    except ModelError as error:
        raise ModelError(f"{checkpoint}: {error}") from error
    encoder = EncoderConfig(architecture=PUBLISHED_CLIP, width=preset.head.width)
    clip = build_clip(encoder)
    load_exactly(clip, clip_state, checkpoint)
    model = DSANet(preset.head)
    load_exactly(model, model_state, checkpoint)
    with torch.inference_mode():
        text_features = model.text_features(clip, tokenise(preset.classes))
    config = save_model(
        directory,
        published_config(directory.name, preset_name, preset, encoder),
        head=model.head.state_dict(),
        text_features=text_features,
        image_tower=clip.visual.state_dict(),
        overwrite=overwrite,
    )
    name = str(output) if output else config.name
    Console(highlight=False, markup=False, soft_wrap=True).print(
        f"{directory}: imported {checkpoint.name}; use it with --model {name}"
    )


def published_config(name: str, preset_name: str, preset: Preset, encoder: EncoderConfig) -> ModelConfig:
    """What the authors' checkpoint of a data set says of itself."""
    return ModelConfig(
        name=name,
        description=f"DSANet as published for {preset_name} (AAAI 2026, arXiv 2511.10334)",
        classes=preset.classes,
        encoder=encoder,
        preprocessing=PUBLISHED_PREPROCESSING,
        head=preset.head,
        temperature=preset.temperature,
        events=EventRule(),
        sampled_frames=PUBLISHED_SAMPLED_FRAMES,
        training={"data": preset_name, "by": "the authors"},
    )


def _read_checkpoint(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError as error:
        raise ModelError("no such file") from error
    except pickle.UnpicklingError as error:
        raise ModelError("holds more than tensors and was not opened; bring a plain state dict") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError("damaged or cut off, or not a PyTorch checkpoint; download it again") from error


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
