"""What a video file holds, found out from its first picture and by reading through it without decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from dsanet_cli.errors import VideoError
from dsanet_cli.video.container import COPY_AGAIN, Parity, video_error
from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.options import WHOLE, ReadOptions

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB in 0..255."""

TIME_STEP = 1e-3
"""Seconds; times closer than this are the same."""
LATE_START = 0.5
"""Seconds from the start of the sound to the first frame that are no hole; encoders of sound start a little early."""
NO_PICTURE = "no picture yet"
LOST = "frames are missing"
UNDECODABLE = "cannot be decoded"


@dataclass(frozen=True)
class Hole:
    """Time of which there is no picture, in seconds, and why."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds: counted frame by frame, not taken from its header.

    ``frames`` counts those that cannot be decoded too. ``fps`` is the average rate, and ``fps_from`` where it is from
    if the file gives none; ``duration`` is in seconds from the start of the file (of sound or picture) to the end of
    the last frame, or to where the header says that the video ends if the file breaks off before; ``width`` and
    ``height`` are as displayed, after the rotation that the file asks for; ``codec`` is ffmpeg's name for it
    (``h264``, ``hevc``); ``bytes`` is the size of the file when it was opened; ``gaps`` are the holes in order and
    apart from each other, ``unsure`` the spans (start, end) in seconds without a frame of which nobody can say
    whether there should be some. ``stream`` is the number of the video stream, from 0, out of ``streams``; ``part``
    the span that was looked at, where that is not the whole video; ``timecode`` is that of the first frame, and
    ``created`` the time of recording, as the file has them; ``pixel`` is the width of a pixel as displayed, divided by
    its height.
    """

    path: Path
    frames: int
    fps: Fraction
    duration: float
    width: int
    height: int
    codec: str
    bytes: int
    gaps: tuple[Hole, ...] = ()
    unsure: tuple[tuple[float, float], ...] = ()
    stream: int = 0
    streams: int = 1
    fps_from: Literal["assumed", "option"] | None = None
    part: tuple[float, float] | None = None
    timecode: str | None = None
    created: str | None = None
    pixel: Fraction = Fraction(1)

    @property
    def holes(self) -> tuple[tuple[float, float], ...]:
        """The spans (start, end) in seconds of which there is no picture."""
        return tuple((hole.start, hole.end) for hole in self.gaps)

    def with_hole(self, start: float, end: float, reason: str) -> VideoInfo:
        """The same with one more hole."""
        return replace(self, gaps=tuple(_joined(sorted([*self.gaps, Hole(start, end, reason)], key=_start))))


def _start(hole: Hole) -> float:
    return hole.start


def _joined(holes: Sequence[Hole]) -> Iterator[Hole]:
    """Holes in order of time, touching ones as one."""
    current: Hole | None = None
    for hole in holes:
        if current is None:
            current = hole
        elif hole.start < current.end + TIME_STEP:
            reasons = [current.reason] if hole.reason in current.reason else [current.reason, hole.reason]
            current = Hole(current.start, max(current.end, hole.end), ", ".join(reasons))
        else:
            yield current
            current = hole
    if current is not None:
        yield current


@dataclass(frozen=True)
class Orientation:
    """How stored pictures become upright ones: swap rows and columns, then mirror."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """What a decoded frame asks for."""
        try:
            matrix = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # PyAV has no name for all that lies beside a frame, for one where cameras write EXIF
            return cls.turned(frame.rotation // 90)
        if isinstance(matrix, SideData):
            return cls.from_matrix(np.frombuffer(bytes(matrix), dtype=np.int32))
        return cls()

    @classmethod
    def turned(cls, turns: int) -> Orientation:
        """So many quarter turns counter-clockwise."""
        turns %= 4
        return cls(transpose=turns % 2 == 1, flip_rows=turns in (1, 2), flip_columns=turns in (2, 3))

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

    def stored(self, picture: Picture) -> Picture:
        """An upright picture as it would be stored: undoes ``upright``."""
        if self.flip_columns:
            picture = picture[:, ::-1]
        if self.flip_rows:
            picture = picture[::-1]
        return picture.swapaxes(0, 1) if self.transpose else picture


def read_first_frame(path: Path, options: ReadOptions = WHOLE) -> tuple[VideoInfo, Orientation, Parity | None]:
    """Decode a file's first frame: what it shows of the video, with no frame counted yet and the header's duration.

    Returns:
        That, how to turn pictures, and the ``parity`` of a ``Demuxer``.

    Raises:
        VideoError: it holds no frames that can be decoded; the message says why.
    """
    with Demuxer(path, options) as demuxer:  # which tells nothing of the stream once it is closed
        picture = demuxer.first_picture()
        orientation = Orientation.of(picture)
        height, width, pixel = picture.height, picture.width, demuxer.pixel_shape
        if orientation.transpose:
            height, width, pixel = width, height, 1 / pixel
        info = VideoInfo(
            path=path,
            frames=0,
            fps=demuxer.header.rate,
            duration=demuxer.header.end,
            width=width,
            height=height,
            codec=demuxer.codec,
            bytes=path.stat().st_size,
            stream=demuxer.number,
            streams=demuxer.streams,
            timecode=demuxer.header.timecode,
            created=demuxer.header.created,
            fps_from=None if demuxer.header.names_rate else "assumed" if options.fps is None else "option",
            pixel=pixel,
        )
        return info, orientation, demuxer.parity


def probe(path: Path, options: ReadOptions = WHOLE) -> VideoInfo:
    """Read through a file once and count its frames, decoding the first only.

    Raises:
        VideoError: it holds no frames that can be decoded; the message says why.
    """
    info, *_ = read_first_frame(path, options)
    with Demuxer(path, options) as demuxer:
        frames = sum(len(chunk.frames) for chunk in demuxer.chunks())
        return counted(info, demuxer, frames)


def counted(info: VideoInfo, demuxer: Demuxer, frames: int) -> VideoInfo:
    """Complete ``info`` once ``demuxer`` has been read to its end, where it gave ``frames`` frames.

    Raises:
        VideoError: there were none.
    """
    if not frames:
        raise video_error(info.path, f"holds no key frame, so nothing can be decoded; {COPY_AGAIN}")
    clock, end = demuxer.clock, demuxer.clock.end
    if clock.start > LATE_START:
        info = info.with_hole(0.0, clock.start, NO_PICTURE)
    missing, doubtful = clock.gaps()
    for gap in missing:
        info = info.with_hole(gap.start, gap.end, LOST)
    if (cut := demuxer.missing_end) is not None:
        end = cut[1]
        info = info.with_hole(*cut)
    unsure = tuple((gap.start, gap.end) for gap in doubtful)
    info = replace(
        info, frames=demuxer.count(frames), fps=demuxer.header.true_rate(clock.rate()), duration=end, unsure=unsure
    )
    return _only_part(info, demuxer.options)


def _only_part(info: VideoInfo, options: ReadOptions) -> VideoInfo:
    """What is missing of the part of a video that was to be read.

    Raises:
        VideoError: it has no such part.
    """
    if options.part is None:
        return info
    if options.start >= info.duration:
        raise nothing_after(info.path, info.duration, options.start)
    part = options.start, info.duration if options.end is None else min(options.end, info.duration)
    holes = [Hole(*_common(part, hole.start, hole.end), hole.reason) for hole in info.gaps]
    unsure = (_common(part, *span) for span in info.unsure)
    return replace(
        info,
        gaps=tuple(hole for hole in holes if hole.start < hole.end),
        unsure=tuple((start, end) for start, end in unsure if start < end),
        part=part,
    )


def nothing_after(path: Path, duration: float, start: float) -> VideoError:
    """The error of a video that ends, after ``duration`` seconds, before the part that is asked for."""
    return video_error(path, f"lasts {duration:.1f} s, so nothing of it is after --from {start:g}")


def _common(part: tuple[float, float], start: float, end: float) -> tuple[float, float]:
    return max(part[0], start), min(part[1], end)
