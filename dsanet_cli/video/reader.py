"""Frames of a video: a few evenly spread ones of each snippet, at the size asked for, one snippet at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.video.chunk_decoder import ChunkDecoder
from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.decord_decoder import MOST_THREADS, no_room
from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.probe import UNDECODABLE, Picture, VideoInfo, counted, read_first_frame
from dsanet_cli.video.pyav_decoder import PyavDecoder
from dsanet_cli.video.scaler import Scaler
from dsanet_cli.video.snippet_grid import Grid, Stretch
from dsanet_cli.video.spans import Span, SpanLine
from dsanet_cli.video.view import View, check_view

__all__ = ["Snippet", "VideoInfo", "VideoReader", "open_video", "sample_offsets"]


@dataclass(frozen=True)
class Snippet:
    """Consecutive frames of a video, and the pictures of some of them.

    ``start`` and ``end`` are seconds since the video's first frame, from the stream's own time stamps; ``end``
    is where the last frame ends, which is where the next snippet starts. ``frames``: (k, H, W, 3) uint8 RGB.
    ``length`` is the number of frames that it stands for, 0 where it lies between two; ``whole`` says that the video's
    end does not cut it short.
    """

    index: int
    start: float
    end: float
    length: int
    frames: Picture
    whole: bool = True


def sample_offsets(frames: int, sampled: int) -> list[int]:
    """Which of a snippet's ``frames`` to look at: the middles of ``sampled`` equal parts, or all frames."""
    if sampled >= frames:
        return list(range(frames))
    return [(2 * part + 1) * frames // (2 * sampled) for part in range(sampled)]


def open_video(
    path: Path,
    size: tuple[int, int],
    sampled_frames: int,
    snippet_frames: int = FRAMES_PER_SNIPPET,
    threads: int = MOST_THREADS,
    alive: Callable[[], None] = lambda: None,
    options: ReadOptions = WHOLE,
    whole: bool = False,
    snippet_seconds: float | None = None,
) -> VideoReader:
    """Open a video and decode its first picture.

    Args:
        path: Any video that ffmpeg can decode.
        size: (height, width) in pixels of the pictures delivered; the aspect ratio is not kept.
        sampled_frames: Pictures delivered per snippet, spread by ``sample_offsets``.
        snippet_frames: Frames in a snippet; the last one of a video holds the rest.
        threads: Decoding threads.
        alive: Is called all the time while frames are decoded, to show that the work goes on.
        options: What to read of it.
        whole: Let no hole end a snippet, so that all but the last have the same number of frames (or time).
        snippet_seconds: That a snippet lasts, whatever the number of its frames (``spans``).

    Raises:
        VideoError: missing, unreadable, empty, not a video, without picture, or cut off before its index; region or
            mask do not go with it.
    """
    new_line = partial(SpanLine, snippet_frames, snippet_seconds, whole)
    return VideoReader(path, size, sampled_frames, new_line, threads, alive, options)


class VideoReader:
    """Reads a file once per pass: ``snippet_grid`` says what its snippets are, ``chunk_decoder`` decodes them.

    ``info`` is what was found on the latest pass so far; all of it once that has ended.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        sampled_frames: int,
        new_line: Callable[[], SpanLine],
        threads: int,
        alive: Callable[[], None],
        options: ReadOptions,
    ) -> None:
        self._options = options
        self._new_line = new_line
        self._initial_info, self._orientation, self._parity = read_first_frame(path, options)
        self.info = info = self._initial_info
        check_view(path, options, info.height, info.width, info.pixel)
        self._view = View.of(options, self._orientation)
        self._size = height, width = size
        self._stored_size = (width, height) if self._orientation.transpose else (height, width)
        self._sampled_frames = sampled_frames
        self._threads = threads
        self._alive = alive

    def snippets(self, wanted: Collection[int] | None = None) -> Iterator[Snippet]:
        """Decode from the start of the video to its end.

        A snippet that cannot be decoded is left out, and a hole in ``info``. In one that can be decoded in part,
        the nearest frames stand for those that are missing.

        Args:
            wanted: Snippets to decode, by index; all others are left out, and no holes. All by default.

        Raises:
            VideoError: all are wanted, and none can be decoded; or there is no room for temporary files.
        """
        asked = None if wanted is None else frozenset(wanted)
        pictures: dict[int, Picture] = {}
        found = False
        with Demuxer(self.info.path, self._options, self._parity) as demuxer, self._scratch_folder() as folder:
            decoder = ChunkDecoder(demuxer, self._stored_size, Path(folder), self._threads, self._alive, self._view)
            for stretch in self._pass(demuxer):
                spans = [span for span in stretch.spans if asked is None or span.index in asked]
                pictures |= decoder.decode(stretch, {span: self._targets(span) for span in spans})
                for span in stretch.complete:
                    self._advance(span)
                    frames = self._nearest(span, pictures) if span in spans else []
                    if frames:
                        found = True
                        yield self._snippet(span, frames)
                    elif span in spans:
                        self.info = self.info.with_hole(span.start, span.end, UNDECODABLE)
                if stretch.numbers:
                    kept = min(
                        (span.first for span in stretch.spans if span.numbers.stop > stretch.end), default=stretch.end
                    )
                    pictures = {number: picture for number, picture in pictures.items() if number >= kept}
        if not found and asked is None:
            raise video_error(self.info.path, f"no frame can be decoded; {COPY_AGAIN}")

    def key_snippets(self) -> Iterator[Snippet]:
        """All snippets, in the time that it takes to decode the key frames.

        Each has one picture, that of its first key frame, or none where it has no key frame that can be decoded.
        Only a missing end of the video is a hole in ``info`` then.
        """
        scaler = Scaler(self._stored_size, self._view)
        keys: dict[int, Packet[VideoStream]] = {}
        with Demuxer(self.info.path, self._options, self._parity) as demuxer:
            decoder = PyavDecoder(demuxer, self._alive)
            for stretch in self._pass(demuxer):
                for number, packet in stretch.key_packets():
                    keys.setdefault(number, packet)
                for span in stretch.complete:
                    self._advance(span)
                    own = [keys.pop(number) for number in sorted(keys) if number < span.first + span.length]
                    frame = decoder.key_frame(own[0]) if own else None
                    yield self._snippet(span, [] if frame is None else [scaler.picture(frame)])

    def _pass(self, demuxer: Demuxer) -> Iterator[Stretch]:
        """All stretches; ``info`` starts anew, and is complete after them."""
        self.info = self._initial_info
        frames = 0
        for stretch in Grid(demuxer, self._new_line()).stretches():
            self._alive()
            yield stretch
            frames += len(stretch.chunk.frames)
        self.info = counted(self.info, demuxer, frames)

    def _advance(self, span: Span) -> None:
        self.info = replace(self.info, frames=self.info.frames + span.length, duration=span.end)

    def _targets(self, span: Span) -> list[int]:
        numbers = span.numbers
        return [numbers[offset] for offset in sample_offsets(len(numbers), self._sampled_frames)]

    def _nearest(self, span: Span, pictures: Mapping[int, Picture]) -> list[Picture]:
        """The pictures of the frames to look at, or of those nearest to them."""
        there = [number for number in span.numbers if number in pictures]
        if not there:
            return []
        chosen = {min(there, key=lambda number: abs(number - target)) for target in self._targets(span)}
        return [pictures[number] for number in sorted(chosen)]

    def _snippet(self, span: Span, pictures: Sequence[Picture]) -> Snippet:
        height, width = self._size
        frames = np.empty((len(pictures), height, width, 3), np.uint8)
        for frame, picture in zip(frames, pictures, strict=True):
            frame[:] = self._orientation.upright(picture)
        return Snippet(span.index, span.start, span.end, span.length, frames, span.whole)

    def _scratch_folder(self) -> tempfile.TemporaryDirectory[str]:
        try:
            return tempfile.TemporaryDirectory(prefix="dsanet-")
        except OSError as error:
            raise no_room(self.info.path, error) from error
