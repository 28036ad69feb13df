"""Which snippet each frame belongs to: so many frames, or so much time.

By frames, a snippet is 16 of them, however long that takes. By time, borders lie a snippet's length apart, and each
moves to the frame nearest to it. A snippet without a frame looks at the nearest one. Of 0.1 s each, at 5 frames/s::

    frames     0       1       2
    snippets   |---|---|---|---|---|---|
    looks at     0   1   1   2   2   2

No snippet has frames on both sides of a hole: the one before it ends there, and the next begins with the frame after.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from dsanet_cli.video.probe import TIME_STEP

SAME_LENGTH = 0.003
"""Share of a snippet's length by which a frame may miss a border that moves to it for good. So 29.97 frames a second
are cut into as many as 30 are, and borders never drift from one frame to another, even with stamps in milliseconds."""
LONGEST_STILL = 10.0
"""Seconds for which a frame may stand for snippets without one. After a longer pause, snippets begin anew, and the one
before it lasts as long as the pause."""


@dataclass(frozen=True)
class Span:
    """The frames of a snippet: ``length`` ones from number ``first`` on; ``start`` and ``end`` in seconds.

    Where ``length`` is 0, ``first`` is the frame nearest to it. ``whole``: the video's end does not cut it short.
    """

    index: int
    first: int
    length: int
    start: float
    end: float
    whole: bool = True

    @property
    def numbers(self) -> range:
        """Of the frames to look at."""
        return range(self.first, self.first + max(1, self.length))


class SpanLine:
    """Lays snippets over the frames of a video as they come, in the order in which they are shown.

    Args:
        frames: In a snippet.
        seconds: That a snippet lasts, instead; None counts frames.
        even: They are to be numbered by their place, as rows of features are: no hole ends a snippet of so many
            frames, and borders of time stay where they are.
    """

    def __init__(self, frames: int, seconds: float | None = None, even: bool = False) -> None:
        self._frames = frames
        self._seconds = seconds
        self._even = even
        self._zero = 0.0
        """Where snippet 0 would begin, had all the length of the present ones."""
        self._open: Span | None = None
        """The latest snippet, which ends with the latest frame as far as is known."""
        self._last = 0.0
        """Start of the latest frame."""
        self.count = 0
        """Frames so far."""
        self.complete: list[Span] = []
        """Snippets of which all is known, in order; whoever takes them removes them."""

    @property
    def settled(self) -> int:
        """Number of the first frame whose snippet is not complete."""
        return self.count if self._open is None else self._open.first

    def add(self, start: float, gap: float | None = None) -> int:
        """Add the next frame, and return its number.

        Args:
            start: When it is shown, in seconds.
            gap: Where a hole starts that ends with this frame.
        """
        number = self.count
        if self._open is None:
            index = 0
            self._begin(index, start)
        else:
            index = self._index_of(start, gap)
        if self._open is None:
            self._open = Span(index, number, 1, start, start)
        else:
            self._open = replace(self._open, length=self._open.length + 1)
        self.count += 1
        self._last = start
        return number

    def finish(self, end: float) -> None:
        """There are no more frames; the latest one is shown up to ``end``."""
        if self._open is not None:
            index = self._open.index
            reached = self._open.length >= self._frames if self._seconds is None else self._at(end) > index
            self._close(max(index + 1, self._at(end)), end, whole=reached)

    def _index_of(self, start: float, gap: float | None) -> int:
        """Index of the snippet of a frame after the first; completes those before it."""
        assert self._open is not None
        pause = self._seconds is not None and start - self._last > LONGEST_STILL
        through = self._even and self._seconds is None
        if (gap is not None and not through) or pause:
            end = start if gap is None else gap
            index = self._open.index + 1 if pause and gap is None else max(self._open.index + 1, self._at(end))
            self._close(index, end)
            self._begin(index, start)
            return index
        if self._seconds is None:
            index = self._open.index + (self._open.length >= self._frames)
        else:
            index = max(self._open.index, self._at(start))
        if index > self._open.index:
            self._close(index, start, following=self.count)
            if self._is_near(start, index):
                self._begin(index, start)
        return index

    def _at(self, time: float) -> int:
        """Index of the snippet that begins at the border nearest to ``time``, or of the one around it."""
        if self._seconds is None or self._open is None:
            return 0
        usual = (time - self._open.start) / self._open.length
        near = min(usual, self._seconds) / 2 + TIME_STEP
        return int((time - self._zero + near) // self._seconds)

    def _is_near(self, start: float, index: int) -> bool:
        """Whether the border before ``index`` moves to a frame for good."""
        if self._seconds is None or self._even:
            return False
        return abs(start - self._border(index)) <= SAME_LENGTH * self._seconds

    def _begin(self, index: int, start: float) -> None:
        if self._seconds is not None:
            self._zero = start - index * self._seconds

    def _border(self, index: int) -> float:
        return self._zero + index * (self._seconds or 0.0)

    def _close(self, index: int, end: float, *, following: int | None = None, whole: bool = True) -> None:
        """Complete all snippets before ``index``, of which the last ends at ``end``.

        Args:
            index: Of the next one.
            end: In seconds.
            following: Number of the frame at ``end``, if there is one.
            whole: The video does not end before it should.
        """
        span, self._open = self._open, None
        assert span is not None
        borders = [*(self._border(between) for between in range(span.index + 1, index)), end]
        self.complete.append(replace(span, end=borders[0], whole=whole))
        last = self.count - 1
        for at, (start, stop) in enumerate(itertools.pairwise(borders), span.index + 1):
            middle = (start + stop) / 2
            nearest = following if following is not None and end - middle < middle - self._last else last
            self.complete.append(Span(at, nearest, 0, start, stop))
