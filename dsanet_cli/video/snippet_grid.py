"""The snippets of a video before any of it is decoded: which frames each stands for, and when it is shown.

Frames have numbers, in the order in which they are shown; ``spans`` says which snippet each belongs to.

    frames     o o o o o o o o o o o ~~~ hole ~~~ o o o o o o o
    numbers    0 1 2 3 4 5 6 7 8 9 10             11 12 13 ...
    snippets   |-----|-------|-----|              |-----|          (of 4 frames, the third has 3)
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from av.packet import Packet
from av.video.stream import VideoStream

from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.probe import TIME_STEP
from dsanet_cli.video.spans import Span, SpanLine


@dataclass(frozen=True)
class Stretch:
    """A chunk within its video.

    Attributes:
        chunk: The compressed frames.
        before: The chunk before it.
        after: The chunk after it.
        numbers: Number in the video of each of its frames, by the place in showing order.
        end: Number from which on all frames come after it.
        spans: Of all snippets that look at frames in it, in order; the first and the last can have more beside it.
    """

    chunk: Chunk
    before: Chunk | None
    after: Chunk | None
    numbers: dict[int, int]
    end: int
    spans: tuple[Span, ...]

    @property
    def complete(self) -> tuple[Span, ...]:
        """Those of ``spans`` of which no frame comes after the chunk."""
        return tuple(span for span in self.spans if span.numbers.stop <= self.end)

    def key_packets(self) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """Its key frames, each with its number, or that of the next frame where it is hidden by an edit list."""
        shown = list(self.numbers)
        for packet, place in zip(self.chunk.packets, self.chunk.ranks, strict=True):
            at = bisect.bisect_left(shown, place)
            if packet.is_keyframe and at < len(shown):
                yield self.numbers[shown[at]], packet


class Grid:
    """Numbers the frames of a video and lays snippets over them.

    Args:
        demuxer: Of the video.
        line: Says which snippet each frame belongs to; no frame has come to it yet.
    """

    def __init__(self, demuxer: Demuxer, line: SpanLine) -> None:
        self._demuxer = demuxer
        self._line = line
        options = demuxer.options
        self._from = options.start - TIME_STEP
        self._to = math.inf if options.end is None else options.end - TIME_STEP
        self._stop: float | None = None
        """Start of the first frame after the part, or of the hole before it."""

    def stretches(self) -> Iterator[Stretch]:
        """Read a video chunk by chunk, as far ahead as it takes to know all about the snippets of each chunk.

        That is one chunk where snippets are shorter: whether there are frames after a snippet decides how many it
        has, and when the next one starts decides when it ends.
        """
        chunks = self._demuxer.chunks()
        waiting: deque[tuple[Chunk, dict[int, int], int]] = deque()
        before: Chunk | None = None
        more = True
        while more or waiting:
            if more and (len(waiting) < 2 or self._is_open(*waiting[0][1:])):
                if (read := next(chunks, None)) is None:
                    more = False
                    self._line.finish(self._demuxer.clock.end)
                else:
                    numbers = self._number(read)
                    waiting.append((read, numbers, self._line.count))
                continue
            chunk, numbers, end = waiting.popleft()
            after = waiting[0][0] if waiting else None
            yield Stretch(chunk, before, after, numbers, end, self._spans(end) if numbers else ())
            before = chunk

    def _is_open(self, numbers: dict[int, int], end: int) -> bool:
        """Whether frames that are not known yet can matter to a chunk's snippets."""
        return bool(numbers) and self._line.settled < end

    def _number(self, chunk: Chunk) -> dict[int, int]:
        """Numbers of a chunk's frames by their places."""
        numbers = {}
        for place, start in chunk.frames:
            if start >= self._to and self._stop is None:
                self._stop = chunk.gaps.get(place, start)
                self._line.finish(self._stop)
            if self._from <= start < self._to:
                numbers[place] = self._line.add(start, chunk.gaps.get(place))
        return numbers

    def _spans(self, end: int) -> tuple[Span, ...]:
        """Of the snippets that look at frames before number ``end``; those that look at no others are forgotten."""
        known = self._line.complete
        spans = tuple(known[: bisect.bisect_left(known, end, key=lambda span: span.first)])
        del known[: bisect.bisect_right(known, end, key=lambda span: span.numbers.stop)]
        return spans
