"""Frames of a video: a few evenly spread ones of each snippet, at the size asked for, one snippet at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import decord
import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.demux import Chunk, Demuxer, VideoInfo, probe
from dsanet_cli.errors import VideoError

__all__ = ["DecordReader", "Snippet", "VideoInfo", "VideoReader", "open_video", "sample_offsets"]

THREADS = min(os.cpu_count() or 1, 4)
"""Decoding threads; more only lengthens the decoder's start at each chunk."""
CHUNK_CONTAINERS = ("nut", "matroska", "mov")
"""NUT holds any codec, but decord wants a frame rate or count, which ffmpeg cannot tell from a NUT of one frame
or of some MPEG-4; one of the others then holds it."""
NO_REPEATS = 1e-9
"""decord's tolerated share of frames it could not decode and fills with the one before: none."""



class Misaligned(Exception):
    """The decoder gave more or fewer frames than the stream has."""


DECODER_ERRORS = (decord.DECORDError, decord.DECORDLimitReachedError, RuntimeError, ValueError, av.FFmpegError, Misaligned)

decord.logging.set_level(decord.logging.QUIET)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Snippet:
    """Consecutive frames of a video, and a sample of their pictures.

    ``start`` and ``end`` are seconds since the first frame of the video, from the stream's own time stamps;
    ``end`` is where the last frame ends, which is where the next snippet starts. ``frames``: (k, H, W, 3)
    uint8 RGB.
    """

    index: int
    start: float
    end: float
    frames: Picture


class VideoReader(Protocol):
    """What the rest of the program knows of a decoder."""

    info: VideoInfo

    def snippets(self) -> Iterator[Snippet]:
        """Decode from the start to the end of the video.

        Raises:
            VideoError: where decoding fails, after the snippets before it.
        """

    def close(self) -> None:
        """Stop a running ``snippets`` soon, also from another thread."""


def sample_offsets(frames: int, sampled: int) -> list[int]:
    """Which of a snippet's ``frames`` to look at: ``sampled`` of them in the middles of equal parts, or all."""
    if sampled >= frames:
        return list(range(frames))
    return [(2 * j + 1) * frames // (2 * sampled) for j in range(sampled)]


def open_video(
    path: Path, size: tuple[int, int], sampled_frames: int, snippet_frames: int = FRAMES_PER_SNIPPET
) -> VideoReader:
    """Open a video and read through it once, without decoding, to count its frames.

    Args:
        path: Any file that ffmpeg can decode.
        size: (height, width) in pixels of the frames delivered; the aspect ratio is not kept.
        sampled_frames: Frames delivered per snippet.
        snippet_frames: Frames in a snippet; the last snippet of a video holds the rest.

    Raises:
        VideoError: missing, unreadable, empty, not a video, without picture, or cut off before its index.
    """
    return DecordReader(path, size, sampled_frames, snippet_frames)


class DecordReader:
    """Decodes with decord, chunk by chunk; see ``dsanet_cli.demux`` for why not the file as a whole."""

    def __init__(self, path: Path, size: tuple[int, int], sampled_frames: int, snippet_frames: int) -> None:
        self.info, self._orientation = probe(path)
        height, width = size
        self._stored_size = (width, height) if self._orientation.transpose else (height, width)
        self._snippet_frames = snippet_frames
        self._last_snippet = (self.info.frames - 1) // snippet_frames
        self._offsets = frozenset(sample_offsets(snippet_frames, sampled_frames))
        rest = self.info.frames - self._last_snippet * snippet_frames
        self._last_offsets = frozenset(sample_offsets(rest, sampled_frames))
        self._closed = False

    def snippets(self) -> Iterator[Snippet]:
        """See ``VideoReader.snippets``."""
        number, start = 0, 0.0
        pictures: list[Picture] = []
        with Demuxer(self.info.path) as demuxer:
            for index, (begin, picture) in enumerate(self._frames(demuxer)):
                if index and index % self._snippet_frames == 0:
                    yield Snippet(number, start, begin, np.stack(pictures))
                    number, start, pictures = number + 1, begin, []
                if picture is not None:
                    pictures.append(picture)
            if self._closed:
                return
            if not pictures or number != self._last_snippet:
                raise VideoError(f"{self.info.path}: changed while it was read; wait until it is complete")
            yield Snippet(number, start, demuxer.clock.end, np.stack(pictures))

    def close(self) -> None:
        """See ``VideoReader.close``."""
        self._closed = True

    def _frames(self, demuxer: Demuxer) -> Iterator[tuple[float, Picture | None]]:
        """Start in seconds of every frame, with its picture (H, W, 3) where it is a sampled one."""
        first = 0
        joint: Picture | None = None
        with tempfile.TemporaryDirectory(prefix="dsanet-") as folder:
            for chunk in demuxer.chunks():
                wanted = {place for i, (place, _) in enumerate(chunk.frames, first) if self._is_sampled(i)}
                pictures = self._decode(demuxer, chunk, wanted, Path(folder))
                # Chunks overlap in one frame. Decoded both ways it is the same, if it really is a key frame.
                if joint is not None and not np.array_equal(joint, pictures[0]):
                    raise self._broken_at(chunk)
                joint = pictures[len(chunk.packets) - 1] if chunk.overlaps else None
                first += len(chunk.frames)
                for place, start in chunk.frames:
                    if self._closed:
                        return
                    yield start, pictures[place] if place in wanted else None

    def _is_sampled(self, index: int) -> bool:
        number, offset = divmod(index, self._snippet_frames)
        return offset in (self._last_offsets if number == self._last_snippet else self._offsets)

    def _decode(
        self, demuxer: Demuxer, chunk: Chunk, wanted: set[int], folder: Path
    ) -> dict[int, Picture]:
        """Pictures (H, W, 3) of a chunk by their place in showing order: the wanted, the first and the last."""
        try:
            reader = self._open_chunk(demuxer, chunk, folder)
            frames = _read(reader, len(chunk.packets), wanted, chunk.ordered)
        except DECODER_ERRORS as error:
            raise self._broken_at(chunk) from error
        return {place: self._picture(frame) for place, frame in frames.items()}

    def _open_chunk(self, demuxer: Demuxer, chunk: Chunk, folder: Path) -> decord.VideoReader:
        height, width = self._stored_size
        failure: Exception = Misaligned()
        for container in CHUNK_CONTAINERS:
            file = folder / f"chunk.{container}"
            try:
                demuxer.write(chunk, file, container)
            except OSError as error:
                raise VideoError(
                    f"{self.info.path}: no temporary file can be written in {folder.parent} "
                    f"({error.strerror}); free some space or set TMPDIR"
                ) from error
            except ValueError as error:  # not for this codec
                failure = error
                continue
            try:
                return decord.VideoReader(
                    str(file), width=width, height=height, num_threads=THREADS, fault_tol=NO_REPEATS
                )
            except decord.DECORDError as error:
                failure = error
        raise failure

    def _broken_at(self, chunk: Chunk) -> VideoError:
        start = chunk.frames[0][1] if chunk.frames else 0.0
        return VideoError(
            f"{self.info.path}: cannot be decoded beyond {start:.1f} s, frames are damaged or incomplete; "
            "copy it again, re-encode it, or cut it before that point"
        )

    def _picture(self, frame: NDArray[np.uint8]) -> Picture:
        height, width = self._stored_size
        # Rows are padded for alignment. Where the row is then a whole number of bytes per pixel, decord
        # takes that number for the number of channels.
        rows = frame.reshape(height, -1)[:, : 3 * width]
        return self._orientation.upright(rows.reshape(height, width, 3))


def _read(
    reader: decord.VideoReader, count: int, wanted: set[int], ordered: bool
) -> dict[int, NDArray[np.uint8]]:
    """Read the first, the ``wanted`` and the last of ``count`` frames, forwards and without a seek.

    decord skips frames without converting them, which saves up to half of the time, but it takes for granted
    that every packet gives one frame: if one is missing, all others after it move up. So the first frame is
    always read (before it the decoder answers that it needs more data, which a skip counts as a frame), and
    the last, and then there must be no more.

    Raises:
        Misaligned: frames are missing or left over.
        decord.DECORDError: decoding failed.
    """
    if len(reader) != count:
        raise Misaligned
    # Codecs without any other kind of frame mark all as key frames, and a skip seeks to key frames.
    can_skip = ordered and reader.get_key_indices() == [0]
    kept = {0, count - 1} | wanted
    frames: dict[int, NDArray[np.uint8]] = {}
    position = 0
    for place in sorted(kept) if can_skip else range(count):
        if place > position:
            reader.skip_frames(place - position)
        frame = _next(reader)
        position = place + 1
        if frame is None:
            raise Misaligned
        if place in kept:
            frames[place] = frame.asnumpy()
    if _next(reader) is not None:
        raise Misaligned
    return frames


def _next(reader: decord.VideoReader) -> Any:
    try:
        return reader.next()
    except StopIteration:
        return None
