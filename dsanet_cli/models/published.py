"""Published DSANet checkpoints: which entry of their state dict is which parameter here.

A published file is a complete model: the head and OpenAI's CLIP ViT-B/16 beside it, whose names
open_clip shares. Every name and every shape is checked, so that nothing loads silently wrong.
"""

from __future__ import annotations

import dataclasses
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dsanet_cli.config import EncoderConfig, EventRule, HeadConfig, ModelConfig, Origin
from dsanet_cli.encoder.architecture import PUBLISHED_PREPROCESSING
from dsanet_cli.encoder.tower import INSIDE, load_exactly, split_towers
from dsanet_cli.errors import ModelError
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.head.text_adapter import tokenise
from dsanet_cli.models.directory import check_free, save_model
from dsanet_cli.models.folders import user_models_folder
from dsanet_cli.models.presets import (
    PRESETS,
    PUBLISHED_ENCODER,
    PUBLISHED_SAMPLED_FRAMES,
    PUBLISHED_SNIPPET_SECONDS,
    Preset,
)

PUBLISHED_CLIP = PUBLISHED_ENCODER.architecture
"""open_clip's name of the CLIP inside a published checkpoint."""

_CLIP_AGAIN = "clip_adapter.clipmodel."
"""The same tensors of CLIP a second time."""
_UNUSED = "disAdj.sigma"
"""In the published state dict, but without effect in the released code."""
_NAMES_SHOWN = 3

_PUBLISHED_NAMES = tuple(
    (re.compile(ours), published)
    for ours, published in (
        (r"^head\.temporal\.position_embeddings$", "frame_position_embeddings.weight"),
        (r"^head\.temporal\.blocks\.", "temporal.resblocks."),
        (r"^head\.temporal\.similarity_branch\.0\.", "gc1."),
        (r"^head\.temporal\.similarity_branch\.1\.", "gc2."),
        (r"^head\.temporal\.distance_branch\.0\.", "gc3."),
        (r"^head\.temporal\.distance_branch\.1\.", "gc4."),
        (r"^head\.temporal\.linear\.", "linear."),
        (r"^head\.alignment\.mlp\.", "mlp1."),
        (r"^head\.score\.mlp\.", "mlp2."),
        (r"^head\.score\.classifier\.", "classifier."),
        (r"^text_adapter\.layers\.(\d+)\.", r"clip_adapter.text_adapter.\1.fc.0."),
        (r"^normality\.prototypes$", "video_anomaly_refiner.video_prototypes"),
        (r"^normality\.aggregation\.", "video_anomaly_refiner.dnp_extractor.0."),
        (r"^normality\.", "video_anomaly_refiner."),
        (r"^(video_anomaly_refiner\..*\.mlp)\.c_fc\.", r"\1.fc1."),
        (r"^(video_anomaly_refiner\..*\.mlp)\.c_proj\.", r"\1.fc2."),
    )
)


def published_name(name: str) -> str:
    """What published checkpoints call the entry ``name`` of ``DSANet``'s state dict."""
    for ours, published in _PUBLISHED_NAMES:
        name = ours.sub(published, name)
    return name


def split_published(
    state_dict: Mapping[str, Any], config: HeadConfig, architecture: str = PUBLISHED_CLIP
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split a published state dict into this project's model and open_clip's CLIP.

    Args:
        state_dict: as the file holds it. Attention masks, the unused ``disAdj.sigma`` and the second
            copy of CLIP may be there or not.
        config: of the data set the checkpoint was trained on.
        architecture: open_clip's name of the CLIP inside.

    Returns:
        Float32 state dicts for ``DSANet(config)`` and for open_clip's ``CLIP``, complete for each.

    Raises:
        ModelError: entries are missing, unknown, no tensors or of another shape.
    """
    if not isinstance(state_dict, Mapping):
        raise ModelError(f"holds a {type(state_dict).__name__}, not a state dict")
    model_shapes, clip_shapes = parameter_shapes(config), _clip_shapes(architecture)
    if faults := _faults(state_dict, _expected(model_shapes, clip_shapes)):
        raise ModelError(f"not a published checkpoint of this preset: entries {'; '.join(map(str, faults))}")
    return (
        {name: state_dict[published_name(name)].float() for name in model_shapes},
        {name: state_dict[INSIDE + name].float() for name in clip_shapes},
    )


def parameter_shapes(config: HeadConfig) -> dict[str, torch.Size]:
    """Names and shapes of ``DSANet(config)``'s state dict; nothing is allocated."""
    with torch.device("meta"):
        model = DSANet(config)
    return {name: entry.shape for name, entry in model.state_dict().items()}


def _clip_shapes(architecture: str) -> dict[str, torch.Size]:
    from dsanet_cli.encoder.clip import build_clip  # noqa: PLC0415 - seconds of import

    clip = build_clip(EncoderConfig(architecture, width=0), device="meta")
    return {name: entry.shape for name, entry in clip.state_dict().items()}


def _expected(model_shapes: Mapping[str, torch.Size], clip_shapes: Mapping[str, torch.Size]) -> dict[str, torch.Size]:
    """Shapes of all entries of a published state dict, by their names there."""
    expected = {published_name(name): shape for name, shape in model_shapes.items()}
    return expected | {INSIDE + name: shape for name, shape in clip_shapes.items()}


@dataclass(frozen=True)
class _Fault:
    """Entries with the same fault."""

    what: str
    names: list[str]

    def __str__(self) -> str:
        more = ", …" * (len(self.names) > _NAMES_SHOWN)
        return f"{self.what} ({len(self.names)}): {', '.join(self.names[:_NAMES_SHOWN])}{more}"


def _faults(state_dict: Mapping[str, Any], expected: Mapping[str, torch.Size]) -> list[_Fault]:
    missing = [name for name in expected if name not in state_dict]
    unknown = [str(name) for name in state_dict if name not in expected and not _ignored(str(name))]
    misshaped = [
        f"{name}: {_shape(state_dict[name])}, expected {tuple(shape)}"
        for name, shape in expected.items()
        if name in state_dict and _shape(state_dict[name]) != tuple(shape)
    ]
    groups = (("missing", missing), ("unknown", unknown), ("of another shape", misshaped))
    return [_Fault(what, names) for what, names in groups if names]


def _ignored(name: str) -> bool:
    return name.startswith(_CLIP_AGAIN) or name.endswith("attn_mask") or name == _UNUSED


def _shape(entry: Any) -> tuple[int, ...] | str:
    return tuple(entry.shape) if isinstance(entry, Tensor) else f"a {type(entry).__name__}"


@dataclass(frozen=True)
class Imported:
    """A model directory made from a published checkpoint."""

    directory: Path
    preset: str
    """The data set that it was trained on."""
    name: str
    """What ``--model`` takes: the model's name, or its path where it lies elsewhere than models by name."""


def import_checkpoint(
    checkpoint: Path,
    output: Path | None = None,
    preset_name: str | None = None,
    overwrite: bool = False,
    origin: Origin | None = None,
) -> Imported:
    """Write a model directory from a published state dict: both towers of CLIP, head, text adapter, class features.

    Args:
        checkpoint: A state dict as the authors publish them.
        output: Directory to write; None takes the data set's name among the user's models.
        preset_name: The data set it is said to be from; None leaves that to the shapes.
        overwrite: Replace a directory that exists.
        origin: Where it was fetched from.

    Raises:
        ModelError: not such a checkpoint, or another data set's; nothing in it is executed.
        OutputError: the directory exists or cannot be written.
    """
    if output is not None:
        check_free(output, overwrite)
    try:
        state_dict = _read_checkpoint(checkpoint)
        preset = recognise(state_dict)
        if preset_name not in (None, preset.name):
            raise ModelError(f"is a checkpoint for {preset.name}, not for {preset_name}; use --preset {preset.name}")
        model_state, clip_state = split_published(state_dict, preset.head)
    except ModelError as error:
        raise ModelError(f"{checkpoint}: {error}") from error
    directory = output or user_models_folder() / preset.name
    check_free(directory, overwrite)
    from dsanet_cli.encoder.clip import build_clip  # noqa: PLC0415 - seconds of import

    encoder = EncoderConfig(architecture=PUBLISHED_CLIP, width=preset.head.width)
    clip = build_clip(encoder)
    load_exactly(clip, clip_state, checkpoint)
    model = DSANet(preset.head)
    load_exactly(model, model_state, checkpoint)
    with torch.inference_mode():
        text_features = model.text_features(clip, tokenise(preset.classes))
    image_tower, text_tower = split_towers(clip)
    save_model(
        directory,
        dataclasses.replace(published_config(directory.name, preset, encoder), origin=origin),
        head=model.head.state_dict(),
        text_features=text_features,
        image_tower=image_tower,
        text_tower=text_tower,
        text_adapter=model.text_adapter.state_dict(),
        overwrite=overwrite,
    )
    return Imported(directory, preset.name, directory.name if output is None else str(output))


def recognise(state_dict: Any) -> Preset:
    """The preset that a published state dict was trained with, by the names and shapes of its entries.

    Raises:
        ModelError: it fits none of them; says how it differs from the one that it comes closest to.
    """
    if not isinstance(state_dict, Mapping):
        raise ModelError(f"holds a {type(state_dict).__name__}, not a state dict")
    clip_shapes = _clip_shapes(PUBLISHED_CLIP)
    faults = {
        name: _faults(state_dict, _expected(parameter_shapes(preset.head), clip_shapes))
        for name, preset in PRESETS.items()
    }
    closest = min(faults, key=lambda name: sum(len(found.names) for found in faults[name]))
    if faults[closest]:
        raise ModelError(f"not a published checkpoint: entries {'; '.join(map(str, faults[closest]))}")
    return PRESETS[closest]


def published_config(name: str, preset: Preset, encoder: EncoderConfig) -> ModelConfig:
    """The configuration of the authors' checkpoint of a data set."""
    return ModelConfig(
        name=name,
        description=f"DSANet as published for {preset.name} (AAAI 2026, arXiv 2511.10334)",
        classes=preset.classes,
        encoder=encoder,
        preprocessing=PUBLISHED_PREPROCESSING,
        head=preset.head,
        temperature=preset.temperature,
        events=EventRule(),
        sampled_frames=PUBLISHED_SAMPLED_FRAMES,
        snippet_seconds=PUBLISHED_SNIPPET_SECONDS,
        training={"data": preset.name, "by": "the authors"},
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
