"""Frames to features: one batched step on the device, crop and normalisation included."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsanet_cli.config import Preprocessing
from dsanet_cli.errors import UsageError

CENTRE_CROP = 0
TEN_CROPS = tuple(range(10))
"""Centre, top left, top right, bottom left, bottom right; 5 to 9 the same mirrored left to right."""


class FrameEncoder:
    """A CLIP image tower with its preprocessing, ready on one device.

    ``lanes`` batches are encoded side by side: on a CPU one per thread, each by a single thread, which is faster
    than all threads on one batch and makes a frame's features independent of its place in it; on a GPU two, so
    that the pictures of one are copied while the other is encoded.
    """

    def __init__(
        self,
        tower: nn.Module,
        preprocessing: Preprocessing,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.preprocessing = preprocessing
        self.device = device
        self.dtype = dtype
        self._tower = tower.to(device=device, dtype=dtype).eval()
        self._mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)
        self.lanes = {"cpu": torch.get_num_threads(), "cuda": 2}.get(device.type, 1)
        self._pool = ThreadPoolExecutor(self.lanes, "encoder", initializer=_prepare_lane, initargs=(device,))

    def submit(self, frames: NDArray[np.uint8], crop: int = CENTRE_CROP) -> Future[NDArray[np.float32]]:
        """``encode`` in the next free lane."""
        future: Future[NDArray[np.float32]] = self._pool.submit(self.encode, frames, crop)
        return future

    @torch.inference_mode()
    def encode(self, frames: NDArray[np.uint8], crop: int = CENTRE_CROP) -> NDArray[np.float32]:
        """CLIP image features, after the projection and not normalised (protocol: features).

        Args:
            frames: (n, H, W, 3) uint8 RGB, already at the model's resize size.
            crop: Which of the ten crops to take.

        Returns:
            (n, D) float32.

        Raises:
            UsageError: the batch does not fit the device's memory.
        """
        try:
            # Copied as they are: rearranging and cropping is quicker on a GPU.
            images = torch.from_numpy(frames).to(self.device).permute(0, 3, 1, 2)
            features = self.embed(self.normalise(crop_images(images, self.preprocessing.crop, crop)))
            return features.float().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"{len(frames)} frames at once do not fit the memory of {self.device}; choose a smaller --batch-size"
            ) from error

    def normalise(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 to the tower's normalised input in its number format."""
        return ((images.float() / 255 - self._mean) / self._std).to(self.dtype)

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) normalised images to (n, D) features, in the tower's number format."""
        features: Tensor = self._tower(images.to(self.device, self.dtype))
        return features


def _prepare_lane(device: torch.device) -> None:
    """Set up the calling thread as a lane."""
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


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
