"""Frames to features: one batched step on the device, crop and normalisation included."""

from __future__ import annotations

import contextlib
import copy
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsanet_cli.config import Preprocessing
from dsanet_cli.encoder.choices import CENTRE_CROP
from dsanet_cli.encoder.device import Device, first_line, is_device_failure, is_out_of_memory, precision_name
from dsanet_cli.encoder.folding import fold_batch_norms
from dsanet_cli.encoder.images import crop_images, normalise_images
from dsanet_cli.encoder.placing import place_tower
from dsanet_cli.encoder.trial import check_agreement, some_frames
from dsanet_cli.errors import UsageError

_CPU = torch.device("cpu")
_ONE_AT_A_TIME = threading.Lock()


class _Tower:
    """An image tower where it is, with what it takes to feed it."""

    def __init__(self, module: nn.Module, preprocessing: Preprocessing, device: Device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        self.placed = place_tower(module, preprocessing, device, dtype)
        self._crop = preprocessing.crop
        self._mean = torch.tensor(preprocessing.mean, device=self.placed.device).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std, device=self.placed.device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def encode(self, frames: NDArray[np.uint8], crop: int) -> NDArray[np.float32]:
        # Copied as they are: rearranging and cropping is quicker on a GPU.
        images = torch.from_numpy(frames).to(self.placed.device).permute(0, 3, 1, 2)
        features = self.embed(self.normalise(crop_images(images, self._crop, crop)))
        return features.float().cpu().numpy()

    def normalise(self, images: Tensor) -> Tensor:
        return normalise_images(images, self._mean, self._std).to(self.placed.dtype)

    @torch.inference_mode()
    def embed(self, images: Tensor) -> Tensor:
        return self.placed.tower(images.to(self.placed.device, self.placed.dtype))


class FrameEncoder:
    """A CLIP image tower with its preprocessing, ready on one device.

    ``lanes`` batches are encoded side by side: on a CPU one per thread, each by a single thread, which is faster
    than all threads on one batch and makes a frame's features independent of its place in it; on a GPU two, so
    that the pictures of one are copied while the other is encoded. Batch norms are folded into the convolutions.

    Where a batch does not fit the device's memory, it is encoded in halves, and so are all after it. Where the device
    fails, a copy of the tower goes on on the CPU. ``notices`` then holds a line for the person who watches.

    What OpenVINO computes is compared with the exact tower on the first frames that come, before it is trusted.

    Raises:
        UsageError: OpenVINO cannot take the tower, or what it makes of it differs too much.
    """

    def __init__(
        self,
        tower: nn.Module,
        preprocessing: Preprocessing,
        device: Device,
        dtype: torch.dtype,
    ) -> None:
        self.preprocessing = preprocessing
        tower = fold_batch_norms(tower)
        # Nothing can be copied back from a GPU that has failed.
        self._spare: nn.Module | None = copy.deepcopy(tower) if device.type in ("cuda", "mps") else tower
        self._tower = _Tower(tower, preprocessing, device, dtype)
        self._exact = None if self._tower.placed.exact else _Tower(tower, preprocessing, _CPU, torch.float32)
        """What is yet to be compared with."""
        self._trying = threading.Lock()
        self._most = sys.maxsize
        self._threads = torch.get_num_threads()  # lanes have a number of their own
        self._lock = threading.Lock()
        self.notices: deque[str] = deque(filter(None, [self._tower.placed.notice]))
        self.failure: str | None = None
        """What the device failed with, other than a lack of memory, once the CPU has taken over."""
        self._open_lanes(self._tower.placed.lanes)

    @property
    def device(self) -> Device:
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
        """``encode`` in the next free lane.

        Raises:
            UsageError: an encoder of OpenVINO differs too much from the exact one; nothing must be made with it.
        """
        self._try_on(frames, crop)
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
            UsageError: not even one frame fits the memory, of the CPU either; or an encoder of OpenVINO differs too
                much from the exact one.
        """
        self._try_on(frames, crop)
        return self._encode(frames, crop)

    def _encode(self, frames: NDArray[np.uint8], crop: int) -> NDArray[np.float32]:
        parts: list[NDArray[np.float32]] = []
        done = 0
        while done < len(frames) or not parts:
            part = frames[done : done + self._most]
            if (features := self._attempt(part, crop)) is not None:
                parts.append(features)
                done += len(part)
        return np.concatenate(parts)

    def _try_on(self, frames: NDArray[np.uint8], crop: int) -> None:
        """Before the first frames are encoded: make sure that an encoder of OpenVINO does it as the exact one does."""
        if self._exact is None:
            return
        with self._trying:
            if self._exact is not None and len(frames):
                few = some_frames(frames)
                precision = precision_name(self.dtype)
                check_agreement(self._encode(few, crop), self._exact.encode(few, crop), precision, "the first video")
                self._exact = None
                if not self._tower.placed.may_move:
                    self._spare = None  # much memory for nothing

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
            dtype = torch.bfloat16 if tower.dtype == torch.bfloat16 else torch.float32
            self._tower = _Tower(self._spare, self.preprocessing, _CPU, dtype)
            self._spare = None
            self._open_lanes(self._threads)
            self.notices.append(f"{tower.device} failed ({reason}); encoding goes on on the CPU, which is slower")
            return True

    def _open_lanes(self, lanes: int) -> None:
        self.lanes = lanes
        self._pool = ThreadPoolExecutor(lanes, "encoder", initializer=_prepare_lane, initargs=(self.device,))


def _prepare_lane(device: Device) -> None:
    """Set up the calling thread as a lane."""
    _compute_alone()
    if isinstance(device, torch.device) and device.type == "cuda":
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
