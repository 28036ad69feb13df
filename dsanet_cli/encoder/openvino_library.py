"""OpenVINO, an extra: whether it is there, and its modules without what reports their use to their makers."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Iterator
from typing import Any

from dsanet_cli.errors import UsageError

EXTRA = "openvino", "nncf"
"""The packages of the extra."""
TELEMETRY = "openvino_telemetry"
_CAPABILITIES = {"FP32": "fp32", "BF16": "bf16", "FP16": "fp16", "INT8": "int8"}
_importing = threading.Lock()


def check_installed(option: str) -> None:
    """Make sure that the extra is there; ``option`` needs it.

    Raises:
        UsageError: it is not.
    """
    if any(importlib.util.find_spec(name) is None for name in EXTRA):
        raise UsageError(f"{option}: OpenVINO is not installed; pip install 'dsanet-cli[openvino]'")


def versions() -> str:
    """Of the packages of the extra."""
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in EXTRA)


def load(name: str = "openvino") -> Any:
    """The module ``name`` of the extra.

    Each import and use would be reported over the network, unless the package that does so is missing; so it is,
    while the import lasts.
    """
    with _importing, _without_telemetry():
        return importlib.import_module(name)


@functools.cache
def core() -> Any:
    """What finds devices and compiles for them; one serves all."""
    return load().Core()


def devices() -> tuple[str, ...]:
    """The devices of this machine, as OpenVINO calls them."""
    return tuple(core().available_devices)


def precisions(device: str) -> tuple[str, ...]:
    """Number formats in which ``device`` computes, by the names that the program has for them."""
    capabilities = core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    # A CPU is said to have float16 where it only stores it.
    return tuple(
        name for said, name in _CAPABILITIES.items() if said in capabilities and (name, device) != ("fp16", "CPU")
    )


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    hidden = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # which makes its import fail
    try:
        yield
    finally:
        if hidden is None:
            del sys.modules[TELEMETRY]
        else:
            sys.modules[TELEMETRY] = hidden
