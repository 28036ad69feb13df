"""Where the encoder runs, and in which number format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from dsanet_cli.encoder import openvino_library
from dsanet_cli.errors import UsageError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.int8}
_OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED", "can't allocate memory")


@dataclass(frozen=True)
class OpenvinoDevice:
    """A device that OpenVINO computes on."""

    name: str
    """``CPU``, ``GPU``, ``GPU.1``, ``NPU``: as OpenVINO calls it."""
    type: ClassVar[str] = "openvino"

    def __str__(self) -> str:
        return f"openvino:{self.name}"


Device = torch.device | OpenvinoDevice
"""Where frames are encoded."""


def choose_encoder_device(name: str) -> Device:
    """The device for a name that ``choose_device`` knows, or for ``openvino:NAME``.

    Raises:
        UsageError: no such device here, or OpenVINO is not installed.
    """
    kind, _, rest = name.partition(":")
    if kind != OpenvinoDevice.type:
        return choose_device(name)
    openvino_library.check_installed(f"--device {name}")
    present = openvino_library.devices()
    if rest.upper() not in present:
        known = ", ".join(f"{kind}:{each}" for each in present)
        raise UsageError(f"--device {name}: not available on this machine; OpenVINO finds {known}")
    return OpenvinoDevice(rest.upper())


def torch_device(device: Device) -> torch.device:
    """Where torch computes what goes before and after an encoder on ``device``."""
    return device if isinstance(device, torch.device) else torch.device("cpu")


def uses_openvino(device: Device, dtype: torch.dtype) -> bool:
    """Whether OpenVINO encodes: torch has nothing for int8."""
    return isinstance(device, OpenvinoDevice) or dtype == torch.int8


def choose_device(name: str) -> torch.device:
    """The torch device for ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name}: not a device; use auto, cpu, cuda, cuda:N or mps") from error
    present = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise UsageError(f"--device {name}: not available on this machine; use --device auto")
    return device


def choose_precision(name: str, device: Device) -> torch.dtype:
    """The encoder's number format.

    ``auto`` is bfloat16 where the hardware is known to multiply in it, float16 on OpenVINO's devices other than CPUs,
    else float32.

    Raises:
        UsageError: an unknown name, or a format that the device does not have.
    """
    if name != "auto" and name not in PRECISIONS:
        raise UsageError(f"--precision {name}: use auto, {', '.join(PRECISIONS)}")
    if isinstance(device, OpenvinoDevice):
        return _choose_openvino_precision(name, device)
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    if name == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16: not on a CPU; use bf16 or fp32")
    if name == "int8":
        if device.type != "cpu":
            raise UsageError(f"--precision int8: not on {device}; add --device cpu, or use bf16 or fp16 there")
        openvino_library.check_installed("--precision int8")
    return PRECISIONS[name]


def _choose_openvino_precision(name: str, device: OpenvinoDevice) -> torch.dtype:
    known = openvino_library.precisions(device.name)
    if name == "auto":
        return PRECISIONS[next(each for each in ("bf16", "fp16", "fp32", "int8") if each in known)]
    if name not in known:
        raise UsageError(f"--precision {name}: not on {device}; use auto, {', '.join(known)}")
    return PRECISIONS[name]


def precision_name(dtype: torch.dtype) -> str:
    """``fp32``, ``bf16``, ``fp16`` or ``int8``."""
    return next(name for name, known in PRECISIONS.items() if known == dtype)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the CPU, had too little memory; libraries say it in several ways."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


def is_device_failure(error: RuntimeError, device: Device) -> bool:
    """Whether something failed on a device that the CPU can do in its place."""
    return device.type != "cpu" or "CUDA error" in str(error)


def first_line(error: BaseException) -> str:
    """What an error of a library says; advice for programmers follows in further lines."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        ask = getattr(torch.cpu, "get_capabilities", None)  # there from torch 2.11 on
        capabilities = ask() if ask else {}
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False
