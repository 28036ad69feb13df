"""The snippets of a video before any of it is decoded: which frames each stands for, and when it is shown.

Frames have numbers, and a snippet of 16 those from 16 times its index on. No snippet has frames on both sides of a
hole: the one before it ends early, and numbers are left out up to the next one.

    frames     o o o o o o o o o o o ~~~ hole ~~~ o o o o o o o
    numbers    0 1 2 3 4 5 6 7 8 9 10             12 13 14 ...
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
        numbers: Number in the video of each of its frames, by the place in showing order.
        end: Number from which on all frames come after it.
        spans: Of all snippets with frames in it, in order; the first and the last can have more beside it.
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
        return tuple(span for span in self.spans if span.first + span.length <= self.end)

    def key_packets(self) -> Iterator[tuple[int, Packet[VideoStream]]]:
        """Its key frames, each with its number, or that of the next frame where it is hidden by an edit list."""
        shown = list(self.numbers)
        for packet, place in zip(self.chunk.packets, self.chunk.ranks, strict=True):
            at = bisect.bisect_left(shown, place)
            if packet.is_keyframe and at < len(shown):
                yield self.numbers[shown[at]], packet


@dataclass(frozen=True)
class _Frame:
    """Number and start of a frame, and where a hole right before it starts; times in seconds."""

    number: int
    start: float
    gap: float | None


class Grid:
    """Numbers the frames of a video and lays snippets over them.

    Args:
        demuxer: Of the video.
        snippet_frames: Frames in a snippet.
        whole: Let no hole end a snippet.
    """

    def __init__(self, demuxer: Demuxer, snippet_frames: int, whole: bool = False) -> None:
        self._demuxer = demuxer
        self._length = snippet_frames
        options = demuxer.options
        self._from = options.start - TIME_STEP
        self._to = math.inf if options.end is None else options.end - TIME_STEP
        self._whole = whole
        self._known: list[_Frame] = []
        """Frames from the start of a snippet on, the first that is not complete."""
        self._next = 0
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
                else:
                    numbers = self._number(read)
                    waiting.append((read, numbers, self._next))
                continue
            chunk, numbers, end = waiting.popleft()
            after = waiting[0][0] if waiting else None
            spans = tuple(self._spans(end)) if numbers else ()
            yield Stretch(chunk, before, after, numbers, end, spans)
            before = chunk
            self._forget(end)

    def _is_open(self, numbers: dict[int, int], end: int) -> bool:
        """Whether frames that are not known yet can matter to a chunk's snippets."""
        return bool(numbers) and self._stop is None and self._next <= end + self._length

    def _number(self, chunk: Chunk) -> dict[int, int]:
        """Numbers of a chunk's frames by their places."""
        numbers = {}
        for place, start in chunk.frames:
            if start >= self._to and self._stop is None:
                self._stop = chunk.gaps.get(place, start)
            if not self._from <= start < self._to:
                continue
            gap = None if self._whole else chunk.gaps.get(place)
            if gap is not None:
                self._next += -self._next % self._length
            numbers[place] = self._next
            self._known.append(_Frame(self._next, start, gap))
            self._next += 1
        return numbers

    def _spans(self, end: int) -> Iterator[Span]:
        """Spans of the known frames that come before number ``end``."""
        frames = self._known
        at = 0
        while at < len(frames) and frames[at].number < end:
            index = frames[at].number // self._length
            until = self._place((index + 1) * self._length)
            first = frames[at]
            yield Span(index, first.number, until - at, first.start, self._end(until))
            at = until

    def _forget(self, end: int) -> None:
        """Forget all known frames but those of a snippet that has frames before and from number ``end`` on."""
        at = self._place(end)
        if at < len(self._known):
            at = self._place(self._known[at].number // self._length * self._length)
        del self._known[:at]

    def _place(self, number: int) -> int:
        return bisect.bisect_left(self._known, number, key=lambda frame: frame.number)

    def _end(self, until: int) -> float:
        """Where the snippet before the known frame ``until`` ends."""
        if until == len(self._known):
            return self._demuxer.clock.end if self._stop is None else self._stop
        frame = self._known[until]
        return frame.start if frame.gap is None else frame.gap
