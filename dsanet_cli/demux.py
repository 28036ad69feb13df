"""A video file taken apart: what it holds, and its compressed frames in pieces that decode on their own.

decord reads ahead without limit: asked for one frame it buffers the whole file, and decodes it too while the
caller is busy. It also finds frames by seeking, which gives other frames than asked for where key frames are
not independent (open GOPs), and drops the start of MPEG transport streams. Neither matters for a short file
that starts with a key frame and has plain time stamps, so that is what it is given: PyAV cuts the stream at
key frames, without decoding, and keeps the true time stamps.
"""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dsanet_cli.errors import VideoError

CHUNK_FRAMES = 256
"""Fewest frames decoded in one go; opening the decoder anew then costs about 4 % (measured, 720p H.264)."""
TRUNCATION_SLACK = (1.0, 0.05)
"""How much less than its header says a video may last: the larger of seconds and share."""
DEFAULT_RATE = Fraction(25)
STILL_FORMATS = ("image2", "ico", "tty")
"""ffmpeg's names of formats that it reads as a video but a person does not; besides those ending in _pipe."""
DISPLAY_MATRIX = "DISPLAYMATRIX"
CHUNK_TICK = Fraction(1, 25)
"""Time from frame to frame in the chunks written, in seconds: a rate that no container or codec doubts."""
COPY_AGAIN = "copy it again from where it was recorded"


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds, counted frame by frame, not taken from its header.

    ``duration`` is in seconds from the first frame to the end of the last; ``width`` and ``height`` are as
    displayed, after the rotation that the file asks for; ``codec`` is ffmpeg's name (``h264``, ``hevc``).
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

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """A stored picture (H, W, 3) as a player shows it: (H, W, 3), or (W, H, 3) where transposed."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Orientation:
        """Read ffmpeg's display matrix (9 integers): column' = a column + c row, row' = b column + d row."""
        a, b, _, c, d = (int(value) for value in matrix[:5])
        if abs(a) >= abs(b):
            return cls(flip_rows=d < 0, flip_columns=a < 0)
        return cls(transpose=True, flip_rows=b < 0, flip_columns=c < 0)


@dataclass
class Group:
    """A key frame and what follows up to the next one, in decoding order.

    ``leading`` follow the key frame in the file but are shown before it, and may need the group before.
    """

    key: av.Packet
    leading: list[av.Packet] = field(default_factory=list)
    rest: list[av.Packet] = field(default_factory=list)


@dataclass(frozen=True)
class Chunk:
    """A run of frames that decodes on its own.

    Attributes:
        packets: compressed frames in decoding order, the first a key frame.
        ranks: place of each packet in showing order.
        frames: (place in showing order, start in seconds) of each frame shown, in showing order.
        overlaps: the last packet in showing order is the next chunk's first frame.
        ordered: the places can be trusted. Where False, the decoder alone knows which frame comes when.
    """

    packets: list[av.Packet]
    ranks: list[int]
    frames: list[tuple[int, float]]
    overlaps: bool
    ordered: bool


class Clock:
    """Seconds since the first frame, from time stamps that may be missing or start again midway."""

    def __init__(self, time_base: Fraction, rate: Fraction) -> None:
        self._time_base = time_base
        self._frame_ticks = max(1, round(1 / (rate * time_base)))
        self._shift: int | None = None
        self._last = self._end = 0

    @property
    def end(self) -> float:
        """End of the latest frame in seconds."""
        return float(self._end * self._time_base)

    def place(self, stamp: int | None, duration: int | None) -> float:
        """Start in seconds of the frame shown next; ``stamp`` and ``duration`` in ticks of the time base."""
        if stamp is None:
            start = self._end
        else:
            if self._shift is None:
                self._shift = -stamp
            start = stamp + self._shift
            if start < self._last:  # recorders that restart join files with stamps that run from zero again
                self._shift += self._end - start
                start = self._end
        self._last, self._end = start, start + (duration or self._frame_ticks)
        return float(start * self._time_base)


class Demuxer:
    """The video stream of one file, read once from start to end.

    Raises:
        VideoError: from the constructor and while reading, for anything that is wrong with the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container = _open_container(path)
        try:
            self._stream = _video_stream(self._container, path)
        except VideoError:
            self._container.close()
            raise
        rate = self._stream.average_rate or self._stream.guessed_rate or DEFAULT_RATE
        self.rate: Fraction = rate if rate > 0 else DEFAULT_RATE
        self.time_base: Fraction = self._stream.time_base or 1 / self.rate
        self.clock = Clock(self.time_base, self.rate)
        self._failure: str | None = None

    def __enter__(self) -> Demuxer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def first_picture(self) -> av.VideoFrame:
        """Decode frames until there is one."""
        try:
            for frame in self._container.decode(self._stream):
                return frame
        except av.FFmpegError as error:
            raise VideoError(
                f"{self.path}: no frame can be decoded ({error.strerror}); {COPY_AGAIN}"
            ) from error
        raise VideoError(f"{self.path}: no frame can be decoded; {COPY_AGAIN}")

    @property
    def codec(self) -> str:
        """Ffmpeg's name of the codec."""
        return str(self._stream.codec_context.codec.canonical_name)

    def chunks(self, least: int = CHUNK_FRAMES) -> Iterator[Chunk]:
        """Cut the stream into runs of at least ``least`` frames, fewer at its end.

        Raises:
            VideoError: where reading fails or the file ends too early, after all that could be read.
        """
        following: Group | None
        pending: list[Group] = []
        count = 0
        for group, following in itertools.pairwise(itertools.chain(self._groups(), [None])):
            if group is None:
                break
            pending.append(group)
            count += 1 + len(group.leading) + len(group.rest)
            if count >= least or following is None:
                yield self._chunk(pending, following)
                pending, count = [], 0
        self._check_length()

    def write(self, chunk: Chunk, path: Path, container: str) -> None:
        """Write a chunk to a file whose time stamps are the frames' places in showing order.

        Only the first frame is marked as a key frame, so that there is nothing to seek to.

        Args:
            chunk: Of this file.
            path: File to write.
            container: ffmpeg's name of its format.
        """
        delay = max(at - rank for at, rank in enumerate(chunk.ranks))
        with av.open(str(path), "w", format=container) as out:
            stream = out.add_stream_from_template(self._stream, opaque=True)
            stream.time_base = CHUNK_TICK
            for at, (packet, rank) in enumerate(zip(chunk.packets, chunk.ranks, strict=True)):
                copy = av.Packet(bytes(packet))
                copy.stream, copy.time_base = stream, CHUNK_TICK
                copy.pts, copy.dts, copy.duration = rank, at - delay, 1
                copy.is_keyframe = at == 0
                out.mux_one(copy)

    def _packets(self) -> Iterator[av.Packet]:
        held: av.Packet | None = None
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    if held is not None:
                        yield held
                    held = packet
        except av.FFmpegError as error:
            self._failure = error.strerror
        if held is not None and not held.is_corrupt:  # a recording can stop in the middle of its last frame
            yield held

    def _groups(self) -> Iterator[Group]:
        group: Group | None = None
        for packet in self._packets():
            if packet.is_keyframe:
                if group is not None:
                    yield group
                group = Group(packet)
            elif group is None:
                continue  # needs a key frame from before the file starts
            elif not group.rest and _shown_before(packet, group.key):
                group.leading.append(packet)
            else:
                group.rest.append(packet)
        if group is not None:
            yield group

    def _chunk(self, groups: list[Group], following: Group | None) -> Chunk:
        packets = [groups[0].key, *groups[0].rest]
        order = [groups[0].key]
        for group, after in itertools.pairwise([*groups, following]):
            assert group is not None
            leading = after.leading if after else []
            order += sorted([*group.rest, *leading], key=_stamp)
            if after:
                order.append(after.key)
                packets += [after.key, *leading]
                if after is not following:
                    packets += after.rest
        places = {id(packet): place for place, packet in enumerate(order)}
        owned = order[:-1] if following else order
        return Chunk(
            packets=packets,
            ranks=[places[id(packet)] for packet in packets],
            frames=[
                (place, self.clock.place(packet.pts if packet.pts is not None else packet.dts, packet.duration))
                for place, packet in enumerate(owned)
                if not packet.is_discard
            ],
            overlaps=following is not None,
            ordered=self._is_ordered(packets),
        )

    def _is_ordered(self, packets: list[av.Packet]) -> bool:
        stamps = [packet.pts for packet in packets]
        if None in stamps:
            return False
        # AVI has no presentation times; what ffmpeg gives for it then rises with the decoding order.
        return not self._stream.codec_context.has_b_frames or stamps != sorted(stamps)

    def _check_length(self) -> None:
        end = self.clock.end
        if self._failure:
            raise VideoError(f"{self.path}: cannot be read beyond {end:.1f} s ({self._failure}); {COPY_AGAIN}")
        promised = self._promised_length()
        seconds, share = TRUNCATION_SLACK
        if promised is not None and end < promised - max(seconds, share * promised):
            raise VideoError(
                f"{self.path}: is cut off, it ends at {end:.1f} s of {promised:.1f} s; {COPY_AGAIN}"
            )

    def _promised_length(self) -> float | None:
        """Seconds that the header says the pictures last, where it says so."""
        if self._stream.duration:
            return float(self._stream.duration * self.time_base)
        if len(self._container.streams) == 1 and self._container.duration:
            return float(self._container.duration / av.time_base)
        return None


def probe(path: Path) -> tuple[VideoInfo, Orientation]:
    """Read through a file once, without decoding more than its first frame.

    Raises:
        VideoError: it holds no frames that can be decoded; the message says why.
    """
    with Demuxer(path) as demuxer:
        picture = demuxer.first_picture()
    orientation = Orientation()
    if matrix := picture.side_data.get(DISPLAY_MATRIX):
        orientation = Orientation.from_matrix(np.frombuffer(bytes(matrix), dtype="=i4"))
    height, width = picture.height, picture.width
    if orientation.transpose:
        height, width = width, height
    with Demuxer(path) as demuxer:
        frames = 0
        try:
            for chunk in demuxer.chunks():
                frames += len(chunk.frames)
        except VideoError:
            if not frames:
                raise
        if not frames:
            raise VideoError(f"{path}: holds no key frame, so nothing can be decoded; {COPY_AGAIN}")
        duration = demuxer.clock.end
        measured = Fraction(frames / duration)
        fps = demuxer.rate
        if not measured / 2 <= fps <= measured * 2:  # headers of some recorders give the time base instead
            fps = measured.limit_denominator(1001)
        return VideoInfo(path, frames, fps, duration, width, height, demuxer.codec), orientation


def _open_container(path: Path) -> av.container.InputContainer:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise VideoError(f"{path}: is a folder, not a video; name the videos in it")
        if not stat.S_ISREG(mode):
            raise VideoError(f"{path}: is not a regular file; save the video to a file first")
        with path.open("rb") as stream:
            head = stream.read(8)
    except FileNotFoundError as error:
        raise VideoError(f"{path}: no such file; check the name") from error
    except PermissionError as error:
        raise VideoError(f"{path}: no permission to read it; change its permissions or owner") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{path}: cannot be read ({reason}); check the name and the disk") from error
    if not head:
        raise VideoError(f"{path}: is empty; {COPY_AGAIN}")
    try:
        # Without the protocol, a colon in the name would be taken for one.
        return av.open(f"file:{path}", metadata_errors="replace")
    except av.FFmpegError as error:
        if head[4:8] == b"ftyp":
            raise VideoError(
                f"{path}: is cut off, the MP4 index is missing; {COPY_AGAIN}, or repair it with untrunc"
            ) from error
        raise VideoError(f"{path}: is not a video, or damaged beyond recognition; check that it plays") from error


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    name = container.format.name
    if name.endswith("_pipe") or name in STILL_FORMATS:
        raise VideoError(f"{path}: is a still picture or text, not a video; leave it out")
    stream = container.streams.best("video")
    if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
        kind = "has sound but no picture" if container.streams.audio else "has no video stream"
        raise VideoError(f"{path}: {kind}; leave it out or bring the file with the picture")
    if stream.codec_context is None:
        raise VideoError(f"{path}: its codec is not supported; re-encode it as H.264")
    return stream


def _stamp(packet: av.Packet) -> float:
    if packet.pts is not None:
        return float(packet.pts)
    return float(packet.dts) if packet.dts is not None else 0.0


def _shown_before(packet: av.Packet, key: av.Packet) -> bool:
    return packet.pts is not None and key.pts is not None and packet.pts < key.pts
