"""Frames of snippets through the encoder: in full batches, several batches at once, of one video or of many."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.encoder.choices import CENTRE_CROP
from dsanet_cli.pipeline.still import Means, StillRule
from dsanet_cli.video.probe import Picture
from dsanet_cli.video.reader import Snippet

if TYPE_CHECKING:
    from dsanet_cli.encoder.frame_encoder import FrameEncoder

K = TypeVar("K")
FloatArray = NDArray[np.float32]

BATCHES_PER_LANE = 2
"""Most batches submitted per lane of the encoder."""
MOST_WAITING = 4096
"""Snippets that wait for a batch to be full: where hardly any picture is new, that takes long."""

NO_FRAMES = np.empty((0, 0, 0, 3), np.uint8)


@dataclass(frozen=True)
class EncodedSnippet:
    """A snippet after the encoder."""

    index: int
    start: float
    """Seconds, as is ``end``."""
    end: float
    length: int
    """Frames of the video in this snippet."""
    features: FloatArray
    """(crops, k, D) of its k frames that were decoded."""
    picture: Picture | None
    """The middle one of the k frames, or the one that it is the same as; None where k is 0."""
    reused: int = 0
    """How many of the k frames have the features of an earlier one that shows the same."""


@dataclass
class _Batch:
    """Frames (size, H, W, 3) uint8 that are encoded together, and their features by crop once they are submitted."""

    frames: Picture
    filled: int = 0
    features: list[Future[FloatArray]] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.features) and all(future.done() for future in self.features)

    def wait(self) -> Picture:
        """Wait for the features; the memory of the frames, which nobody needs any more."""
        for future in self.features:
            future.exception()  # which the snippets find out, too
        frames, self.frames = self.frames, NO_FRAMES
        return frames


@dataclass(frozen=True)
class _Entry(Generic[K]):
    """A snippet that waits for its features; its frames are in rows of batches, and one is kept as a picture."""

    key: K
    snippet: Snippet
    picture: Picture | None
    places: list[tuple[_Batch, slice]]
    reused: int = 0

    def encoded(self, features: FloatArray) -> EncodedSnippet:
        snippet = self.snippet
        times = snippet.start, snippet.end, snippet.length
        return EncodedSnippet(snippet.index, *times, features, self.picture, self.reused)


@dataclass(frozen=True)
class _Latest:
    """The frame of a video that was encoded last: where its features are, and what it shows."""

    place: tuple[_Batch, slice]
    means: Means
    picture: Picture


class FrameBatcher(Generic[K]):
    """Encodes the frames of snippets that may come from different videos, each with a key.

    All batches have the same size, the last ones padded, and a frame's features do not depend on the frames
    beside it: whichever videos run together, each gets what it would get alone.

    Args:
        encoder: Any.
        batch_size: Frames encoded at once. Snippets are split where a batch is full.
        crops: Which of the ten crops.
        still: Which frames are not encoded since the last one of their video that was shows the same; None encodes all.
    """

    def __init__(
        self,
        encoder: FrameEncoder,
        batch_size: int,
        crops: Sequence[int] = (CENTRE_CROP,),
        still: StillRule | None = None,
    ) -> None:
        self._encoder = encoder
        self._size = batch_size
        self._crops = crops
        self._still = still
        self._latest: dict[K, _Latest] = {}
        self._batch: _Batch | None = None
        self._entries: deque[_Entry[K]] = deque()
        self._handed: deque[_Batch] = deque()
        """With the encoder, in order."""
        self._memory: list[Picture] = []
        """For frames of batches to come; new memory costs as much as copying into it."""

    def add(self, key: K, snippet: Snippet) -> None:
        """Take a snippet and copy its frames; waits while the encoder has enough to do."""
        frames = snippet.frames
        bare = replace(snippet, frames=NO_FRAMES)
        if self._still is None:
            picture = frames[len(frames) // 2].copy() if len(frames) else None
            self._entries.append(_Entry(key, bare, picture, list(self._placed(frames))))
            return
        latest = [self._latest_for(self._still, key, frame) for frame in frames]
        picture = latest[len(latest) // 2][0].picture if latest else None
        reused = sum(is_old for _, is_old in latest)
        self._entries.append(_Entry(key, bare, picture, [frame.place for frame, _ in latest], reused))
        if len(self._entries) > MOST_WAITING:
            self.flush()

    def forget(self, key: K) -> None:
        """There are no more snippets of a video."""
        self._latest.pop(key, None)

    def _latest_for(self, still: StillRule, key: K, frame: Picture) -> tuple[_Latest, bool]:
        """What stands for a frame, and whether that is an earlier one."""
        means, latest = still.means(frame), self._latest.get(key)
        if latest is not None and still.is_same(means, latest.means):
            return latest, True
        (place,) = self._placed(frame[None])
        latest = self._latest[key] = _Latest(place, means, frame.copy())
        return latest, False

    def _placed(self, frames: Picture) -> Iterator[tuple[_Batch, slice]]:
        """Where frames come to lie in batches; those that are full are handed to the encoder."""
        while len(frames):
            batch = self._batch = self._batch or _Batch(self._room_for(frames))
            part = frames[: self._size - batch.filled]
            frames = frames[len(part) :]
            place = slice(batch.filled, batch.filled + len(part))
            batch.frames[place] = part
            batch.filled = place.stop
            yield batch, place
            if batch.filled == self._size:
                self.flush()

    def flush(self) -> None:
        """Encode the frames of the batch that is not full."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        batch.frames[batch.filled :] = 0
        batch.features = [self._encoder.submit(batch.frames, crop) for crop in self._crops]
        self._handed.append(batch)
        most = max(1, BATCHES_PER_LANE * self._encoder.lanes // len(self._crops))
        while self._handed and (self._handed[0].done or len(self._handed) > most):
            self._memory.append(self._handed.popleft().wait())

    def _room_for(self, frames: Picture) -> Picture:
        shape = (self._size, *frames.shape[1:])
        while self._memory:
            if (memory := self._memory.pop()).shape == shape:
                return memory
        return np.empty(shape, np.uint8)

    def encoded(self) -> Iterator[tuple[K, EncodedSnippet | Exception]]:
        """The snippets that are ready, in the order they came, each with its key; or what its batch failed with."""
        while self._entries and all(batch.done for batch, _ in self._entries[0].places):
            yield self._take()

    def rest(self) -> Iterator[tuple[K, EncodedSnippet | Exception]]:
        """The remaining snippets; waits for the encoder."""
        self.flush()
        while self._entries:
            yield self._take()

    def _take(self) -> tuple[K, EncodedSnippet | Exception]:
        entry = self._entries.popleft()
        try:
            return entry.key, entry.encoded(self._features(entry.places))
        except Exception as error:  # one batch must never end the others
            return entry.key, error

    def _features(self, places: Sequence[tuple[_Batch, slice]]) -> FloatArray:
        if not places:
            return np.empty((len(self._crops), 0, 0), np.float32)
        return np.stack(
            [
                np.concatenate([batch.features[number].result()[place] for batch, place in places])
                for number in range(len(self._crops))
            ]
        )
