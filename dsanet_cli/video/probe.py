"""What a video file holds, found out from its first picture and by reading through it without decoding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.demux import Demuxer

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB in 0..255."""

LARGEST_DENOMINATOR = 1001
"""Of frame rates: those of television are multiples of 1 / 1001."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds: counted frame by frame, not taken from its header.

    ``frames`` counts those that cannot be decoded too. ``fps`` is the average rate; ``duration`` is in seconds from
    the first frame to the end of the last, or to where the header says that the video ends if the file breaks off
    before; ``width`` and ``height`` are as displayed, after the rotation that the file asks for; ``codec`` is
    ffmpeg's name for it (``h264``, ``hevc``); ``bytes`` is the size of the file when it was opened; ``holes`` are the
    spans (start, end) in seconds of which there is no picture, in order and apart from each other.
    """

    path: Path
    frames: int
    fps: Fraction
    duration: float
    width: int
    height: int
    codec: str
    bytes: int
    holes: tuple[tuple[float, float], ...] = ()

    def with_hole(self, start: float, end: float) -> VideoInfo:
        """The same with one more hole, which starts no earlier than those before."""
        if self.holes and start <= self.holes[-1][1]:
            return replace(self, holes=(*self.holes[:-1], (self.holes[-1][0], end)))
        return replace(self, holes=(*self.holes, (start, end)))


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

    def upright(self, picture: Picture) -> Picture:
        """A stored picture (H, W, 3) as a player shows it: (H, W, 3), or (W, H, 3) where transposed."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        if self.flip_rows:
            picture = picture[::-1]
        if self.flip_columns:
            picture = picture[:, ::-1]
        return picture


def read_first_frame(path: Path) -> tuple[VideoInfo, Orientation]:
    """Decode a file's first frame: what it shows of the video, with no frame counted yet and the header's duration.

    Raises:
        VideoError: it holds no frames that can be decoded; the message says why.
    """
    with Demuxer(path) as demuxer:
        picture = demuxer.first_picture()
        rate, codec, duration = demuxer.rate, demuxer.codec, demuxer.promised_length()
        size = path.stat().st_size
    orientation = Orientation()
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if isinstance(matrix, SideData):
        orientation = Orientation.from_matrix(np.frombuffer(bytes(matrix), dtype=np.int32))
    height, width = picture.height, picture.width
    if orientation.transpose:
        height, width = width, height
    return VideoInfo(path, 0, rate, duration, width, height, codec, size), orientation


def probe(path: Path) -> VideoInfo:
    """Read through a file once and count its frames, decoding the first only.

    Raises:
        VideoError: it holds no frames that can be decoded; the message says why.
    """
    info, _ = read_first_frame(path)
    with Demuxer(path) as demuxer:
        frames = sum(len(chunk.frames) for chunk in demuxer.chunks())
        return counted(info, demuxer, frames)


def counted(info: VideoInfo, demuxer: Demuxer, frames: int) -> VideoInfo:
    """Complete ``info`` once ``demuxer`` has been read to its end, where it gave ``frames`` frames.

    Raises:
        VideoError: there were none.
    """
    if not frames:
        raise video_error(info.path, f"holds no key frame, so nothing can be decoded; {COPY_AGAIN}")
    end, missing = demuxer.clock.end, demuxer.missing_end
    return replace(
        info if missing is None else info.with_hole(*missing),
        frames=frames,
        fps=_plausible_rate(demuxer.rate, frames, end),
        duration=end if missing is None else missing[1],
    )


def _plausible_rate(claimed: Fraction, frames: int, duration: float) -> Fraction:
    measured = Fraction(frames / duration)
    if measured / 2 <= claimed <= measured * 2:
        return claimed
    return measured.limit_denominator(LARGEST_DENOMINATOR) or measured  # some recorders claim the rate of their clock
