"""What a video file holds, found out by reading through it without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

from dsanet_cli.container import COPY_AGAIN, video_error
from dsanet_cli.demux import Demuxer
from dsanet_cli.errors import VideoError

LARGEST_DENOMINATOR = 1001
"""Of frame rates: those of television are multiples of 1 / 1001."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds: counted frame by frame, not taken from its header.

    ``fps`` is the average rate; ``duration`` is in seconds from the first frame to the end of the last;
    ``width`` and ``height`` are as displayed, after the rotation that the file asks for; ``codec`` is ffmpeg's
    name for it (``h264``, ``hevc``).
    """

    path: Path
    frames: int
    fps: Fraction
    duration: float
    width: int
    height: int
    codec: str


@dataclass(frozen=True)
class Orientation:
    """How stored pictures become upright ones: swap rows and columns, then mirror."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.int32]) -> Orientation:
        """Read ffmpeg's display matrix (9,): column' = m0 column + m3 row, row' = m1 column + m4 row."""
        m0, m1, m3, m4 = (int(matrix[at]) for at in (0, 1, 3, 4))
        if abs(m0) >= abs(m1):
            return cls(flip_rows=m4 < 0, flip_columns=m0 < 0)
        return cls(transpose=True, flip_rows=m1 < 0, flip_columns=m3 < 0)

    def upright(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A stored picture (H, W, 3) as a player shows it: (H, W, 3), or (W, H, 3) where transposed."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        if self.flip_rows:
            picture = picture[::-1]
        if self.flip_columns:
            picture = picture[:, ::-1]
        return picture


def probe(path: Path) -> tuple[VideoInfo, Orientation]:
    """Read through a file once, decoding its first frame only.

    Of a file that cannot be read to its end, ``VideoInfo`` describes the part that can be.

    Raises:
        VideoError: it holds no frames that can be decoded; the message says why.
    """
    with Demuxer(path) as demuxer:
        picture = demuxer.first_picture()
    orientation = Orientation()
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if isinstance(matrix, SideData):
        orientation = Orientation.from_matrix(np.frombuffer(bytes(matrix), dtype=np.int32))
    height, width = picture.height, picture.width
    if orientation.transpose:
        height, width = width, height
    with Demuxer(path) as demuxer:
        frames = _count_frames(demuxer)
        duration = demuxer.clock.end
        fps = _plausible_rate(demuxer.rate, frames, duration)
        return VideoInfo(path, frames, fps, duration, width, height, demuxer.codec), orientation


def _count_frames(demuxer: Demuxer) -> int:
    frames = 0
    try:
        for chunk in demuxer.chunks():
            frames += len(chunk.frames)
    except VideoError:
        if not frames:
            raise
    if not frames:
        raise video_error(demuxer.path, f"holds no key frame, so nothing can be decoded; {COPY_AGAIN}")
    return frames


def _plausible_rate(claimed: Fraction, frames: int, duration: float) -> Fraction:
    measured = Fraction(frames / duration)
    if measured / 2 <= claimed <= measured * 2:
        return claimed
    return measured.limit_denominator(LARGEST_DENOMINATOR)  # some recorders claim the rate of their clock
