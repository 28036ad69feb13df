"""The snippets of a video before any of it is decoded: which frames each stands for, and when it is shown."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from av.packet import Packet
from av.video.stream import VideoStream

from dsanet_cli.video.demux import Chunk, Demuxer


@dataclass(frozen=True)
class Span:
    """The frames of a snippet: ``length`` ones from number ``first`` on; ``start`` and ``end`` in seconds."""

    index: int
    first: int
    length: int
    start: float
    end: float


@dataclass(frozen=True)
class Stretch:
    """A chunk within its video.

    Attributes:
        chunk: The compressed frames.
        before: The chunk before it.
        after: The chunk after it.
        first: Number of its first frame in the video.
        spans: Of all snippets with frames in it, in order; the first and the last can have more beside it.
    """

    chunk: Chunk
    before: Chunk | None
    after: Chunk | None
    first: int
    spans: tuple[Span, ...]

    @property
    def complete(self) -> tuple[Span, ...]:
        """Those of ``spans`` of which no frame comes after the chunk."""
        return tuple(span for span in self.spans if span.first + span.length <= self.end)

    @property
    def end(self) -> int:
        """Number of the first frame after it."""
        return self.first + len(self.chunk.frames)

    def key_packets(self) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """Its key frames, each with its number, or that of the next frame where it is hidden by an edit list."""
        shown = [place for place, _ in self.chunk.frames]
        for packet, place in zip(self.chunk.packets, self.chunk.ranks, strict=True):
            number = self.first + bisect.bisect_left(shown, place)
            if packet.is_keyframe and number < self.end:
                yield number, packet

    @property
    def numbers(self) -> dict[int, int]:
        """Number in the video of each of its frames, by the place in showing order."""
        return {place: number for number, (place, _) in enumerate(self.chunk.frames, self.first)}


def stretches(demuxer: Demuxer, snippet_frames: int) -> Iterator[Stretch]:
    """Read a video chunk by chunk, as far ahead as it takes to know all about the snippets of each chunk.

    That is one chunk where snippets are shorter: whether there are frames after a snippet decides how many it has,
    and when the next one starts decides when it ends.
    """
    chunks = demuxer.chunks()
    waiting: deque[Chunk] = deque()
    starts: list[float] = []  # of the frames from number ``base`` on, with which a snippet starts
    base = first = 0
    before: Chunk | None = None
    more = True
    while more or waiting:
        known = base + len(starts)
        if more and (len(waiting) < 2 or known <= first + len(waiting[0].frames) + snippet_frames):
            if (chunk := next(chunks, None)) is None:
                more = False
            else:
                waiting.append(chunk)
                starts += [start for _, start in chunk.frames]
            continue
        chunk = waiting.popleft()
        end = first + len(chunk.frames)
        spans = tuple(_spans(base, end, snippet_frames, starts, demuxer.clock.end))
        yield Stretch(chunk, before, waiting[0] if waiting else None, first, spans)
        before, first = chunk, end
        kept = end - end % snippet_frames
        del starts[: kept - base]
        base = kept


def _spans(base: int, end: int, length: int, starts: list[float], last_end: float) -> Iterator[Span]:
    """Spans of the frames ``base`` to ``end - 1``; ``starts`` in seconds, from ``base`` to beyond the last of them."""
    for first in range(base, end, length):
        at = first - base
        until = min(at + length, len(starts))
        span_end = starts[until] if until < len(starts) else last_end
        yield Span(first // length, first, until - at, starts[at], span_end)
