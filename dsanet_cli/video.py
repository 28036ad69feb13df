"""Frames of a video: a few evenly spread ones of each snippet, at the size asked for, one snippet at a time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import decord
import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.container import video_error
from dsanet_cli.demux import Chunk, Demuxer
from dsanet_cli.errors import VideoError
from dsanet_cli.probe import VideoInfo, probe

__all__ = ["DecordReader", "Snippet", "VideoInfo", "VideoReader", "open_video", "sample_offsets"]

THREADS = min(os.cpu_count() or 1, 4)
"""Decoding threads; more only lengthen the decoder's start at each chunk."""
CHUNK_CONTAINERS = ("nut", "matroska", "mov")
"""Tried in turn. NUT holds nearly any codec, but decord wants a frame rate or a frame count, and ffmpeg finds
neither in a NUT file of one frame or of some MPEG-4; one of the others then does it."""
NO_REPEATS = 1e-9
"""The share of missing frames that decord may replace by the frame before: none."""

Picture = NDArray[np.uint8]


class Misaligned(Exception):
    """The decoder gave more or fewer frames than the stream has."""


DECODER_ERRORS = (decord.DECORDError, decord.DECORDLimitReachedError, av.FFmpegError, ValueError, Misaligned)

decord.logging.set_level(decord.logging.QUIET)


@dataclass(frozen=True)
class Snippet:
    """Consecutive frames of a video, and the pictures of some of them.

    ``start`` and ``end`` are seconds since the video's first frame, from the stream's own time stamps; ``end``
    is where the last frame ends, which is where the next snippet starts. ``frames``: (k, H, W, 3) uint8 RGB.
    """

    index: int
    start: float
    end: float
    frames: Picture


class VideoReader(Protocol):
    """What the rest of the program knows of a decoder."""

    info: VideoInfo

    def snippets(self) -> Iterator[Snippet]:
        """Decode from the start of the video to its end.

        Raises:
            VideoError: where decoding fails, after the snippets before it.
        """

    def close(self) -> None:
        """Let a running ``snippets`` end soon; from any thread."""


def sample_offsets(frames: int, sampled: int) -> list[int]:
    """Which of a snippet's ``frames`` to look at: the middles of ``sampled`` equal parts, or all frames."""
    if sampled >= frames:
        return list(range(frames))
    return [(2 * part + 1) * frames // (2 * sampled) for part in range(sampled)]


def open_video(
    path: Path, size: tuple[int, int], sampled_frames: int, snippet_frames: int = FRAMES_PER_SNIPPET
) -> VideoReader:
    """Open a video and read through it once, without decoding, to count its frames.

    Args:
        path: Any video that ffmpeg can decode.
        size: (height, width) in pixels of the pictures delivered; the aspect ratio is not kept.
        sampled_frames: Pictures delivered per snippet, spread by ``sample_offsets``.
        snippet_frames: Frames in a snippet; the last one of a video holds the rest.

    Raises:
        VideoError: missing, unreadable, empty, not a video, without picture, or cut off before its index.
    """
    return DecordReader(path, size, sampled_frames, snippet_frames)


class DecordReader:
    """Decodes with decord, chunk by chunk; ``dsanet_cli.demux`` says why not the file as a whole."""

    def __init__(self, path: Path, size: tuple[int, int], sampled_frames: int, snippet_frames: int) -> None:
        self.info, self._orientation = probe(path)
        height, width = size
        self._stored_size = (width, height) if self._orientation.transpose else (height, width)
        self._snippet_frames = snippet_frames
        self._last_snippet = (self.info.frames - 1) // snippet_frames
        rest = self.info.frames - self._last_snippet * snippet_frames
        self._offsets = frozenset(sample_offsets(snippet_frames, sampled_frames))
        self._last_offsets = frozenset(sample_offsets(rest, sampled_frames))
        self._closed = False

    def snippets(self) -> Iterator[Snippet]:
        """See ``VideoReader.snippets``."""
        count, start = 0, 0.0
        pictures: list[Picture] = []
        with Demuxer(self.info.path) as demuxer, contextlib.closing(self._frames(demuxer)) as frames:
            for begin, picture in frames:
                end = begin
                if count == self.info.frames:
                    break  # still being recorded: what came after it was opened is left
                if count and count % self._snippet_frames == 0:
                    yield Snippet(count // self._snippet_frames - 1, start, end, np.stack(pictures))
                    start, pictures = begin, []
                if picture is not None:
                    pictures.append(picture)
                count += 1
            else:
                end = demuxer.clock.end
        if self._closed:
            return
        if count < self.info.frames:
            raise video_error(self.info.path, "changed while it was read; try again when it is complete")
        yield Snippet(self._last_snippet, start, end, np.stack(pictures))

    def close(self) -> None:
        """See ``VideoReader.close``."""
        self._closed = True

    def _frames(self, demuxer: Demuxer) -> Generator[tuple[float, Picture | None], None, None]:
        """Start in seconds of each frame, and its picture (H, W, 3) if it is a sampled one."""
        first = 0
        joint: Picture | None = None
        with self._scratch_folder() as folder:
            for chunk in demuxer.chunks():
                sampled = {place for i, (place, _) in enumerate(chunk.frames, first) if self._is_sampled(i)}
                pictures = self._decode(demuxer, chunk, sampled, Path(folder))
                # Chunks share a frame. If it is a true key frame, it looks the same at both of its places.
                if joint is not None and not np.array_equal(joint, pictures[0]):
                    raise self._broken_at(chunk)
                joint = pictures[len(chunk.packets) - 1] if chunk.overlaps else None
                first += len(chunk.frames)
                for place, start in chunk.frames:
                    if self._closed:
                        return
                    yield start, pictures.pop(place) if place in sampled else None

    def _scratch_folder(self) -> tempfile.TemporaryDirectory[str]:
        try:
            return tempfile.TemporaryDirectory(prefix="dsanet-")
        except OSError as error:
            raise self._no_room(error) from error

    def _no_room(self, error: OSError) -> VideoError:
        return video_error(
            self.info.path, f"no temporary file can be written ({error.strerror}); free some space or set TMPDIR"
        )

    def _is_sampled(self, index: int) -> bool:
        number, offset = divmod(index, self._snippet_frames)
        return offset in (self._last_offsets if number == self._last_snippet else self._offsets)

    def _decode(self, demuxer: Demuxer, chunk: Chunk, sampled: Set[int], folder: Path) -> dict[int, Picture]:
        """Pictures (H, W, 3) by place in showing order: the sampled ones, the first and the last of a chunk."""
        try:
            reader = self._open_chunk(demuxer, chunk, folder)
            frames = _read(reader, len(chunk.packets), sampled, chunk.ordered)
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
                return decord.VideoReader(
                    str(file), width=width, height=height, num_threads=THREADS, fault_tol=NO_REPEATS
                )
            except OSError as error:
                raise self._no_room(error) from error
            except (decord.DECORDError, ValueError) as error:
                failure = error
        raise failure

    def _picture(self, frame: Picture) -> Picture:
        height, width = self._stored_size
        # Rows are padded. If a padded row divides by the width, decord takes the quotient for the channels.
        rows = frame.reshape(height, -1)[:, : 3 * width]
        return self._orientation.upright(rows.reshape(height, width, 3))

    def _broken_at(self, chunk: Chunk) -> VideoError:
        start = chunk.frames[0][1] if chunk.frames else 0.0
        return video_error(
            self.info.path,
            f"cannot be decoded beyond {start:.1f} s, frames are damaged or missing; "
            "copy it again, re-encode it, or cut it before that point",
        )


def _read(reader: decord.VideoReader, count: int, sampled: Set[int], ordered: bool) -> dict[int, Picture]:
    """Read the first, the sampled and the last of ``count`` frames, forwards and without a seek.

    decord skips frames without converting them, which saves up to half of the time, but it takes for granted
    that every packet gives one frame: where one is missing, all after it move up. So the first frame is always
    read (a skip counts the decoder's answers that it needs more data before that as frames), and so is the
    last, after which there must be no more.

    Raises:
        Misaligned: frames are missing or left over.
        decord.DECORDError: decoding failed.
    """
    if len(reader) != count:
        raise Misaligned
    # Where a codec knows key frames only, all are marked so, and a skip would seek.
    can_skip = ordered and reader.get_key_indices() == [0]
    kept = {0, count - 1} | sampled
    frames: dict[int, Picture] = {}
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


def _next(reader: decord.VideoReader) -> decord.nd.NDArray | None:
    try:
        return reader.next()
    except StopIteration:
        return None
