"""Pictures as the frames of a video: each file is a frame, and how many of them make a second is said from outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame

from dsanet_cli.files.paths import Pictures
from dsanet_cli.video.container import video_error
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.probe import UNDECODABLE, Orientation, Picture, VideoInfo, nothing_after
from dsanet_cli.video.reader import Snippet, VideoReader, open_video, sample_offsets
from dsanet_cli.video.scaler import Moment, Scaler
from dsanet_cli.video.spans import Span, SpanLine
from dsanet_cli.video.view import View, check_view

TIME_STEP = 1e-3
"""Seconds; a picture that is shown this close to the border of a part counts as on it."""


def open_source(
    path: Path,
    size: tuple[int, int],
    sampled_frames: int,
    snippet_frames: int,
    threads: int,
    alive: Callable[[], None],
    options: ReadOptions,
    whole: bool,
    snippet_seconds: float | None = None,
) -> VideoReader | PictureReader:
    """Open a video or pictures; as ``open_video``.

    Raises:
        VideoError: as there, or pictures have no such stream.
    """
    if isinstance(path, Pictures):
        if options.stream:
            raise video_error(
                path, f"pictures have one stream, counted from 0, so there is no --stream {options.stream}"
            )
        return PictureReader(path, size, sampled_frames, SpanLine(snippet_frames, snippet_seconds), alive, options)
    return open_video(path, size, sampled_frames, snippet_frames, threads, alive, options, whole, snippet_seconds)


class PictureReader:
    """Reads pictures as ``FileReader`` reads a video file; they may differ in size and kind.

    Args:
        path: The pictures.
        size: (height, width) in pixels of the pictures delivered.
        sampled_frames: Pictures delivered per snippet, spread by ``sample_offsets``.
        line: Says which snippet each picture belongs to; no frame has come to it yet.
        alive: Is called for each picture.
        options: What to read of them.

    Raises:
        VideoError: none of the pictures can be decoded, there are none in that part, or region or mask do not go
            with them.
    """

    def __init__(
        self,
        path: Pictures,
        size: tuple[int, int],
        sampled_frames: int,
        line: SpanLine,
        alive: Callable[[], None],
        options: ReadOptions,
    ) -> None:
        self._first, self._files = _part(path, options)
        self._size = size
        self._sampled_frames = sampled_frames
        self._alive = alive
        self._options = options
        self._scalers: dict[int, Scaler] = {}
        """By the turns that pictures need."""
        self.info = self._initial_info = self._first_info(path)
        check_view(path, options, self.info.height, self.info.width)
        self._complete_info = replace(self.info, frames=len(path.files))
        if options.start or options.end is not None:
            end = self.info.duration if options.end is None else min(options.end, self.info.duration)
            self._complete_info = replace(self._complete_info, part=(options.start, end))
        fps, count = path.fps, len(self._files)
        for number in range(count):
            line.add(float((self._first + number) / fps))
        line.finish(float((self._first + count) / fps))
        self._laid = tuple(line.complete)

    def snippets(self, wanted: Collection[int] | None = None) -> Iterator[Snippet]:
        """See ``VideoReader.snippets``."""
        for span in self._spans():
            if wanted is not None and span.index not in wanted:
                continue
            frames = self._nearest(span)
            if frames:
                yield self._snippet(span, frames)
            else:
                self.info = self.info.with_hole(span.start, span.end, UNDECODABLE)

    def key_snippets(self) -> Iterator[Snippet]:
        """See ``VideoReader.key_snippets``: the first picture of each snippet, since any can be decoded by itself."""
        for span in self._spans():
            picture = self._picture(self._files[span.first])
            yield self._snippet(span, [] if picture is None else [picture])

    def _first_info(self, path: Pictures) -> VideoInfo:
        for file in path.files:
            self._alive()
            if (found := _decode(file)) is not None:
                frame, codec = found
                height, width = (frame.width, frame.height) if _turns(frame) % 2 else (frame.height, frame.width)
                duration = float(len(path.files) / path.fps)
                size = path.stat().st_size
                return VideoInfo(path, 0, path.fps, duration, width, height, codec, size, fps_from="option")
        count = len(path.files)
        raise video_error(path, f"none of the {count} pictures can be decoded; check that they open elsewhere")

    def _spans(self) -> Iterator[Span]:
        """All snippets; ``info`` starts anew, and is complete after them."""
        self.info = self._initial_info
        yield from self._laid
        self.info = replace(self._complete_info, gaps=self.info.gaps)

    def _nearest(self, span: Span) -> list[Picture]:
        """The pictures to look at, or those nearest to them that can be decoded."""
        chosen: dict[int, Picture] = {}
        broken: set[int] = set()
        numbers = span.numbers
        for target in sample_offsets(len(numbers), self._sampled_frames):
            for offset in sorted(range(len(numbers)), key=lambda offset: abs(offset - target)):
                if offset in chosen:
                    break
                picture = None if offset in broken else self._picture(self._files[numbers[offset]])
                if picture is not None:
                    chosen[offset] = picture
                    break
                broken.add(offset)
        return [chosen[offset] for offset in sorted(chosen)]

    def _picture(self, file: Path) -> Picture | None:
        """A file's picture, upright and of the size that is asked for; None if it cannot be decoded."""
        self._alive()
        found = _decode(file)
        if found is None:
            return None
        frame, _ = found
        turns = _turns(frame)
        if turns not in self._scalers:
            size = self._size[::-1] if turns % 2 else self._size
            self._scalers[turns] = Scaler(size, View.of(self._options, Orientation.turned(turns)))
        return np.rot90(self._scalers[turns].picture(Moment(frame)), turns)

    def _snippet(self, span: Span, pictures: list[Picture]) -> Snippet:
        frames = np.stack(pictures) if pictures else np.empty((0, *self._size, 3), np.uint8)
        return Snippet(span.index, span.start, span.end, span.length, frames, span.whole)


def _part(path: Pictures, options: ReadOptions) -> tuple[int, tuple[Path, ...]]:
    """The pictures to look at, and the number of the first.

    Raises:
        VideoError: there are none.
    """
    first = math.ceil((options.start - TIME_STEP) * path.fps)
    stop = len(path.files) if options.end is None else math.ceil((options.end - TIME_STEP) * path.fps)
    if not (files := path.files[first:stop]):
        length = len(path.files) / path.fps
        raise nothing_after(path, float(length), options.start)
    return first, files


def _turns(frame: VideoFrame) -> int:
    """Quarter turns counter-clockwise that make a picture upright, by what the camera noted in it."""
    return frame.rotation // 90 % 4


def _decode(file: Path) -> tuple[VideoFrame, str] | None:
    """The first picture in a file, and ffmpeg's name of its codec."""
    try:
        # Not by its name, of which ffmpeg might take a part for a number that counts.
        with file.open("rb") as stream, av.open(stream, mode="r", metadata_errors="replace") as container:
            video = container.streams.video[0]
            return next(container.decode(video)), video.codec_context.name
    except (OSError, av.FFmpegError, IndexError, StopIteration, ValueError):
        return None
