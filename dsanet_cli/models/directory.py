"""Model directories: loading and writing them.

A model directory holds ``config.json`` and safetensors files, whose SHA-256 stand in the config:

- ``head.safetensors``: the head for inference and its class text features (``text_features``);
- ``image_encoder.safetensors``: the CLIP image tower, unless open_clip brings it by name;
- ``text_encoder.safetensors``: the CLIP text tower, where the encoder is to be trained on; it may lie in the directory
  of another model that shares it, and is found there by its hash;
- ``text_projection.safetensors``: what differs from a shared text tower;
- ``text_adapter.safetensors``: the text adapter, so that class features can be computed for other words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from dsanet_cli.config import ModelConfig
from dsanet_cli.encoder.architecture import preprocessing_for
from dsanet_cli.encoder.device import Device
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import check_tower, load_exactly, load_image_tower, tower_sha256
from dsanet_cli.errors import ModelError, OutputError
from dsanet_cli.files.regular import check_inside, open_regular
from dsanet_cli.files.swap import draft_of, recover, replace_directory
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.models.folders import CONFIG_FILE, find_model, read_config
from dsanet_cli.records import decode_exactly, to_json

HEAD_FILE = "head.safetensors"
IMAGE_FILE = "image_encoder.safetensors"
TEXT_FILE = "text_encoder.safetensors"
PROJECTION_FILE = "text_projection.safetensors"
ADAPTER_FILE = "text_adapter.safetensors"
NOT_FOR_DETECTION = {TEXT_FILE, PROJECTION_FILE, ADAPTER_FILE}
TEXT_FEATURES = "text_features"

TensorDict = dict[str, Tensor]


@dataclass(frozen=True)
class Model:
    """A loaded model: configuration, head and class text features; the encoder loads on demand."""

    directory: Path
    config: ModelConfig
    sha256: str
    """Of ``config.json``, which holds the hashes of all other files (hex)."""
    head: DSANetHead
    text_features: Tensor
    """(C, D) float32, L2-normalised."""

    def frame_encoder(self, device: Device, dtype: torch.dtype, weights: Path | None = None) -> FrameEncoder:
        """The CLIP image tower this model was trained on, ready on ``device``.

        Args:
            device: Where to encode.
            dtype: Number format of the encoder.
            weights: A checkpoint file to use where the encoder comes from open_clip by name.

        Raises:
            ModelError: the weights are missing or do not fit.
        """
        return FrameEncoder(self.image_tower(weights), self.config.preprocessing, device, dtype)

    def image_tower(self, weights: Path | None = None) -> nn.Module:
        """The CLIP image tower this model was trained on, in float32 on the CPU.

        Args:
            weights: A checkpoint file to use where the encoder comes from open_clip by name.

        Raises:
            ModelError: the weights are missing or do not fit.
        """
        encoder, crop = self.config.encoder, self.config.preprocessing.crop
        if crop != (taken := preprocessing_for(encoder).crop):
            raise ModelError(f"{self.directory}: frames are cut to {crop} pixels, its encoder takes {taken}")
        if encoder.pretrained is not None:
            from dsanet_cli.encoder.clip import load_pretrained_tower  # noqa: PLC0415 - seconds of import

            return load_pretrained_tower(encoder, weights)
        if weights is not None:
            raise ModelError(f"{self.directory}: the model brings its own encoder; drop --encoder-weights")
        path = self.directory / IMAGE_FILE
        tower = load_image_tower(encoder, read_tensors(path), path)
        check_tower(tower, crop, encoder.width, path)
        return tower


def load_model(name: str | os.PathLike[str]) -> Model:
    """Load the head of a model by name or path; the files it needs to detect are checked against their hashes.

    Raises:
        ModelError: the model is missing, damaged or inconsistent; names the file.
    """
    directory = find_model(name)
    config = read_config(directory)
    brought = set() if config.encoder.pretrained else {IMAGE_FILE}
    for file_name in sorted({HEAD_FILE} | brought | config.files.keys() - NOT_FOR_DETECTION):
        check_file(directory / file_name, config)
    path = directory / HEAD_FILE
    state = read_tensors(path)
    text_features = state.pop(TEXT_FEATURES, None)
    expected = (len(config.classes), config.head.width)
    if text_features is None or tuple(text_features.shape) != expected:
        raise ModelError(f"{path}: no class text features of shape {expected}; bring the model directory again")
    with torch.device("meta"):
        head = DSANetHead(config.head)
    load_exactly(head, state, path)
    if not all(bool(tensor.isfinite().all()) for tensor in (text_features, *state.values())):
        raise ModelError(f"{path}: holds numbers that are not finite; train or import the model again")
    sha256 = file_sha256(directory / CONFIG_FILE)
    return Model(directory, config, sha256, head.eval(), text_features.float())


def check_free(directory: Path, overwrite: bool) -> None:
    """Make sure that a model may be written to ``directory``.

    Raises:
        OutputError: it exists, and ``overwrite`` does not allow to replace it, or it is something else than a model.
    """
    recover(directory)
    if not directory.exists():
        return
    if not overwrite:
        raise OutputError(f"{directory}: exists already; choose another name or pass --overwrite")
    if not directory.is_dir() or (any(directory.iterdir()) and not (directory / CONFIG_FILE).exists()):
        raise OutputError(f"{directory}: is there and is no model, so it is not replaced; choose another name")


def save_model(
    directory: Path,
    config: ModelConfig,
    head: TensorDict,
    text_features: Tensor,
    image_tower: TensorDict | None = None,
    text_tower: TensorDict | None = None,
    text_adapter: TensorDict | None = None,
    overwrite: bool = False,
    shared_text: Path | None = None,
) -> ModelConfig:
    """Write a model directory: whole or not at all.

    Args:
        directory: Where to; its parent is made if need be.
        config: Its ``files`` are filled in here, and the hash of its encoder where ``image_tower`` is given.
        head: State dict of ``DSANetHead``.
        text_features: (C, D) class text features.
        image_tower: State dict of the CLIP image tower, unless open_clip brings it.
        text_tower: The rest of the CLIP state dict.
        text_adapter: State dict of ``TextAdapter``.
        overwrite: Replace a directory that exists.
        shared_text: A model directory that holds the text tower already; only what differs is written.

    Returns:
        The configuration as written.

    Raises:
        OutputError: the directory exists, or cannot be written.
    """
    check_free(directory, overwrite)
    files = {HEAD_FILE: {**head, TEXT_FEATURES: text_features}}
    if image_tower is not None:
        files[IMAGE_FILE] = image_tower
        config = dataclasses.replace(config, encoder_sha256=tower_sha256(image_tower))
    elsewhere: dict[str, str] = {}
    if text_tower is not None and shared_text is not None:
        shared = read_tensors(shared_text / TEXT_FILE)
        files[PROJECTION_FILE] = {name: t for name, t in text_tower.items() if not _same(t, shared.get(name))}
        elsewhere[TEXT_FILE] = file_sha256(shared_text / TEXT_FILE)
    elif text_tower is not None:
        files[TEXT_FILE] = text_tower
    if text_adapter is not None:
        files[ADAPTER_FILE] = text_adapter
    place = directory.resolve() if directory.is_symlink() else directory
    draft = draft_of(place)
    try:
        draft.mkdir(parents=True)
        for file_name, tensors in files.items():
            data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
            _write(draft / file_name, data)  # save_file would make it readable by its owner only
        config = dataclasses.replace(config, files={name: file_sha256(draft / name) for name in files} | elsewhere)
        text = json.dumps(to_json(config), indent=2, ensure_ascii=False).encode() + b"\n"
        decode_exactly(ModelConfig, text)  # what cannot be read again is not written
        _write(draft / CONFIG_FILE, text)
        replace_directory(draft, place)
    except (OSError, SafetensorError, ValueError) as error:
        raise OutputError(f"{directory}: cannot be written ({error}); choose another place") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return config


def _same(tensor: Tensor, other: Tensor | None) -> bool:
    return other is not None and tensor.shape == other.shape and bool((tensor.float() == other.float()).all())


def _write(path: Path, data: bytes) -> None:
    """Write a file that is on the disk afterwards: what it replaces is deleted next."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def read_tensors(path: Path) -> TensorDict:
    """All tensors of a weight file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        tensors: TensorDict = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); bring the model directory again") from error
    return tensors


def check_file(path: Path, config: ModelConfig) -> None:
    """Make sure that a weight file is the one that the model's configuration names.

    Raises:
        ModelError: it is not there, not named, or another one.
    """
    if path.name not in config.files:
        raise ModelError(f"{path}: not listed in {CONFIG_FILE}; bring the model directory again")
    try:
        check_inside(path, path.parent)
        found = file_sha256(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); bring the model directory again") from error
    if found != config.files[path.name]:
        raise ModelError(f"{path}: damaged, its SHA-256 is not the one in {CONFIG_FILE}; bring it again")


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
