"""Fills tensors from their published names, so that reference values need no weight file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor


def fill_tensor(name: str, shape: Iterable[int]) -> Tensor:
    """The float32 tensor that the reference values were made with, for one published name."""
    shape = tuple(shape)
    rng = np.random.default_rng(zlib.crc32(f"0:{name}".encode()))
    if len(shape) == 0:
        return torch.tensor(0.1)
    if len(shape) == 1:
        is_norm_weight = name.endswith("weight") and any(part in name for part in ("ln_", ".ln", "norm"))
        values = float(is_norm_weight) + 0.02 * rng.standard_normal(shape)
    else:
        values = 0.5 * rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32))


def filled_state_dict(shapes: Mapping[str, Iterable[int]], prefix: str = "") -> dict[str, Tensor]:
    """A state dict with each entry filled by ``prefix`` + its name (the prefix is not in the keys)."""
    return {name: fill_tensor(prefix + name, shape) for name, shape in shapes.items()}
