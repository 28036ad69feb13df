"""A mask that hides parts of the picture: a picture that is laid over it, and where that is black, nothing is seen."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dsanet_cli.errors import UsageError
from dsanet_cli.files.regular import read_regular

LARGEST_FILE = 2**26
"""Bytes."""
LONGEST_SIDE = 16384
"""Pixels; a limit of the scaler."""
BETWEEN = 0.125, 0.875
"""Darkness of pixels that are neither black nor white."""
MOST_BETWEEN = 0.05
"""Share of such pixels, as smooth edges have them; with more of them it is a photo."""
CONVENTION = "paint black what is to be hidden, and leave the rest white or transparent"


@dataclass(frozen=True)
class Mask:
    """What of a picture is hidden.

    Args:
        name: Of the file that it is from.
        height: Of the mask, in pixels; it is stretched over pictures of any size.
        width: The same.
        bits: A bit for each pixel, row after row, eight in a byte; set where the picture is hidden.
    """

    name: str = field(compare=False)
    height: int
    width: int
    bits: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Mask:
        """Read a mask from a PNG, or what else PyAV decodes: black hides; white, colours and transparency do not.

        Raises:
            UsageError: the file cannot be read, is no picture or a photo, or hides nothing or everything.
        """
        name = os.fspath(path)
        dark = _darkness(name)
        low, high = BETWEEN
        if ((dark > low) & (dark < high)).mean() > MOST_BETWEEN:
            raise _fault(name, "has many pixels that are neither black nor white")
        hidden = dark >= 0.5
        if hidden.all():
            raise _fault(name, "is black everywhere, so that nothing would be left")
        if not hidden.any():
            raise _fault(name, "is black nowhere, so that it hides nothing")
        height, width = hidden.shape
        return cls(name, height, width, np.packbits(hidden).tobytes())

    @cached_property
    def sha256(self) -> str:
        """Of its size and of what it hides (hex); the same however the picture was saved."""
        return hashlib.sha256(f"{self.width}x{self.height}:".encode() + self.bits).hexdigest()

    def hidden(self, height: int, width: int) -> NDArray[np.bool_]:
        """Which pixels (height, width) of a picture of that size are hidden."""
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.height * self.width)
        rows, columns = _centres(height, self.height), _centres(width, self.width)
        return flat.reshape(self.height, self.width)[np.ix_(rows, columns)].astype(bool)


def _centres(wanted: int, there: int) -> NDArray[np.int64]:
    """Which of ``there`` pixels in a line the centres of ``wanted`` ones lie in."""
    return (2 * np.arange(wanted) + 1) * there // (2 * wanted)


def _darkness(name: str) -> NDArray[np.float32]:
    """How much of what lies below a picture it hides: (H, W), from 0, white or transparent, to 1, black.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        content = read_regular(Path(name), LARGEST_FILE)
        with av.open(io.BytesIO(content), mode="r", metadata_errors="replace") as container:
            stream = container.streams.video[0]
            if max(stream.width, stream.height) > LONGEST_SIDE:
                raise _fault(name, f"has more than {LONGEST_SIDE} pixels a side")
            frame = next(container.decode(stream))
            pixels = frame.to_ndarray(format="rgba").astype(np.float32) / 255
    except av.FFmpegError as error:
        raise _fault(name, "is not a picture that can be read") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"mask {name}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    except (IndexError, StopIteration) as error:
        raise _fault(name, "holds no picture") from error
    dark: NDArray[np.float32] = pixels[..., 3] * (1 - pixels[..., :3].max(axis=2))
    return dark


def _fault(name: str, what: str) -> UsageError:
    return UsageError(f"mask {name}: {what}; {CONVENTION}")
