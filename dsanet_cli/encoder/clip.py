"""CLIP models from open_clip: architecture by name or custom configuration, weights by tag or file.

Nothing loads silently wrong: open_clip's warnings about a mismatched activation, and its fallback
to random weights, are errors here.
"""

from __future__ import annotations

import contextlib
import pickle
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.factory import load_checkpoint, load_state_dict
from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model
from safetensors import SafetensorError
from torch import nn

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.architecture import architecture_config
from dsanet_cli.encoder.device import first_line
from dsanet_cli.encoder.tower import INSIDE, VISUAL
from dsanet_cli.errors import ModelError

TORCH_SUFFIXES = (".pth", ".pt")
CONNECT_SECONDS = 5.0
CHECKPOINT_ERRORS = (
    RuntimeError,
    LookupError,
    AttributeError,
    ValueError,
    EOFError,
    OSError,
    StopIteration,
    pickle.UnpicklingError,
    SafetensorError,
)
"""What reading a file that is no checkpoint raises."""
HUB_FILE_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
SMALLEST_TEXT_TOWER = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}
"""Where only the image tower is wanted; open_clip builds no model without a text tower."""


def build_clip(encoder: EncoderConfig, device: str = "cpu") -> open_clip.CLIP:
    """Both towers of ``encoder`` with random weights; on device "meta" without memory behind them."""
    return _build(encoder.architecture, architecture_config(encoder), device)


def _build(name: str, config: dict[str, Any], device: str = "cpu") -> open_clip.CLIP:
    config = {key: value for key, value in config.items() if key != "custom_text"}
    try:
        with torch.device(device):
            return open_clip.CLIP(**config).eval()
    except Exception as error:  # whatever its parts raise at numbers that do not fit each other
        raise ModelError(f"encoder {name}: open_clip cannot build it ({first_line(error)})") from error


def build_image_tower(encoder: EncoderConfig, device: str = "cpu") -> nn.Module:
    """As ``build_clip``, the image tower only; its text tower may be one that open_clip cannot build."""
    tower: nn.Module = _build_image_only(encoder, device).visual
    return tower


def _build_image_only(encoder: EncoderConfig, device: str = "cpu") -> open_clip.CLIP:
    config = architecture_config(encoder)
    vision = config["vision_cfg"] | {"output_tokens": False}  # which are for a captioning decoder only
    image_only = {"embed_dim": config["embed_dim"], "quick_gelu": config.get("quick_gelu", False)}
    parts = {**image_only, "vision_cfg": vision, "text_cfg": SMALLEST_TEXT_TOWER}
    return _build(encoder.architecture, parts, device)


def load_pretrained(encoder: EncoderConfig, weights: Path | None = None) -> open_clip.CLIP:
    """Both towers of ``encoder`` with published weights, in float32 on the CPU.

    Args:
        encoder: An open_clip architecture and tag.
        weights: A checkpoint file for that architecture, instead of the tag's.

    Raises:
        ModelError: no such tag, weights of another activation, a file that does not fit, or weights
            that are neither cached nor downloadable (says which file to bring).
    """
    _check_activation(encoder)
    clip = build_clip(encoder)
    path = weights or _pretrained_file(encoder)
    with _readable(path, encoder):
        if towers := _published_towers(path):
            clip.load_state_dict(towers)
        else:
            load_checkpoint(clip, str(path), strict=True, weights_only=True)
    return clip.requires_grad_(False).eval()


def load_pretrained_tower(encoder: EncoderConfig, weights: Path | None = None) -> nn.Module:
    """The image tower of ``encoder`` with published weights, in float32 on the CPU.

    The text tower is neither built nor read, so this takes architectures whose text tower ``build_clip`` cannot.

    Args:
        encoder: An open_clip architecture, and its tag unless ``weights`` are given.
        weights: A checkpoint file for that architecture, instead of the tag's.

    Raises:
        ModelError: see ``load_pretrained``.
    """
    _check_activation(encoder)
    path = weights or _pretrained_file(encoder)
    clip = _build_image_only(encoder)
    with _readable(path, encoder):
        state = _published_towers(path) or convert_state_dict(clip, load_state_dict(str(path), weights_only=True))
        clip.visual.load_state_dict(
            {name.removeprefix(VISUAL): tensor for name, tensor in state.items() if name.startswith(VISUAL)}
        )
    tower: nn.Module = clip.visual
    return tower.requires_grad_(False).eval()


def _published_towers(path: Path) -> dict[str, torch.Tensor]:
    """Both towers out of a checkpoint of DSANet's authors, which holds CLIP beside the head; empty for other files."""
    if path.suffix not in TORCH_SUFFIXES:
        return {}
    state = load_state_dict(str(path), weights_only=True)
    return {name.removeprefix(INSIDE): tensor.float() for name, tensor in state.items() if name.startswith(INSIDE)}


@contextlib.contextmanager
def _readable(path: Path, encoder: EncoderConfig) -> Iterator[None]:
    """Say what is wrong with the checkpoint ``path`` where reading it into ``encoder`` fails."""
    if _is_program(path):
        raise ModelError(
            f"{path}: a TorchScript program and not opened; bring the weights that open_clip publishes for "
            f"{encoder.architecture}, as a safetensors file"
        )
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such encoder weights") from error
    except CHECKPOINT_ERRORS as error:
        raise ModelError(
            f"{path}: not a checkpoint of {encoder.architecture} ({first_line(error)}); "
            "bring the weights that open_clip publishes for it"
        ) from error


def _is_program(path: Path) -> bool:
    """Whether ``path`` holds code besides tensors, as the files that OpenAI published do."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _check_activation(encoder: EncoderConfig) -> None:
    if encoder.pretrained is None:
        return
    published = get_pretrained_cfg(encoder.architecture, encoder.pretrained)
    if not published:
        tags = ", ".join(list_pretrained_tags_by_model(encoder.architecture)) or "none"
        raise ModelError(f"encoder {encoder.architecture}: no weights tagged {encoder.pretrained!r}; tags: {tags}")
    if published.get("quick_gelu") and not architecture_config(encoder).get("quick_gelu"):
        raise ModelError(
            f"encoder {encoder.architecture}: the weights {encoder.pretrained!r} were trained with another "
            f"activation; use {encoder.architecture}-quickgelu"
        )


def _pretrained_file(encoder: EncoderConfig) -> Path:
    """Where the weights lie in open_clip's caches, after downloading them if need be."""
    from huggingface_hub import constants, try_to_load_from_cache  # noqa: PLC0415 - only for weights by tag

    published = get_pretrained_cfg(encoder.architecture, encoder.pretrained)
    repository, _, file_name = published.get("hf_hub", "").rpartition("/")
    wanted = (file_name,) if file_name else HUB_FILE_NAMES
    for name in wanted if repository else ():
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    host = constants.ENDPOINT if repository else published.get("url", "")
    bring = f"{repository}/{wanted[0]}" if repository else host
    failure = (
        f"encoder {encoder.architecture}: its weights {encoder.pretrained!r} are not cached and could not be "
        f"downloaded; fetch {bring} from {host} on a machine with internet and pass "
        "--encoder-weights FILE, or extract with the built-in encoder instead: --model street"
    )
    if not _reachable(host):
        raise ModelError(failure)
    try:
        return Path(download_pretrained(published))
    except Exception as error:  # the hub client raises a changing variety
        raise ModelError(failure) from error


def _reachable(url: str) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True
