"""Decoding with PyAV what decord cannot: kinds that it does not get right, damage, and chunks that need the one before.

PyAV is handed the compressed frames one by one and tells which of them fail, so that what follows can still be used;
decord gives up at the first. Where both can decode, their pictures are the same to the bit.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

import av
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dsanet_cli.video.container import FIELD_CODECS
from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.packets import copied
from dsanet_cli.video.scaler import Moment
from dsanet_cli.video.spare import NotSpare
from dsanet_cli.video.stamps import REORDERED


@dataclass(frozen=True)
class _Decoded:
    """A frame, the serial number of its packet in showing order, and whether what it builds on was decoded."""

    serial: int
    frame: VideoFrame
    sound: bool


HEEDING = ("h264", "hevc", "vvc", "av1")
"""Codecs whose decoders take new parameters that a packet carries beside its bytes."""
IN_STREAM = ("mpeg4",)
"""Codecs whose decoders take them only as part of the stream."""


class PyavDecoder:
    """Decodes any chunk of one video, frame by frame, and leaves out what cannot be decoded.

    A frame that fails spoils those that build on it. Decoders deliver these all the same, with pictures of another
    time or smeared ones, so all up to the next key frame are left out.

    Args:
        demuxer: Of the video.
        alive: Is called for each frame.
    """

    def __init__(self, demuxer: Demuxer, alive: Callable[[], None]) -> None:
        self._alive = alive
        self._decoder = demuxer.decoder
        self._decoder.thread_type = "SLICE"  # with threads by frame, an error comes late and takes frames with it
        # libdav1d does not call it an error where it finds no frame. Without delay, that shows.
        self._prompt = demuxer.codec == "av1"
        if self._prompt:
            self._decoder.flags |= Flags.low_delay
        self._codec = demuxer.codec
        self._parity = demuxer.parity
        self._outdated = False
        self._restart()

    def _restart(self) -> None:
        self._decoder.flush_buffers()
        self._last: Chunk | None = None
        self._base = 0
        """Serial number of the first frame of the chunk to come."""
        self._fed = 0
        """How many packets of that chunk the decoder has had."""
        self._waiting: deque[_Decoded] = deque()
        """Its frames that came out already."""
        self._joint: _Decoded | None = None
        """The frame that it shares with the chunk before."""
        self._before: VideoFrame | None = None
        """The frame shown before that."""
        self._root = self._latest = 0
        """Serial numbers of the key frame fed last, and of the frame that came out last."""
        self._lost = self._lost_before = True
        """Whether a frame failed since that key frame; between it and the one before."""
        self._unsound: set[int] = set()

    def decode(
        self, chunk: Chunk, before: Chunk | None, after: Chunk | None, spare: Set[int] = frozenset()
    ) -> Iterator[tuple[int, Moment]]:
        """Decode a chunk, going on from the chunk before, in case its first frame does not stand alone.

        Args:
            chunk: What to decode.
            before: The chunk before it, which is decoded first unless it was decoded last.
            after: The chunk after it, whose first frames push the last ones of this out of the decoder.
            spare: Places of packets that are left out.

        Yields:
            Place in showing order, and frame with its neighbours.

        Raises:
            NotSpare: packets were left out by their place, and frames come out in another order.
        """
        if before is None or self._last is not before:
            self._restart()
            if before is not None:
                deque(self._moments(before, chunk), maxlen=0)
        yield from self._moments(chunk, after, spare)

    def key_frame(self, packet: Packet[VideoStream]) -> Moment | None:
        """Decode one key frame, without any other; None if that fails."""
        self._restart()
        self._feed(packet, 0)
        self._decode(None)
        self._last = None
        return self._moment(self._waiting[0].frame) if self._waiting else None

    def _moments(
        self, chunk: Chunk, after: Chunk | None, spare: Set[int] = frozenset()
    ) -> Iterator[tuple[int, Moment]]:
        """Place in showing order of all frames that are sound, each between its neighbours."""
        current: tuple[int, VideoFrame] | None = None
        for place, decoded in _in_places(self._run(chunk, after, spare)):
            if not decoded.sound:
                continue
            if current is not None:
                yield current[0], self._moment(current[1], self._before, decoded.frame)
                self._before = current[1]
            current = place, decoded.frame
        if current is not None:  # The next chunk has it, too, and what comes after it; so ``_before`` stays.
            yield current[0], self._moment(current[1], self._before)

    def _moment(self, frame: VideoFrame, before: VideoFrame | None = None, after: VideoFrame | None = None) -> Moment:
        interlaced = frame.interlaced_frame and self._codec not in FIELD_CODECS
        return Moment(frame, interlaced or self._parity is not None, before, after, self._parity)

    def _run(self, chunk: Chunk, after: Chunk | None, spare: Set[int]) -> Iterator[tuple[int, _Decoded]]:
        """Place in showing order, and frame, of all that come out."""
        latest = -1
        for place, decoded in self._out(chunk, after, spare):
            if spare and place < latest:
                raise NotSpare
            latest = place
            yield place, decoded

    def _out(self, chunk: Chunk, after: Chunk | None, spare: Set[int]) -> Iterator[tuple[int, _Decoded]]:
        self._last = None
        base, last = self._base, self._base + len(chunk.packets) - 1
        if self._joint is not None:
            yield 0, self._joint
            self._joint = None
        for packet, rank in itertools.islice(zip(chunk.packets, chunk.ranks, strict=True), self._fed, None):
            if rank in spare:
                continue
            self._feed(packet, base + rank, rank in chunk.silent)
            yield from self._take(base, last)
        self._base, self._fed = last, 1
        following = zip(after.packets, after.ranks, strict=True) if after is not None else ()
        for packet, rank in itertools.islice(following, 1, None):  # both chunks hold the first
            if self._latest >= last:
                break
            self._feed(packet, last + rank, after is not None and rank in after.silent)
            self._fed += 1
            yield from self._take(base, last)
        else:
            self._decode(None)
            yield from self._take(base, last)
            return
        self._last = chunk

    def _take(self, base: int, last: int) -> Iterator[tuple[int, _Decoded]]:
        while self._waiting and self._waiting[0].serial <= last:
            decoded = self._waiting.popleft()
            yield decoded.serial - base, decoded
            if decoded.serial == last:
                self._joint = decoded

    def _feed(self, packet: Packet[VideoStream], serial: int, silent: bool = False) -> None:
        self._alive()
        if packet.is_keyframe:
            self._root, self._lost_before, self._lost = serial, self._lost, False
        if self._lost or (self._lost_before and serial < self._root):
            self._unsound.add(serial)
        copy = copied(packet, self._head_of(packet))
        copy.pts = serial
        if self._is_foreign(packet) or packet.is_corrupt:  # or builds on what is missing, which decoders hide
            self._lost = True
            self._unsound.add(serial)
        if packet.is_corrupt:  # the order of the frames before it would suffer, too
            self._decode(None)
            self._decoder.flush_buffers()
        if not self._decode(copy, silent):
            self._lost = True

    def _head_of(self, packet: Packet[VideoStream]) -> bytes:
        """New parameters as part of the stream, for decoders that take them from nowhere else."""
        return bytes(packet.get_sidedata("new_extradata")) if self._codec in IN_STREAM else b""

    def _is_foreign(self, packet: Packet[VideoStream]) -> bool:
        """Whether a packet needs other parameters, and the decoder would go on with the first ones, to noise."""
        if packet.has_sidedata("new_extradata") and self._codec not in (*HEEDING, *IN_STREAM):
            self._outdated = bool(self._decoder.extradata)
        return self._outdated

    def _decode(self, packet: Packet[VideoStream] | None, silent: bool = False) -> bool:
        """Whether decoding succeeded; the frames that come out, none if ``silent``, are put to those that wait."""
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            return False
        for frame in frames:
            self._latest = self._latest + 1 if frame.pts is None else frame.pts
            self._waiting.append(_Decoded(self._latest, frame, self._latest not in self._unsound))
        return bool(frames) or silent or not self._prompt


def _in_places(frames: Iterable[tuple[int, _Decoded]]) -> Iterator[tuple[int, _Decoded]]:
    """Give frames that come in showing order the places that they have as a set, in order.

    The decoder knows the order; the places come from time stamps, which can be missing or wrong.
    """
    places: list[int] = []
    waiting: deque[_Decoded] = deque()
    for place, decoded in frames:
        heapq.heappush(places, place)
        waiting.append(decoded)
        if len(waiting) > REORDERED:
            yield heapq.heappop(places), waiting.popleft()
    while waiting:
        yield heapq.heappop(places), waiting.popleft()
