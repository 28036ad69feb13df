"""Decoded frames as pictures: deinterlaced where they say that they are interlaced, cut if asked for, scaled, in RGB.

The lines of an interlaced frame show two times, the even ones and the odd ones one each. What has moved between them
has combed edges, which mean nothing to an encoder of pictures. Lines of the other time are made anew, from those
around them and from the frames before and after:

    lines of     before   frame   after            lines 1, 3, 5 of the picture
    one time       0        0       0              = from 0, 2, 4, 6 of the frame
    the other      1        1       1                and 1, 3, 5 of all three
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

from dsanet_cli.video.container import Parity
from dsanet_cli.video.probe import Picture
from dsanet_cli.video.view import View

EXACT = "bicubic+accurate_rnd"
"""How frames become RGB before they are cut, and what is left is scaled: two steps, in which less must get lost."""


@dataclass(frozen=True)
class Moment:
    """A decoded frame, whether its lines show two times, and the frames shown before and after it where known."""

    frame: VideoFrame
    interlaced: bool = False
    before: VideoFrame | None = None
    after: VideoFrame | None = None
    parity: Parity | None = None
    """Which lines come first, where the frame itself does not say that it is interlaced."""


class Deinterlacer:
    """Makes interlaced frames whole, with ffmpeg's filter yadif, which does it for a frame without neighbours, too."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._source: object = None

    def frame(self, moment: Moment) -> VideoFrame:
        """A frame for the time of the first lines of ``moment``'s."""
        kind = _kind(moment.frame)
        source = kind, moment.parity
        if self._graph is None or source != self._source:
            fields = "parity=auto:deint=interlaced" if moment.parity is None else f"parity={moment.parity}:deint=all"
            self._graph = _graph(moment.frame, ("yadif", f"mode=send_frame:{fields}"))
            self._source = source
        for near in (moment.before, moment.frame, moment.after):
            frame = moment.frame if near is None or _kind(near) != kind else near
            frame.pts = None
            self._graph.push(frame)
        # The filter gives a frame once it has the next one, so the latest is what was asked for.
        found = moment.frame
        with contextlib.suppress(BlockingIOError):
            while True:
                latest = self._graph.pull()
                assert isinstance(latest, VideoFrame)
                found = latest
        return found


class Scaler:
    """Makes RGB pictures of one size out of decoded frames, as decord does: with ffmpeg's scale filter, bicubic.

    Interlaced frames are made whole before that, and cut and blackened where only a part is looked at, which decord
    does not do.

    Args:
        size: (height, width) in pixels of the pictures.
        view: What is looked at; None is all.
    """

    def __init__(self, size: tuple[int, int], view: View | None = None) -> None:
        self._resizer = _Resizer(size, "bicubic" if view is None else EXACT)
        self._view = view
        self._converter = _Resizer(None, EXACT)
        self._deinterlacer = Deinterlacer()

    def picture(self, moment: Moment) -> Picture:
        """Picture (H, W, 3) of a frame of any size and pixel format."""
        frame = self._deinterlacer.frame(moment) if moment.interlaced else moment.frame
        if self._view is not None:
            frame = VideoFrame.from_ndarray(self._view.seen(self._converter.picture(frame)), "rgb24")
        return self._resizer.picture(frame)


class _Resizer:
    """Makes RGB pictures of one size, or with ``size`` None of the frames' own."""

    def __init__(self, size: tuple[int, int] | None, flags: str) -> None:
        self._size = size
        self._flags = flags
        self._graph: Graph | None = None
        self._source: object = None

    def picture(self, frame: VideoFrame) -> Picture:
        """Picture (H, W, 3) of a frame."""
        source = _kind(frame)
        if self._graph is None or source != self._source:
            self._graph, self._source = self._make_graph(frame), source
        frame.pts = None
        self._graph.push(frame)
        scaled = self._graph.pull()
        assert isinstance(scaled, VideoFrame)
        return np.asarray(scaled.to_ndarray(), np.uint8)

    def _make_graph(self, frame: VideoFrame) -> Graph:
        height, width = self._size or (frame.height, frame.width)
        return _graph(frame, ("scale", f"{width}:{height}:flags={self._flags}"), ("format", "rgb24"))


def _kind(frame: VideoFrame) -> object:
    """What a graph of filters is made for."""
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range


def _graph(frame: VideoFrame, *filters: tuple[str, str]) -> Graph:
    """Filters one after another, for frames like this."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    steps = [source, *(graph.add(name, options) for name, options in filters), graph.add("buffersink")]
    for one, next_one in itertools.pairwise(steps):
        one.link_to(next_one)
    graph.configure()
    return graph
