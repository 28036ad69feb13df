"""The true times of frames in an AVI file.

AVI has no time stamps: ffmpeg counts the frames that it finds, so after a damaged spot all times are too early. The
index at the end of the file gives the number of each frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

from av.packet import Packet
from av.video.stream import VideoStream

CHUNK_HEADER = 8
"""Bytes between the position in the index and the frame."""
INDEX_ENTRY = 16
"""Bytes of a frame in the index."""
COMPARED = 8
"""Frames whose sizes identify their place in the index."""


def numbered(
    packets: Iterator[Packet[VideoStream]], stream: VideoStream, size: int
) -> Iterator[tuple[Packet[VideoStream], int]]:
    """Set the stamps of an AVI file's packets by its index, as far as it has one.

    Args:
        packets: Of the stream, in the order of the file.
        stream: Not read from yet.
        size: Of the file, in bytes.

    Yields:
        Each packet, and how many stamps it was moved by; more than the one before where frames are missing.
    """
    entries = [(entry.pos + CHUNK_HEADER, entry.size, entry.timestamp) for entry in stream.index_entries if entry.size]
    numbers = {position: number for position, _, number in entries}
    head = list(islice(packets, COMPARED))
    offset = _offset(head, entries, size)
    shift = 0
    for packet in chain(head, packets):
        number = None if packet.pos is None else numbers.get(packet.pos + offset)
        if number is not None and packet.dts is not None:
            shift = number - packet.dts
        if packet.dts is not None:
            packet.dts += shift
        if packet.pts is not None:
            packet.pts += shift
        yield packet, shift


def _offset(head: Sequence[Packet[VideoStream]], entries: Sequence[tuple[int, int, int]], size: int) -> int:
    """The difference between positions in the index and in the file.

    They count from the first frame, which is found too late where the start of the file is damaged. The frames
    found first are those of the same sizes for which all others lie before the index:

    ::

        in the file     x x x o o o o o o o | index
        by the index          x x x o o o o o o o
    """
    sizes = [packet.size for packet in head]
    known = [length for _, length, _ in entries]
    if not sizes or head[0].pos is None:
        return 0
    last = size - CHUNK_HEADER - INDEX_ENTRY * len(entries)
    for first in range(len(known) - len(sizes) + 1):
        offset = entries[first][0] - head[0].pos
        if known[first : first + len(sizes)] == sizes and entries[-1][0] - offset + known[-1] <= last:
            return offset
    return 0
