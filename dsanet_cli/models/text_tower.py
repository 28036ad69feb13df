"""What a model directory holds of CLIP's text tower, for training and for other words."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from dsanet_cli.config import ModelConfig
from dsanet_cli.encoder.tower import load_exactly
from dsanet_cli.errors import ModelError
from dsanet_cli.head.text_adapter import TextAdapter
from dsanet_cli.models.directory import (
    ADAPTER_FILE,
    IMAGE_FILE,
    PROJECTION_FILE,
    TEXT_FILE,
    check_file,
    file_sha256,
    read_tensors,
)
from dsanet_cli.models.folders import list_models

if TYPE_CHECKING:
    import open_clip


def load_clip(directory: Path, config: ModelConfig) -> open_clip.CLIP:
    """The whole CLIP of a model that brings its own encoder, both towers, for training.

    Raises:
        ModelError: the directory holds no text tower, or it does not fit.
    """
    if TEXT_FILE not in config.files:
        raise ModelError(f"{directory}: holds no text encoder, so its encoder cannot be trained on")
    path = _text_file(directory, config)
    image_path = directory / IMAGE_FILE
    check_file(path, config)
    check_file(image_path, config)
    state = read_tensors(path)
    if PROJECTION_FILE in config.files:
        check_file(directory / PROJECTION_FILE, config)
        state |= read_tensors(directory / PROJECTION_FILE)
    state |= {f"visual.{name}": tensor for name, tensor in read_tensors(image_path).items()}
    from dsanet_cli.encoder.clip import build_clip  # noqa: PLC0415 - seconds of import

    clip = build_clip(config.encoder)
    load_exactly(clip, state, path)
    return clip


def _text_file(directory: Path, config: ModelConfig) -> Path:
    """Where the text tower lies: with the model, or with another one that has the same."""
    own = directory / TEXT_FILE
    if own.exists():
        return own
    others = [*sorted(directory.resolve().parent.glob(f"*/{TEXT_FILE}")), *(d / TEXT_FILE for d in list_models())]
    for path in others:
        with contextlib.suppress(OSError, ModelError):
            if file_sha256(path) == config.files[TEXT_FILE]:
                return path
    raise ModelError(f"{own}: not there, nor with another model that shares it; bring the model directory again")


def load_text_adapter(directory: Path, config: ModelConfig) -> TextAdapter:
    """The text adapter of a model, to compute class features for other words.

    Raises:
        ModelError: the directory holds none, or it does not fit.
    """
    path = directory / ADAPTER_FILE
    if ADAPTER_FILE not in config.files:
        raise ModelError(f"{directory}: holds no text adapter, so its classes are fixed; import or train it again")
    check_file(path, config)
    adapter = TextAdapter(config.head)
    load_exactly(adapter, read_tensors(path), path)
    return adapter.eval()
