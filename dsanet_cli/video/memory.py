"""Frames that are in memory already, from a camera, an array or another decoder, as the snippets of a video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from dsanet_cli.errors import VideoError
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.probe import Orientation, Picture
from dsanet_cli.video.reader import Snippet, sample_offsets
from dsanet_cli.video.scaler import Moment, Scaler
from dsanet_cli.video.spans import SpanLine
from dsanet_cli.video.view import View, check_view

LONGEST_SIDE = 16384
"""Pixels; a limit of the scaler."""
LATEST = 1e10
"""Seconds; what results can say."""


class MemoryReader:
    """Reads frames as ``VideoReader`` does a file; they are resized as they come, so that none is kept.

    Args:
        frames: Of (time in seconds, (H, W, 3) uint8 RGB), in order of time, each of any size.
        name: What to call them in messages.
        size: (height, width) in pixels of the pictures delivered.
        sampled_frames: Pictures delivered per snippet.
        line: Says which snippet each frame belongs to; no frame has come to it yet.
        options: What is looked at of them.
    """

    def __init__(
        self,
        frames: Iterable[tuple[float, NDArray[np.uint8]]],
        name: str,
        size: tuple[int, int],
        sampled_frames: int,
        line: SpanLine,
        options: ReadOptions = WHOLE,
    ) -> None:
        self._frames = frames
        self._name = name
        self._options = options
        self._scaler = Scaler(size, View.of(options, Orientation()))
        self._sampled_frames = sampled_frames
        self._line = line
        self._waiting: dict[int, Picture] = {}
        """Pictures of the snippet that is not complete, by the numbers of their frames."""
        self.count = 0
        self.start = self.end = 0.0
        """Seconds; the last frame lasts as long as the one before it."""
        self.size = (0, 0)
        """(height, width) of the first frame."""

    def snippets(self) -> Iterator[Snippet]:
        """Take all frames; a snippet is known to be whole when the frame after it comes.

        Raises:
            VideoError: there is no frame, or one is of another type or shape, or comes before the one before it; or
                region or mask do not go with them.
        """
        last, lasted = -math.inf, 0.0
        for item in self._frames:
            time, frame = self._checked(item, last)
            if self.count == 0:
                self.start, self.size = time, (frame.shape[0], frame.shape[1])
                check_view(Path(self._name), self._options, *self.size)
            else:
                lasted = time - last
            number = self._line.add(time)
            self._waiting[number] = self._scaler.picture(Moment(VideoFrame.from_ndarray(frame, "rgb24")))
            yield from self._complete()
            self.count += 1
            last = time
        if self.count == 0:
            raise VideoError(f"{self._name}: no frames; give at least one (time in seconds, picture)")
        self.end = last + lasted
        self._line.finish(self.end)
        yield from self._complete()

    def _complete(self) -> Iterator[Snippet]:
        """The snippets that have become complete, whose pictures are then forgotten."""
        for span in self._line.complete:
            offsets = sample_offsets(len(span.numbers), self._sampled_frames)
            pictures = np.stack([self._waiting[span.numbers[offset]] for offset in offsets])
            yield Snippet(span.index, span.start, span.end, span.length, pictures, span.whole)
        self._line.complete.clear()
        for number in [number for number in self._waiting if number < self._line.settled]:
            del self._waiting[number]

    def _checked(self, item: Any, last: float) -> tuple[float, Picture]:
        where = f"{self._name}: frame {self.count}"
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise VideoError(f"{where} is a {type(item).__name__}; give pairs of (time in seconds, picture)")
        time, frame = item
        if not isinstance(time, Real) or not abs(float(time)) <= LATEST:
            raise VideoError(f"{where} has the time {str(time)[:30]}; give seconds")
        if float(time) < last:
            raise VideoError(f"{where} is at {float(time):g} s, before the one at {last:g} s; give frames in order")
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            found = frame.dtype if isinstance(frame, np.ndarray) else type(frame).__name__
            raise VideoError(f"{where} is of type {found}; give a NumPy array of uint8")
        if frame.ndim != 3 or frame.shape[2] != 3 or not 0 < min(frame.shape) <= max(frame.shape) <= LONGEST_SIDE:
            raise VideoError(f"{where} has the shape {frame.shape}; give (height, width, 3), RGB")
        return float(time), np.ascontiguousarray(frame)
