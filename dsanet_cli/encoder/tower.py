"""Image towers whose weights lie in a model directory: built, filled, checked and identified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.device import first_line
from dsanet_cli.errors import ModelError

if TYPE_CHECKING:
    import open_clip

VISUAL = "visual."
"""Prefix of the image tower in open_clip's state dict."""
INSIDE = "clipmodel."
"""Prefix of CLIP in a checkpoint of DSANet's authors."""


def load_image_tower(encoder: EncoderConfig, state: dict[str, torch.Tensor], where: Path) -> nn.Module:
    """The image tower of ``encoder`` holding exactly the tensors of ``state``.

    Raises:
        ModelError: names ``where`` and the entries that are missing, unknown or of another shape.
    """
    from dsanet_cli.encoder.clip import build_image_tower  # noqa: PLC0415 - seconds of import

    try:
        tower = build_image_tower(encoder, device="meta")
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error
    load_exactly(tower, state, where)
    return tower


def split_towers(clip: open_clip.CLIP) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """State dicts of the image tower, and of all else, in half precision where that loses nothing."""
    state = {name: _compact(tensor) for name, tensor in clip.state_dict().items()}
    image = {name.removeprefix(VISUAL): tensor for name, tensor in state.items() if name.startswith(VISUAL)}
    return image, {name: tensor for name, tensor in state.items() if not name.startswith(VISUAL)}


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    half = tensor.half()
    return half if (half.float() == tensor).all() else tensor


def tower_sha256(tower: nn.Module | Mapping[str, torch.Tensor]) -> str:
    """SHA-256 (hex) over names, shapes and float32 values of a tower's tensors, whichever format they are stored in."""
    digest = hashlib.sha256()
    state = tower.state_dict() if isinstance(tower, nn.Module) else tower
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def check_tower(tower: nn.Module, crop: tuple[int, int], width: int, where: Path) -> None:
    """Make sure, with one black frame, that a tower of a configuration of one's own gives features.

    Raises:
        ModelError: it takes no frames of ``crop`` pixels (height, width), or gives no ``width`` finite numbers.
    """
    try:
        features: torch.Tensor = tower(torch.zeros(1, 3, *crop))
    except Exception as error:  # whatever its parts raise at numbers that do not fit each other
        raise ModelError(f"{where}: encodes no frames of {crop} pixels ({first_line(error)})") from error
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
