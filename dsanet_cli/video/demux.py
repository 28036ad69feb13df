"""A video's compressed frames, with their times, in pieces that decode on their own.

decord reads ahead without limit: asked for one frame it buffers the whole file, and decodes it too while the
caller is busy. It also finds frames by seeking, which gives other frames than asked for where key frames do
not stand alone (open GOPs) or time stamps are not plain, and which loses the start of MPEG transport streams.
None of this matters for a short file that starts with a key frame, so that is what it is given: PyAV cuts the
stream at key frames, without decoding it, and keeps the true time stamps.

Packets in the order of a file, each with its place in showing order (I: key frame)::

    file      I0 P3 B1 B2 | I6 B4 B5 P8 B7 | I12 B10 B11 ...
    groups    key rest      key leading rest  key leading

B4 and B5 are stored after I6 but shown before it, and can need P3 as well (an open group). So a chunk that ends
before I6 takes I6 and its leading frames too, and the chunk that starts with I6 leaves the leading frames out::

    chunk     I0 P3 B1 B2  I6 B4 B5              stands for 0 to 5, and ends with 6, which it shares
    next                   I6       P8 B7 ...    stands for 6 to 8 and so on
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dsanet_cli.errors import VideoError
from dsanet_cli.video.clock import Clock
from dsanet_cli.video.container import (
    COPY_AGAIN,
    FIELD_CODECS,
    PARITIES,
    Parity,
    choose_stream,
    open_container,
    video_error,
    video_streams,
)
from dsanet_cli.video.header import Header, is_cut_off
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.packet_stream import STAMPLESS_FORMATS, PacketStream, mark_of, stamp_of
from dsanet_cli.video.packets import carries_parameters, copied
from dsanet_cli.video.stamps import REORDERED, StampLine
from dsanet_cli.video.steady_index import SteadyIndex

CHUNK_FRAMES = 256
"""Fewest frames in a chunk; opening the decoder anew for each then costs about 4 % (measured, 720p H.264)."""
LONGEST_GROUP = 4096
"""Frames after a key frame from which on a run may end without one, so that memory does not grow with the distance of
key frames. The run after it is decoded by PyAV, which goes on where it was."""
CHUNK_TICK = Fraction(1, 25)
"""Time from frame to frame in the chunks written, in seconds: a rate that no container or codec doubts."""
WHOLE_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
"""Formats that start with a key frame: where there seems to be none, it is damaged, and time runs all the same. A
recording in others can be joined midway; it starts with its first key frame."""
CUT_OFF = "the file ends early"
ELSEWHERE = "the video goes on in another stream"


@dataclass
class Group:
    """A key frame, or what stands for one, and what follows up to the next one, in decoding order.

    ``leading`` follow the key frame in the file but are shown before it, and may need the group before.
    """

    key: Packet[VideoStream]
    leading: list[Packet[VideoStream]] = field(default_factory=list)
    rest: list[Packet[VideoStream]] = field(default_factory=list)

    def has_distinct_stamps(self) -> bool:
        """Whether ``leading`` can be trusted; ffmpeg gets some stamps of MPEG program streams wrong."""
        packets = (self.key, *self.leading, *self.rest)
        stamps = [packet.pts for packet in packets if packet.pts is not None]
        return len(set(stamps)) == len(stamps)


@dataclass(frozen=True)
class Chunk:
    """A run of frames that decodes on its own.

    Attributes:
        packets: Compressed frames in decoding order, the first a key frame.
        ranks: Place of each packet in showing order.
        frames: (place in showing order, start in seconds) of the frames that the chunk stands for, in showing
            order. Not all are: an edit list can hide some, and others only help to build pictures.
        overlaps: The last packet in showing order is the key frame that the next chunk starts with. Frames
            shown before it can need it.
        ordered: The places can be trusted. Where False, the decoder alone knows which frame comes when.
        silent: Places of packets that make no picture.
        plain: Its packets are all that there is to it: none brings other parameters, shows nothing, or is corrupt.
        gaps: Where time without pictures starts, in seconds, by the place of the frame before which it ends.
    """

    packets: list[Packet[VideoStream]]
    ranks: list[int]
    frames: list[tuple[int, float]]
    overlaps: bool
    ordered: bool
    silent: frozenset[int]
    plain: bool
    gaps: dict[int, float] = field(default_factory=dict)


class Demuxer:
    """The video stream of one file, read once from start to end.

    Args:
        path: The file.
        options: What to read of it.
        parity: Which lines come first in interlaced frames that do not say themselves that they are, but their
            container does, as it does of what a capture device stored. None in all others: frames that say it are
            believed one by one.

    Raises:
        VideoError: the file holds no video that can be read; the message says why.
    """

    def __init__(self, path: Path, options: ReadOptions = WHOLE, parity: Parity | None = None) -> None:
        self.path = path
        self.parity = parity
        self.options = options
        self._container = open_container(path, options.fps)
        try:
            self.number, self._stream = choose_stream(self._container, path, options.stream)
        except VideoError:
            self._container.close()
            raise
        self.streams = len(video_streams(self._container, path))
        self.header = Header(self._container, self._stream, options.fps)
        self._time_base = self._stream.time_base or 1 / self.header.rate
        rate, longest = self.header.rate, self.header.longest_gap
        self._line = StampLine(self._time_base, rate, self._stream.codec_context.has_b_frames, longest)
        self.clock = Clock(self._time_base, self._line, self.header.zero, longest)
        self._format = self._container.format.name
        # PyAV reads it from memory that is freed when the file is closed.
        self.pixel_shape: Fraction = self._stream.sample_aspect_ratio or Fraction(1)
        """Width of a stored pixel, divided by its height, as a player shows it; 1 where the file does not say."""
        self._source = PacketStream(path, self._container, self._stream, self._line, self.clock)
        self._index: SteadyIndex | None = None

    def __enter__(self) -> Demuxer:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def codec(self) -> str:
        """The codec as ffmpeg calls it."""
        return self._stream.codec_context.codec.canonical_name

    @property
    def format(self) -> str:
        """The container format as ffmpeg calls it."""
        return self._container.format.name

    @property
    def stream(self) -> VideoStream:
        """The stream that is read."""
        return self._stream

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick of its time stamps."""
        return self._time_base

    @property
    def restamped(self) -> bool:
        """See ``PacketStream.restamped``."""
        return self._source.restamped

    @property
    def decoder(self) -> VideoCodecContext:
        """A decoder set up for this stream; ``chunks`` does not touch it."""
        return self._stream.codec_context

    @property
    def missing_end(self) -> tuple[float, float, str] | None:
        """After ``chunks``: from where to where, in seconds, the video goes on and could not be read, and why."""
        end, header = self.clock.end, self.header
        if self._source.failed:
            return end, max(header.end_from(self.clock.zero), end + float(1 / header.rate)), CUT_OFF
        if (promised := header.missing(end, self.clock.zero, self._line.latest_stray)) is not None:
            return end, promised, CUT_OFF
        more = self._source.seconds_elsewhere()
        return (end, end + more, ELSEWHERE) if is_cut_off(end, end + more) else None

    def first_picture(self) -> VideoFrame:
        """Decode until there is a frame, and find out ``parity`` by it.

        Raises:
            VideoError: there is none.
        """
        parity = PARITIES.get(self.decoder.field_order)  # which decoding can change
        reason = "no frame can be decoded"
        for packet in itertools.chain(self._source.packets(), [None]):
            try:
                for frame in self._stream.decode(packet):
                    if not frame.interlaced_frame and self.codec not in FIELD_CODECS:
                        self.parity = parity
                    return frame
            except av.FFmpegError as error:  # a recording can start with frames that need earlier ones
                reason = f"no frame can be decoded ({error.strerror})"
        raise video_error(self.path, f"{reason}; {COPY_AGAIN}")

    def chunks(self, least: int = CHUNK_FRAMES) -> Iterator[Chunk]:
        """Cut the stream into runs of at least ``least`` frames; what remains at its end may be shorter.

        A run ends at a key frame, and later than it could where time stamps make a cut uncertain. Where the file
        can be read no further, the chunks end; ``missing_end`` then says what they lack.

        Of a part of a video, chunks before and after it are left out where the index tells all that is asked of them.
        """
        self._skip()
        for chunk in self._cut(least):
            yield chunk
            if self._index is not None and self._is_after(chunk):
                break
        if self._index is not None and self.header.zero is not None and not self._source.failed:
            first = (self._stream.start_time or 0) - self.header.zero
            self.clock.set_span(first, first + self._index.frames * self._index.step)

    def count(self, read: int) -> int:
        """Frames of the whole video after ``chunks``, which held ``read`` of them."""
        return read if self._index is None else self._index.frames

    def _skip(self) -> None:
        """Go to a key frame before the part that is asked for."""
        if self.options.part is None or self.header.zero is None or self._stream.start_time is None:
            return
        self._index = SteadyIndex.read(self._stream, self._container.size)
        if self._index is None:
            return
        start = self._index.start_for(self.header.zero + int(self.options.start / self._time_base))
        if start is not None:
            self._container.seek(start, stream=self._stream)

    def _is_after(self, chunk: Chunk) -> bool:
        end = self.options.end
        return end is not None and all(start > end for _, start in chunk.frames)

    def _cut(self, least: int) -> Iterator[Chunk]:
        run: list[Group] = []
        frames = 0
        groups: Iterator[Group | None] = itertools.chain(self._groups(), [None])
        for group, following in itertools.pairwise(groups):
            assert group is not None
            run.append(group)
            frames += 1 + len(group.leading) + len(group.rest)
            if following is None or frames >= (least if following.has_distinct_stamps() else 4 * least):
                yield self._chunk(run, following)
                run, frames = [], 0

    def write(self, chunk: Chunk, path: Path, container: str) -> None:
        """Write a chunk to a file whose time stamps are the frames' places in showing order.

        Only the first frame is marked as a key frame, so that there is nothing to seek to.

        Args:
            chunk: Of this file.
            path: File to write.
            container: ffmpeg's name of its format.

        Raises:
            ValueError: the format does not hold this codec.
            av.FFmpegError: writing failed; an OSError too where that is why.
        """
        delay = max(at - rank for at, rank in enumerate(chunk.ranks))
        with av.open(str(path), mode="w", format=container) as out:
            # opaque: without looking for an encoder, which need not be there
            stream = out.add_stream_from_template(self._stream, opaque=True)
            stream.time_base = CHUNK_TICK
            for at, (packet, rank) in enumerate(zip(chunk.packets, chunk.ranks, strict=True)):
                copy = copied(packet)
                copy.stream, copy.time_base = stream, CHUNK_TICK
                copy.pts, copy.dts, copy.duration = rank, at - delay, 1
                copy.is_keyframe = at == 0
                out.mux_one(copy)

    def _groups(self) -> Iterator[Group]:
        group: Group | None = None
        for packet in self._source.timed():
            if packet.is_keyframe or (group is not None and self._is_cut(group, packet)):
                if group is not None:
                    yield group
                group = Group(packet)
            elif group is None:
                if self._format in WHOLE_FORMATS:
                    group = Group(packet)
            elif not group.rest and _is_shown_before(packet, group.key):
                group.leading.append(packet)
            else:
                group.rest.append(packet)
        if group is not None:
            yield group

    def _is_cut(self, group: Group, packet: Packet[VideoStream]) -> bool:
        """Whether a group without end ends before a frame that is no key frame, but shown after all before it."""
        if len(group.rest) < LONGEST_GROUP or self._format in STAMPLESS_FORMATS or packet.pts is None:
            return False
        return all(before.pts is not None and before.pts < packet.pts for before in group.rest[-REORDERED:])

    def _chunk(self, run: list[Group], following: Group | None) -> Chunk:
        # The leading frames of the first group were in the chunk before.
        packets = [run[0].key, *run[0].rest]
        for group in run[1:]:
            packets += [group.key, *group.leading, *group.rest]
        if following is not None:
            packets += [following.key, *following.leading]
        order: list[Packet[VideoStream]] = []
        for group, after in itertools.zip_longest(run, [*run[1:], *([following] if following else [])]):
            order.append(group.key)
            order += sorted([*group.rest, *(after.leading if after else [])], key=lambda packet: stamp_of(packet) or 0)
        shown = len(order)
        if following is not None:
            order.append(following.key)
        places = {id(packet): place for place, packet in enumerate(order)}
        silent = {id(packet) for packet in packets if mark_of(packet).silent}
        hidden = silent | {id(packet) for packet in packets if packet.is_discard}
        frames, gaps = self._frames(order[:shown], hidden)
        return Chunk(
            packets=packets,
            ranks=[places[id(packet)] for packet in packets],
            frames=frames,
            overlaps=following is not None,
            ordered=self._is_ordered(packets),
            silent=frozenset(places[packet] for packet in silent),
            plain=not hidden and not any(packet.is_corrupt or carries_parameters(packet) for packet in packets),
            gaps=gaps,
        )

    def _frames(
        self, order: list[Packet[VideoStream]], hidden: Set[int]
    ) -> tuple[list[tuple[int, float]], dict[int, float]]:
        """Place and start of the frames that are shown, and where gaps before them start; ``hidden`` are ids."""
        lost = [place for place, packet in enumerate(order) if mark_of(packet).lost]
        frames: list[tuple[int, float]] = []
        gaps: dict[int, float] = {}
        for place, packet in enumerate(order):
            if id(packet) in hidden:
                continue
            near = any(-REORDERED <= place - other <= 1 for other in lost)
            start = self.clock.place(stamp_of(packet), packet.duration, near)
            frames.append((place, start))
            if self.clock.gap_before is not None:
                gaps[place] = self.clock.gap_before
        return frames, gaps

    def _is_ordered(self, packets: list[Packet[VideoStream]]) -> bool:
        stamps = [packet.pts for packet in packets if packet.pts is not None]
        reordered = self._stream.codec_context.has_b_frames
        if len(set(stamps)) < len(packets) or (reordered and any(mark_of(packet).guessed for packet in packets)):
            return False
        # AVI has no presentation times, and what ffmpeg then makes up can rise with the decoding order.
        return not reordered or stamps != sorted(stamps)


def _is_shown_before(packet: Packet[VideoStream], key: Packet[VideoStream]) -> bool:
    return packet.pts is not None and key.pts is not None and packet.pts < key.pts
