"""decord, loaded late and alone."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from types import ModuleType


@functools.cache
def load_decord() -> ModuleType:
    """Import decord; to be called when the first video is opened, not before.

    What decord loads goes in front of whatever the process loads later: torch must come first, or its code for GPUs
    may crash. And decord2 loads all CUDA libraries that lie in the package ``nvidia``, for nothing, since frames are
    decoded on the CPU: each decoding process would take 700 MB and half a second more, and one of the libraries,
    libnvblas, would stand in for the matrix products of a torch that is loaded later, and crash.
    """
    with _without("nvidia"):
        import decord  # noqa: PLC0415

    decord.logging.set_level(decord.logging.QUIET)
    module: ModuleType = decord
    return module


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Nobody finds ``package`` within the block."""
    found = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules[package]
        if found is not None:
            sys.modules[package] = found
