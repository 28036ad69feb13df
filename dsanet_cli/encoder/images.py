"""Frames as an image tower takes them: cropped and normalised."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def crop_images(images: Tensor, size: Sequence[int], crop: int) -> Tensor:
    """One of the ten crops of (n, 3, H, W) images, as (n, 3, h, w)."""
    (height, width), (h, w) = images.shape[2:], size
    top, left = {
        0: ((height - h) // 2, (width - w) // 2),
        1: (0, 0),
        2: (0, width - w),
        3: (height - h, 0),
        4: (height - h, width - w),
    }[crop % 5]
    cropped = images[:, :, top : top + h, left : left + w]
    return cropped.flip(3) if crop >= 5 else cropped


def normalise_images(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(n, 3, h, w) uint8 to float32; mean and deviation are (1, 3, 1, 1), of colours from 0 to 1."""
    return (images.float() / 255 - mean) / std
