"""MPEG transport streams in which a video goes on under another id (PID).

A transport stream is made of packets of 188 bytes, each with the id of the stream that it is a part of. A frame begins
with a packet that says so, and ends where the next one of the same id begins::

    id     A A A A A A A A A B B B B B B ...
    frame  1     2     3     4   5

ffmpeg reads A and B as one stream if the program's table says so, but it waits for the end of frame 3 until the file
ends. If the table does not say so, it knows nothing of B, or takes it for another stream.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

from dsanet_cli.files.paths import Url
from dsanet_cli.video.container import MERGED
from dsanet_cli.video.header import LONGEST_GAP

FORMAT = "mpegts"
SYNC = b"\x47"
"""First byte of a packet."""
TIME_CODE = 4
"""Bytes before each packet on some discs and cameras."""
WINDOW = 4 << 20
"""Bytes before a change of ids that hold the tables, which come several times a second, and the last frames."""
SHORT_REST = 1 << 15
"""Bytes from the start of the last frame on that hold nothing but its end."""
TICKS = 90_000
"""Of a time stamp, in a second."""
STAMPS = 1 << 33
"""Time stamps start anew after so many ticks."""
MOST_CHANGES = 64
"""Changes of ids in a file for which held frames are looked up."""


class Transport:
    """Follows a stream through its file and knows what ffmpeg leaves out; knows nothing in other formats.

    Args:
        path: The file.
        stream: Of it.
    """

    def __init__(self, path: Path, stream: VideoStream) -> None:
        self._stream = stream
        self._path = path if stream.container.format.name == FORMAT and not isinstance(path, Url) else None
        self._last: int | None = None
        """Where the latest frame starts, in bytes; ``_id`` is that of its packets, ``_stamp`` its time of decoding."""
        self._id: int | None = None
        self._stamp = 0
        self._changes = 0

    def ordered(self, packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
        """The compressed frames of the stream, with those held back in their places."""
        if self._path is None:
            yield from packets
            return
        given = set()
        with self._path.open("rb") as file:
            for packet in packets:
                if packet.size and packet.pos is not None:
                    if self._last is not None and packet.pos < self._last:  # held back up to here
                        if packet.pos not in given:
                            yield packet
                        continue
                    number = _id_at(file, packet.pos)
                    if number is None:  # where the file is damaged, which is no change
                        number = self._id
                    elif self._id not in (None, number):
                        for held in self._held(file, packet.pos):
                            given.add(held.pos)
                            yield held
                    self._last, self._id = packet.pos, number
                    self._stamp = packet.dts or packet.pts or self._stamp
                yield packet

    def seconds_elsewhere(self) -> float:
        """After ``ordered``: seconds for which another video goes on after the stream's last frame."""
        if self._path is None or self._last is None:
            return 0.0
        size = self._path.stat().st_size
        if size - self._last <= SHORT_REST:
            return 0.0
        with self._path.open("rb") as file:
            head = self._others(file, self._last, self._last + WINDOW)
            tail = self._others(file, max(self._last, size - WINDOW), size)
        found = max((_length(self._stamp, head.get(key, stamps), stamps) for key, stamps in tail.items()), default=0)
        return float(found * (self._stream.time_base or 0))

    def _held(self, file: IO[bytes], before: int) -> Iterator[Packet[VideoStream]]:
        """Frames of the latest id between the latest frame and that at ``before``."""
        self._changes += 1
        if self._changes > MOST_CHANGES:
            return
        assert self._last is not None
        first = max(0, before - WINDOW)
        for place, packet in _packets(file, first, before):
            if place > self._last and _id_at(file, place) == self._id:
                packet.stream = self._stream
                turns = STAMPS * round((self._stamp - (packet.dts or packet.pts or 0)) / STAMPS)
                packet.pts = None if packet.pts is None else packet.pts + turns
                packet.dts = None if packet.dts is None else packet.dts + turns
                yield packet

    def _others(self, file: IO[bytes], first: int, end: int) -> dict[int | None, list[int]]:
        """Times of decoding, in ticks, of all frames of other ids between two places, by id."""
        found: dict[int | None, list[int]] = {}
        for place, packet in _packets(file, first, end):
            stamp = packet.pts if packet.dts is None else packet.dts
            number = _id_at(file, place)
            if number != self._id and stamp is not None:
                found.setdefault(number, []).append(stamp)
        return found


class _Part(io.RawIOBase):
    """A part of a file, to be read as if it were all of it."""

    def __init__(self, file: IO[bytes], first: int, end: int) -> None:
        self._file, self._first, self._end = file, first, end
        self._at = first

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._at)
        self._file.seek(self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: self._first, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        return self.tell()

    def tell(self) -> int:
        return self._at - self._first


def _packets(file: IO[bytes], first: int, end: int) -> Iterator[tuple[int, Packet[Any]]]:
    """The compressed frames between two places, and where in the file each starts."""
    with (
        contextlib.suppress(av.FFmpegError, IndexError),  # a part without tables, or one that breaks off
        av.open(
            _Part(file, first, end), mode="r", format=FORMAT, metadata_errors="replace", options=dict(MERGED)
        ) as container,
    ):
        videos = container.streams.video
        for packet in container.demux(*videos) if videos else ():
            if packet.size and packet.pos is not None:
                yield first + packet.pos, packet


def _id_at(file: IO[bytes], place: int) -> int | None:
    """Id of the packet at a place in the file."""
    file.seek(place)
    data = file.read(TIME_CODE + 4)
    if data[:1] != SYNC:
        data = data[TIME_CODE:]
    return int.from_bytes(data[1:3], "big") & 0x1FFF if data[:1] == SYNC else None


def _length(last: int, head: Sequence[int], tail: Sequence[int]) -> int:
    """Ticks from the stamp ``last`` to the last one of another stream, of which the first and last few are known."""
    start = head[0]
    if 0 <= start - last <= LONGEST_GAP * TICKS:  # of one clock
        start = last
    return tail[-1] - start if tail[-1] >= start else tail[-1] - tail[0]
