"""CLIP models from open_clip: architecture by name or custom configuration, weights by tag or file.

Nothing loads silently wrong: open_clip's warnings about a mismatched activation, and its fallback
to random weights, are errors here.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.factory import load_checkpoint, load_state_dict
from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model
from safetensors import SafetensorError
from torch import nn

from dsanet_cli.config import EncoderConfig, Preprocessing
from dsanet_cli.errors import ModelError

OPENAI_MEAN: tuple[float, float, float] = open_clip.OPENAI_DATASET_MEAN
OPENAI_STD: tuple[float, float, float] = open_clip.OPENAI_DATASET_STD
PUBLISHED_PREPROCESSING = Preprocessing(resize=(256, 340), crop=(224, 224), mean=OPENAI_MEAN, std=OPENAI_STD)
"""Of the published feature sets (protocol: features)."""
OPEN_CLIP_IMAGE_SIZE = 224
"""Input size of architectures whose configuration names none."""
VISUAL = "visual."
"""Prefix of the image tower in open_clip's state dict."""
INSIDE = "clipmodel."
"""Prefix of CLIP in a checkpoint of DSANet's authors."""
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


def architecture_config(encoder: EncoderConfig) -> dict[str, Any]:
    """The open_clip configuration of ``encoder``: its own, or the one open_clip lists under its name.

    Raises:
        ModelError: open_clip knows no such architecture.
    """
    if encoder.custom is not None:
        return dict(encoder.custom)
    if encoder.architecture not in open_clip.list_models():  # it would also load what an address leads to
        raise ModelError(
            f"encoder {encoder.architecture}: not an open_clip architecture; "
            "python -c 'import open_clip; print(open_clip.list_models())' lists them"
        )
    config: dict[str, Any] = open_clip.get_model_config(encoder.architecture)
    return config


def preprocessing_for(encoder: EncoderConfig) -> Preprocessing:
    """The published preprocessing, scaled to the input size of ``encoder``, with its weights' mean and deviation.

    Raises:
        ModelError: open_clip knows no such architecture.
    """
    size = architecture_config(encoder)["vision_cfg"].get("image_size", OPEN_CLIP_IMAGE_SIZE)
    crop: tuple[int, int] = (size, size) if isinstance(size, int) else (size[0], size[1])
    high, wide = (
        round(side * resized / cut)
        for side, resized, cut in zip(crop, PUBLISHED_PREPROCESSING.resize, PUBLISHED_PREPROCESSING.crop, strict=True)
    )
    published = get_pretrained_cfg(encoder.architecture, encoder.pretrained) if encoder.pretrained else {}
    mean = tuple(published.get("mean") or OPENAI_MEAN)
    std = tuple(published.get("std") or OPENAI_STD)
    return Preprocessing(resize=(high, wide), crop=crop, mean=mean, std=std)


def build_clip(encoder: EncoderConfig, device: str = "cpu") -> open_clip.CLIP:
    """Both towers of ``encoder`` with random weights; on device "meta" without memory behind them."""
    return _build(encoder.architecture, architecture_config(encoder), device)


def _build(name: str, config: dict[str, Any], device: str = "cpu") -> open_clip.CLIP:
    config = {key: value for key, value in config.items() if key != "custom_text"}
    try:
        with torch.device(device):
            return open_clip.CLIP(**config).eval()
    except Exception as error:  # whatever its parts raise at numbers that do not fit each other
        raise ModelError(f"encoder {name}: open_clip cannot build it ({_first_line(error)})") from error


def load_image_tower(encoder: EncoderConfig, state: dict[str, torch.Tensor], where: Path) -> nn.Module:
    """The image tower of ``encoder`` holding exactly the tensors of ``state``.

    Raises:
        ModelError: names ``where`` and the entries that are missing, unknown or of another shape.
    """
    try:
        tower: nn.Module = build_clip(encoder, device="meta").visual
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    load_exactly(tower, state, where)
    return tower


def split_towers(clip: open_clip.CLIP) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """State dicts of the image tower, and of all else, in half precision where that loses nothing."""
    state = {name: _compact(tensor) for name, tensor in clip.state_dict().items()}
    image = {name.removeprefix(VISUAL): tensor for name, tensor in state.items() if name.startswith(VISUAL)}
    return image, {name: tensor for name, tensor in state.items() if not name.startswith(VISUAL)}


def tower_sha256(tower: nn.Module | Mapping[str, torch.Tensor]) -> str:
    """SHA-256 (hex) over names, shapes and float32 values of a tower's tensors, whichever format they are stored in."""
    digest = hashlib.sha256()
    state = tower.state_dict() if isinstance(tower, nn.Module) else tower
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    half = tensor.half()
    return half if (half.float() == tensor).all() else tensor


@torch.inference_mode()
def check_tower(tower: nn.Module, crop: tuple[int, int], width: int, where: Path) -> None:
    """Make sure, with one black frame, that a tower of a configuration of one's own gives features.

    Raises:
        ModelError: it takes no frames of ``crop`` pixels (height, width), or gives no ``width`` finite numbers.
    """
    try:
        features: torch.Tensor = tower(torch.zeros(1, 3, *crop))
    except Exception as error:  # whatever its parts raise at numbers that do not fit each other
        raise ModelError(f"{where}: encodes no frames of {crop} pixels ({_first_line(error)})") from error
    if features.shape != (1, width) or not features.isfinite().all():
        raise ModelError(f"{where}: gives no {width} finite numbers for a frame; bring the model directory again")


def load_exactly(module: nn.Module, state: dict[str, torch.Tensor], where: Path) -> None:
    """Give ``module`` the tensors of ``state`` as float32; every entry must be there and fit.

    Raises:
        ModelError: names ``where`` and the entries that are missing, unknown or of another shape.
    """
    expected = module.state_dict()
    faults = [f"{name} is missing" for name in expected.keys() - state.keys()]
    faults += [f"{name} is unknown" for name in state.keys() - expected.keys()]
    faults += [
        f"{name} has shape {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if faults:
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise ModelError(f"{where}: weights do not fit: {'; '.join(sorted(faults)[:3])}{more}")
    module.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)
    module.requires_grad_(False)


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
    config = architecture_config(encoder)
    path = weights or _pretrained_file(encoder)
    vision = config["vision_cfg"] | {"output_tokens": False}  # which are for a captioning decoder only
    image_only = {"embed_dim": config["embed_dim"], "quick_gelu": config.get("quick_gelu", False)}
    clip = _build(encoder.architecture, {**image_only, "vision_cfg": vision, "text_cfg": SMALLEST_TEXT_TOWER})
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
            f"{path}: not a checkpoint of {encoder.architecture} ({_first_line(error)}); "
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


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
