"""Image towers where they compute: by torch on its devices, by OpenVINO on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dsanet_cli.config import Preprocessing
from dsanet_cli.encoder.device import Device, torch_device, uses_openvino


@dataclass(frozen=True)
class PlacedTower:
    """A tower that is ready to be called."""

    tower: Callable[[Tensor], Tensor]
    """(n, 3, h, w) normalised images to (n, D) features."""
    device: torch.device
    """On which it takes images."""
    dtype: torch.dtype
    """In which it takes them."""
    lanes: int
    """Batches that it works on side by side."""
    exact: bool = True
    """Whether it is torch's, with which others are compared."""
    may_move: bool = True
    """Whether the CPU can take over where it fails."""
    notice: str | None = None
    """For the person who watches."""


def place_tower(module: nn.Module, preprocessing: Preprocessing, device: Device, dtype: torch.dtype) -> PlacedTower:
    """Get a tower ready.

    Args:
        module: Float32, on the CPU; may be moved.
        preprocessing: Of its frames.
        device: Where to compute.
        dtype: Number format; ``int8`` is OpenVINO's alone.

    Raises:
        UsageError: OpenVINO cannot take it, or what it makes of it differs too much.
    """
    if uses_openvino(device, dtype):
        return _place_in_openvino(module, preprocessing, device, dtype)
    place = torch_device(device)
    # Pictures come as (n, H, W, 3), which convolutions also work on fastest.
    module = module.to(device=place, dtype=dtype).to(memory_format=torch.channels_last).eval()
    return PlacedTower(module, place, dtype, {"cpu": torch.get_num_threads(), "cuda": 2}.get(place.type, 1))


def _place_in_openvino(
    module: nn.Module, preprocessing: Preprocessing, device: Device, dtype: torch.dtype
) -> PlacedTower:
    from dsanet_cli.encoder.openvino_tower import open_tower  # noqa: PLC0415  (an extra)

    tower, notice = open_tower(module, preprocessing, device, dtype)
    return PlacedTower(
        tower,
        torch.device("cpu"),
        torch.float32,
        tower.lanes,
        exact=False,
        may_move=tower.device != "CPU",
        notice=notice,
    )
