"""A video's compressed frames and its sound, with their times in the seconds of its timeline."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dsanet_cli.video.container import open_container
from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.pyav_decoder import PyavDecoder
from dsanet_cli.video.scaler import Deinterlacer

SKIPPED = 2.0
"""Seconds of sound before a span that are read all the same: files say only roughly where to find a time."""
Alive = Callable[[], None]
"""Is called all the time, to show that the work goes on."""


@dataclass(frozen=True)
class Compressed:
    """A compressed frame, in the order in which frames are stored."""

    packet: Packet[VideoStream]
    stamp: int
    """When it is shown, in ticks of the stream from the start of the file."""


def compressed(demuxer: Demuxer, alive: Alive) -> Iterator[Compressed]:
    """All compressed frames of a file, once.

    Chunks share the key frame at which they meet, and what follows it but is shown before it::

        chunk    I0 P3 B1 B2  I6 B4 B5
        next                  I6       P8 B7 ...
    """
    for at, chunk in enumerate(demuxer.chunks(1)):
        for packet in chunk.packets if at == 0 else chunk.packets[1:]:
            alive()
            yield Compressed(packet, (packet.pts or 0) - (demuxer.clock.zero or 0))


def pictures(demuxer: Demuxer, alive: Alive, wanted: Callable[[Chunk], bool]) -> Iterator[tuple[float, VideoFrame]]:
    """The pictures of those chunks that are wanted, each with its time in seconds; what is damaged is left out.

    Interlaced ones are made whole, as for the analysis.
    """
    decoder, deinterlacer = PyavDecoder(demuxer, alive), Deinterlacer()
    before: Chunk | None = None
    for chunk, after in itertools.pairwise(itertools.chain(demuxer.chunks(), [None])):
        assert chunk is not None
        alive()
        if wanted(chunk):
            times = dict(chunk.frames)
            for place, moment in decoder.decode(chunk, before, after):
                if place in times:
                    yield times[place], deinterlacer.frame(moment) if moment.interlaced else moment.frame
        before = chunk


class Sound:
    """The sound of a file, read beside its picture; a context manager.

    Args:
        path: Of the file.
        zero: Seconds on the clock of the file at which its timeline starts.
        start: Seconds of the timeline before which nothing will be asked for.
    """

    def __init__(self, path: Path, zero: float, start: float = 0.0) -> None:
        self._container = open_container(path)
        self._zero = zero
        if start > SKIPPED:
            with contextlib.suppress(av.FFmpegError):  # it is read from where it is, then
                self._container.seek(round((start + zero - SKIPPED) * av.time_base))
        found = self._container.streams.best("audio")
        self.stream = found if isinstance(found, AudioStream) and found.codec_context is not None else None
        """None where there is none that can be told apart."""
        self._ahead: list[tuple[float, Packet[AudioStream]]] = []
        self._packets = self._read()

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def codec(self) -> str | None:
        """As ffmpeg calls it."""
        return None if self.stream is None else self.stream.codec_context.codec.canonical_name

    def until(self, seconds: float) -> Iterator[tuple[float, Packet[AudioStream]]]:
        """What is heard up to a time and was not given yet, each piece with its time in seconds."""
        while True:
            if not self._ahead:
                following = next(self._packets, None)
                if following is None:
                    return
                self._ahead.append(following)
            if self._ahead[0][0] >= seconds:
                return
            yield self._ahead.pop()

    def _read(self) -> Iterator[tuple[float, Packet[AudioStream]]]:
        if self.stream is None:
            return
        base = float(self.stream.time_base or 0)
        try:
            for packet in self._container.demux(self.stream):
                if packet.size and packet.pts is not None:
                    yield packet.pts * base - self._zero, packet
        except (av.FFmpegError, IndexError):  # it ends where the file is damaged
            return
