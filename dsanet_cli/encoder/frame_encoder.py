"""Frames to features: one batched step on the device, crop and normalisation included."""

from __future__ import annotations

import contextlib
import copy
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsanet_cli.config import Preprocessing
from dsanet_cli.encoder.choices import CENTRE_CROP
from dsanet_cli.encoder.device import first_line, is_device_failure, is_out_of_memory
from dsanet_cli.encoder.folding import fold_batch_norms
from dsanet_cli.errors import UsageError

_ONE_AT_A_TIME = threading.Lock()


class _Tower:
    """An image tower where it is, with what it takes to feed it."""

    def __init__(
        self, module: nn.Module, preprocessing: Preprocessing, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.device = device
        self.dtype = dtype
        # Pictures come as (n, H, W, 3), which convolutions also work on fastest.
        self._module = module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last).eval()
        self._crop = preprocessing.crop
        self._mean = torch.tensor(preprocessing.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std, device=device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def encode(self, frames: NDArray[np.uint8], crop: int) -> NDArray[np.float32]:
        # Copied as they are: rearranging and cropping is quicker on a GPU.
        images = torch.from_numpy(frames).to(self.device).permute(0, 3, 1, 2)
        features = self.embed(self.normalise(crop_images(images, self._crop, crop)))
        return features.float().cpu().numpy()

    def normalise(self, images: Tensor) -> Tensor:
        return ((images.float() / 255 - self._mean) / self._std).to(self.dtype)

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        features: Tensor = self._module(images.to(self.device, self.dtype))
        return features


class FrameEncoder:
    """A CLIP image tower with its preprocessing, ready on one device.

    ``lanes`` batches are encoded side by side: on a CPU one per thread, each by a single thread, which is faster
    than all threads on one batch and makes a frame's features independent of its place in it; on a GPU two, so
    that the pictures of one are copied while the other is encoded. Batch norms are folded into the convolutions.

    Where a batch does not fit the device's memory, it is encoded in halves, and so are all after it. Where the device
    fails, a copy of the tower goes on on the CPU. ``notices`` then holds a line for the person who watches.
    """

    def __init__(
        self,
        tower: nn.Module,
        preprocessing: Preprocessing,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.preprocessing = preprocessing
        tower = fold_batch_norms(tower)
        # Nothing can be copied back from a GPU that has failed.
        self._spare: nn.Module | None = tower if device.type == "cpu" else copy.deepcopy(tower)
        self._tower = _Tower(tower, preprocessing, device, dtype)
        self._most = sys.maxsize
        self._threads = torch.get_num_threads()  # lanes have a number of their own
        self._lock = threading.Lock()
        self.notices: deque[str] = deque()
        self.failure: str | None = None
        """What the device failed with, other than a lack of memory, once the CPU has taken over."""
        self._open_lanes({"cpu": self._threads, "cuda": 2}.get(device.type, 1))

    @property
    def device(self) -> torch.device:
        """Where frames are encoded, as things stand."""
        return self._tower.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the tower."""
        return self._tower.dtype

    def close(self) -> None:
        """End the lanes, once they are done."""
        self._pool.shutdown()

    def submit(self, frames: NDArray[np.uint8], crop: int = CENTRE_CROP) -> Future[NDArray[np.float32]]:
        """``encode`` in the next free lane."""
        future: Future[NDArray[np.float32]] = self._pool.submit(self.encode, frames, crop)
        return future

    def at_once(self, batch_size: int) -> int:
        """How many frames of a batch of ``batch_size`` are encoded at once, as things stand."""
        return min(batch_size, self._most)

    def encode(self, frames: NDArray[np.uint8], crop: int = CENTRE_CROP) -> NDArray[np.float32]:
        """CLIP image features, after the projection and not normalised (protocol: features).

        Args:
            frames: (n, H, W, 3) uint8 RGB, already at the model's resize size.
            crop: Which of the ten crops to take.

        Returns:
            (n, D) float32.

        Raises:
            UsageError: not even one frame fits the memory, of the CPU either.
        """
        parts: list[NDArray[np.float32]] = []
        done = 0
        while done < len(frames) or not parts:
            part = frames[done : done + self._most]
            if (features := self._attempt(part, crop)) is not None:
                parts.append(features)
                done += len(part)
        return np.concatenate(parts)

    def normalise(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 to the tower's normalised input in its number format."""
        return self._tower.normalise(images)

    def embed(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) normalised images to (n, D) features, in the tower's number format."""
        return self._tower.embed(images)

    def _attempt(self, frames: NDArray[np.uint8], crop: int) -> NDArray[np.float32] | None:
        """The features of frames; None where it has to be tried again, with fewer of them or elsewhere.

        What was computed on the way must not outlive the ``except``, or it stays in the device's memory.
        """
        tower = self._tower
        try:
            return tower.encode(frames, crop)
        except RuntimeError as error:
            if is_out_of_memory(error):
                self._halve(tower, len(frames))
            else:
                reason = first_line(error)
                if not is_device_failure(error, tower.device) or not self._move(tower, reason):
                    raise
                self.failure = self.failure or reason
        if tower.device.type == "cuda":
            with contextlib.suppress(RuntimeError):
                torch.cuda.empty_cache()
        return None

    def _halve(self, tower: _Tower, size: int) -> None:
        if size <= 1:
            reason = "not even one frame fits its memory"
            if not self._move(tower, reason):
                raise UsageError(f"{tower.device}: {reason}; free some, or choose another --device") from None
            return
        with self._lock:
            if size // 2 < self._most:
                self._most = size // 2
                self.notices.append(
                    f"{size} frames at once do not fit the memory of {tower.device}; going on with {self._most}"
                )

    def _move(self, tower: _Tower, reason: str) -> bool:
        """Let the CPU take over from a tower that failed; False where that has been tried."""
        with self._lock:
            if self._tower is not tower:  # by another lane
                return True
            if self._spare is None:
                return False
            dtype = torch.float32 if tower.dtype == torch.float16 else tower.dtype
            self._tower = _Tower(self._spare, self.preprocessing, torch.device("cpu"), dtype)
            self._spare = None
            self._open_lanes(self._threads)
            self.notices.append(f"{tower.device} failed ({reason}); encoding goes on on the CPU, which is slower")
            return True

    def _open_lanes(self, lanes: int) -> None:
        self.lanes = lanes
        self._pool = ThreadPoolExecutor(lanes, "encoder", initializer=_prepare_lane, initargs=(self.device,))


def _prepare_lane(device: torch.device) -> None:
    """Set up the calling thread as a lane."""
    _compute_alone()
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


def _compute_alone() -> None:
    """Let the calling thread compute without others, and leave those of the host program as they are.

    ``torch.set_num_threads`` counts for the thread that calls it, and for all that have not computed yet. So a thread
    that nobody needs sets the latter back.
    """
    with _ONE_AT_A_TIME:
        others = torch.get_num_threads()  # asking also sets up this thread, which would be done later otherwise
        torch.set_num_threads(1)
        resetter = threading.Thread(target=torch.set_num_threads, args=(others,))
        resetter.start()
        resetter.join()


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
