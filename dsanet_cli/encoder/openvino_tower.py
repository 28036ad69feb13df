"""An image tower that OpenVINO computes; it is called as the one of torch is."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dsanet_cli.config import Preprocessing
from dsanet_cli.encoder import openvino_library
from dsanet_cli.encoder.calibration import calibration_frames
from dsanet_cli.encoder.choices import CENTRE_CROP
from dsanet_cli.encoder.device import Device, OpenvinoDevice, choose_precision, first_line, precision_name, torch_device
from dsanet_cli.encoder.graph_maker import Job
from dsanet_cli.encoder.graph_store import graph_of
from dsanet_cli.encoder.images import crop_images, normalise_images
from dsanet_cli.encoder.trial import FRAMES, check_agreement
from dsanet_cli.errors import UsageError

CPU = "CPU"
_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class OpenvinoTower:
    """A compiled graph for images one at a time, so that a frame's features depend on no other.

    On a CPU each of ``lanes`` images is computed by a single thread, as torch does it here, and no thread is bound to
    a core, since decoders need them too. Elsewhere the device says how many images it wants at once.

    Args:
        graph: (1, 3, h, w) float32 to (1, D).
        device: As OpenVINO calls it.
        dtype: Number format of what is not quantised.

    Raises:
        UsageError: the device cannot take the graph.
    """

    def __init__(self, graph: Any, device: str, dtype: torch.dtype) -> None:
        self.device = device
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _HINTS[dtype]}
        if device == CPU:
            threads = torch.get_num_threads()
            settings |= {"NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        else:
            settings |= {"PERFORMANCE_HINT": "THROUGHPUT"}
        try:
            compiled = openvino_library.core().compile_model(graph, device, settings)
            self.lanes = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            requests = [compiled.create_infer_request() for _ in range(self.lanes)]
        except RuntimeError as error:
            raise UsageError(
                f"--device openvino:{device}: cannot take this encoder ({first_line(error)}); use --device cpu"
            ) from error
        self._width = int(compiled.output(0).shape[1])
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for request in requests:
            self._free.put(request)

    def __call__(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) float32 normalised images on the CPU to (n, D) float32 features."""
        features = np.empty((len(images), self._width), np.float32)
        request = self._free.get()
        try:
            for row, image in zip(features, images, strict=True):
                row[:] = request.infer([np.ascontiguousarray(image[None].numpy())], share_inputs=True)[0]
        finally:
            self._free.put(request)
        return torch.from_numpy(features)


def open_tower(
    module: nn.Module, preprocessing: Preprocessing, device: Device, dtype: torch.dtype
) -> tuple[OpenvinoTower, str | None]:
    """The tower that computes what ``module`` does, and a line for the person who watches, if there is any.

    Args:
        module: Float32, on the CPU.
        preprocessing: Of its frames.
        device: The CPU, or one of OpenVINO's.
        dtype: ``int8``, or what the device has besides.

    Raises:
        UsageError: OpenVINO cannot take it, or what it makes of it differs too much on the frames of calibration.
    """
    name = device.name if isinstance(device, OpenvinoDevice) else CPU
    images = _calibration_images(preprocessing)

    def accept(graph: Any) -> None:
        few = images[:: -(-len(images) // FRAMES)]
        features = OpenvinoTower(graph, name, _inner(graph, device, dtype))(few)
        check_agreement(features.numpy(), _exact(module, few), precision_name(dtype), "the samples")

    quantised = dtype == torch.int8
    kept = graph_of(Job(module.eval(), images if quantised else images[:1], quantised), accept)
    return OpenvinoTower(kept.graph, name, _inner(kept.graph, device, dtype)), kept.notice


def _inner(graph: Any, device: Device, dtype: torch.dtype) -> torch.dtype:
    """The number format of what is not quantised: the fastest, unless layers are left for being delicate."""
    if dtype != torch.int8:
        return dtype
    delicate = any(layer.get_type_name() == "GroupConvolution" for layer in graph.get_ops())
    on_cpu = torch_device(device) == device or device == OpenvinoDevice(CPU)
    return torch.float32 if delicate and on_cpu else choose_precision("auto", device)


def _calibration_images(preprocessing: Preprocessing) -> Tensor:
    frames = torch.from_numpy(calibration_frames(preprocessing.resize)).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(said).view(1, 3, 1, 1) for said in (preprocessing.mean, preprocessing.std))
    return normalise_images(crop_images(frames, preprocessing.crop, CENTRE_CROP), mean, std).contiguous()


@torch.inference_mode()
def _exact(module: nn.Module, images: Tensor) -> NDArray[np.float32]:
    features: Tensor = module(images)
    return features.numpy()
