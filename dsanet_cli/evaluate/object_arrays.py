"""Reads the ``.npy`` arrays of lists that the research repositories share, without running what is in them.

Such a file holds a pickle, and a pickle can name any function to call. Here the names that NumPy writes are
replaced by classes that only store their arguments; any other name is refused.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pickle
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.errors import SourceError
from dsanet_cli.features.files import open_array
from dsanet_cli.files.regular import open_regular

Value: TypeAlias = "str | int | float | list[Value]"

MAX_DEPTH = 6
MAX_VALUES = 1_000_000
"""Far more than any data set has; a small pickle can repeat one list a million times."""
LARGEST_NUMBER = 2**63
"""That a list may hold; larger ones take for ever to print, and no array takes them."""
LARGEST_PICKLE = 64 * 2**20
"""Bytes."""

_NUMBER_OR_TEXT = re.compile(r"[iu][1248]|f[248]|b1|U\d+")


class _RefusedError(Exception):
    """The pickle holds something other than lists of strings and numbers."""


def read_lists(path: Path) -> list[Value]:
    """Read a ``.npy`` file that holds numbers, strings, or (pickled) lists of them, as nested lists.

    Raises:
        SourceError: the file is missing, not such an array, or its pickle holds anything but lists of strings
            and numbers.

    """
    with _one_line_errors(path), open_regular(path) as stream:
        version = np.lib.format.read_magic(stream)
        shape, dtype = _read_header(stream, version)
        if dtype.hasobject:
            if os.fstat(stream.fileno()).st_size > LARGEST_PICKLE:
                raise _RefusedError(f"it is larger than {LARGEST_PICKLE // 2**20} MiB")
            values = _nested(_unpickle(stream.read()), shape)
        else:
            if math.prod(shape) > MAX_VALUES:
                raise _RefusedError("it holds too many values")
            values = open_array(path).tolist()
        checked = _Checker().check(values)
    if not isinstance(checked, list):
        raise SourceError(f"{path}: holds a single value, an array of lists is needed")
    return checked


def read_numbers(path: Path) -> NDArray[Any] | None:
    """A plain ``.npy`` file of numbers, read from the disk as it is used; None where it holds something else.

    Raises:
        SourceError: the file is missing or not an array that can be read without a pickle.

    """
    with _one_line_errors(path):
        values = open_array(path)
    return values if values.dtype.kind in "biuf" else None


@contextlib.contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except _RefusedError as error:
        raise SourceError(
            f"{path}: refused, nothing in it was run: {error}; an array of lists of strings and numbers is needed"
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give the file itself") from error
    except Exception as error:  # Damaged headers and pickles fail in a dozen ways.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{path}: not a readable .npy array ({reason}); fetch or save it again") from error


def _read_header(stream: IO[bytes], version: tuple[int, int]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"format version {version[0]}.{version[1]}")
    shape, _, dtype = readers[version](stream)
    return shape, dtype


class _Array:
    """Replaces ``numpy.ndarray`` and the function that creates one: stores its elements."""

    def __init__(self, *_: object) -> None:
        self.values: list[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, _, dtype, _, values = state
        if not isinstance(dtype, _Dtype) or dtype.code != "O8" or not isinstance(values, list):
            raise _RefusedError("it holds an array within the array")
        self.values = values


class _Dtype:
    """Replaces ``numpy.dtype``."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


class _Scalar:
    """Replaces the function that creates a NumPy number or string."""

    def __init__(self, dtype: _Dtype, data: bytes) -> None:
        if not (isinstance(dtype, _Dtype) and _NUMBER_OR_TEXT.fullmatch(dtype.code)):
            raise _RefusedError("it holds a NumPy value that is neither number nor string")
        order = dtype.order if dtype.order in "<>" else ""
        self.value: Value = np.frombuffer(data, np.dtype(order + dtype.code))[0].item()

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("it changes a NumPy number")


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    # NumPy 1 writes numpy.core, NumPy 2 numpy._core.
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy._core.multiarray", "scalar"): _Scalar,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> type:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise _RefusedError(f"it asks for {f'{module}.{name}'!r}") from None


def _unpickle(data: bytes) -> list[Any]:
    for operation, argument, _ in pickletools.genops(data):
        # The unpickler allocates as many references as the highest number says.
        if operation.name.endswith("PUT") and int(argument or 0) > len(data):
            raise ValueError("damaged pickle: a reference out of range")
    array = _Unpickler(io.BytesIO(data)).load()
    if not isinstance(array, _Array) or array.values is None:
        raise _RefusedError("it is not an array")
    return array.values


def _nested(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Nest the flat elements of an object array in lists, by its shape."""
    if len(values) != np.prod(shape, dtype=object):
        raise ValueError(f"{len(values)} elements for the shape {shape}")
    for length in reversed(shape[1:]):
        values = [values[i : i + length] for i in range(0, len(values), length)] if length else []
    return values


class _Checker:
    """Copies values that are lists of strings and numbers, and refuses all others."""

    def __init__(self) -> None:
        self.count = 0

    def check(self, value: object, depth: int = 0) -> Value:
        self.count += 1
        if self.count > MAX_VALUES or depth > MAX_DEPTH:
            raise _RefusedError("it holds too many lists, or too many within each other")
        if isinstance(value, _Scalar):
            return value.value
        if isinstance(value, int) and abs(value) >= LARGEST_NUMBER:
            raise _RefusedError("it holds a number beyond all bounds")
        if isinstance(value, str | int | float):
            return value
        if isinstance(value, list | tuple):
            return [self.check(item, depth + 1) for item in value]
        raise _RefusedError(f"it holds a {type(value).__name__.strip('_').lower()}")
