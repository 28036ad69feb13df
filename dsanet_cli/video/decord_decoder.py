"""Decoding a chunk with decord: fast, and right where no frame is missing."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from types import ModuleType
from typing import Any

import av

from dsanet_cli.errors import VideoError
from dsanet_cli.video.container import video_error
from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.probe import Picture


def usable_cores() -> int:
    """Cores that this process may use, which on a shared machine are not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MOST_THREADS = min(usable_cores(), 4)
"""Decoding threads of one video; more only slow down the start of each chunk."""
CHUNK_CONTAINERS = ("nut", "matroska", "mov")
"""Tried in turn. NUT holds nearly any codec, but decord wants a frame rate or a frame count, and ffmpeg finds
neither in a NUT file of one frame or of some MPEG-4; one of the others then does it."""
NO_REPEATS = 1e-9
"""The share of missing frames that decord may replace by the frame before: none."""


class Undecodable(Exception):
    """decord fails at a chunk, or gives more or fewer frames than it holds."""


class DecordDecoder:
    """Decodes chunks of one video; ``dsanet_cli.video.demux`` says why not the file as a whole.

    Args:
        demuxer: Of the video.
        size: (height, width) in pixels of the pictures, as they are stored.
        folder: For temporary files.
        threads: Decoding threads.
        alive: Is called for each frame.
    """

    def __init__(
        self, demuxer: Demuxer, size: tuple[int, int], folder: Path, threads: int, alive: Callable[[], None]
    ) -> None:
        self._demuxer = demuxer
        self._size = size
        self._folder = folder
        self._threads = threads
        self._alive = alive
        self._decord = load_decord()
        self._errors = (self._decord.DECORDError, self._decord.DECORDLimitReachedError, av.FFmpegError, ValueError)

    def decode(self, chunk: Chunk, wanted: Set[int]) -> dict[int, Picture]:
        """Pictures (H, W, 3) by place in showing order: the ``wanted`` ones, the first and the last of a chunk.

        Raises:
            Undecodable: any frame cannot be decoded, wanted or not.
            VideoError: there is no room for a temporary file.
        """
        try:
            frames = _read(self._open(chunk), len(chunk.packets), wanted, chunk.ordered, self._alive)
        except self._errors as error:
            raise Undecodable from error
        return {place: self._picture(frame) for place, frame in frames.items()}

    def _open(self, chunk: Chunk) -> Any:
        height, width = self._size
        failure: Exception = Undecodable()
        for container in CHUNK_CONTAINERS:
            file = self._folder / f"chunk.{container}"
            try:
                self._demuxer.write(chunk, file, container)
                return self._decord.VideoReader(
                    str(file), width=width, height=height, num_threads=self._threads, fault_tol=NO_REPEATS
                )
            except OSError as error:
                raise no_room(self._demuxer.path, error) from error
            except (self._decord.DECORDError, ValueError) as error:
                failure = error
        raise failure

    def _picture(self, frame: Picture) -> Picture:
        height, width = self._size
        # Rows are padded. If a padded row divides by the width, decord takes the quotient for the channels.
        return frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)


def no_room(path: Path, error: OSError) -> VideoError:
    """The error for a temporary file of the video at ``path`` that cannot be written."""
    return video_error(path, f"no temporary file can be written ({error.strerror}); free some space or set TMPDIR")


def _read(reader: Any, count: int, sampled: Set[int], ordered: bool, alive: Callable[[], None]) -> dict[int, Picture]:
    """Read the first, the sampled and the last of ``count`` frames, forwards and without a seek.

    decord skips frames without converting them, which saves up to half of the time, but it takes for granted
    that every packet gives one frame: where one is missing, all after it move up. So the first frame is always
    read (a skip counts the decoder's answers that it needs more data before that as frames), and so is the
    last, after which there must be no more.

    Raises:
        Undecodable: frames are missing or left over.
        decord.DECORDError: decoding failed.
    """
    if len(reader) != count:
        raise Undecodable
    # Where a codec knows key frames only, all are marked so, and a skip would seek.
    can_skip = ordered and reader.get_key_indices() == [0]
    kept = {0, count - 1} | sampled
    frames: dict[int, Picture] = {}
    position = 0
    for place in sorted(kept) if can_skip else range(count):
        if place > position:
            reader.skip_frames(place - position)
        frame = _next(reader)
        alive()
        position = place + 1
        if frame is None:
            raise Undecodable
        if place in kept:
            frames[place] = frame.asnumpy()
    if _next(reader) is not None:
        raise Undecodable
    return frames


def _next(reader: Any) -> Any:
    """The next frame, a decord NDArray; None after the last."""
    try:
        return reader.next()
    except StopIteration:
        return None


@functools.cache
def load_decord() -> ModuleType:
    """Import decord; to be called when the first video is opened, not before.

    Libraries that decord loads take precedence over those loaded later: torch must come first, or its GPU code
    may crash. And decord2 loads all CUDA libraries of the package ``nvidia``, needlessly, since frames are decoded on
    the CPU: each decoder process would take 700 MB and half a second more, and one of the libraries, libnvblas,
    would replace the matrix products of a torch that is loaded later, and crash.
    """
    with _without("nvidia"):
        import decord  # noqa: PLC0415

    decord.logging.set_level(decord.logging.QUIET)
    module: ModuleType = decord
    return module


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Within the block, ``package`` cannot be imported."""
    found = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules[package]
        if found is not None:
            sys.modules[package] = found
