"""Frames of snippets through the encoder: in full batches, several batches at once, of one video or of many."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.encoder.frame_encoder import CENTRE_CROP, FrameEncoder
from dsanet_cli.video.probe import Picture
from dsanet_cli.video.reader import Snippet

K = TypeVar("K")
FloatArray = NDArray[np.float32]

BATCHES_PER_LANE = 2
"""Batches handed to the encoder at most, for each that it works on at a time."""


@dataclass
class _Batch:
    """Frames that are encoded together: (n, H, W, 3) uint8 parts, and their features once they are asked for."""

    parts: list[NDArray[np.uint8]] = field(default_factory=list)
    frames: int = 0
    features: Future[FloatArray] | None = None

    @property
    def done(self) -> bool:
        return self.features is not None and self.features.done()


@dataclass(frozen=True)
class _Entry(Generic[K]):
    """A snippet on its way, and which rows of which batches are its frames."""

    key: K
    snippet: Snippet
    places: list[tuple[_Batch, slice]]


class FrameBatcher(Generic[K]):
    """Encodes the frames of snippets that may come from different videos, told apart by a key.

    All batches have the same size, the last ones padded, and a frame's features do not depend on the frames
    beside it: whichever videos run together, each gets what it would get alone.

    Args:
        encoder: Any.
        batch_size: Frames encoded at once. Snippets are split where a batch is full.
        crop: Which of the ten crops.
    """

    def __init__(self, encoder: FrameEncoder, batch_size: int, crop: int = CENTRE_CROP) -> None:
        self._encoder = encoder
        self._size = batch_size
        self._crop = crop
        self._batch = _Batch()
        self._entries: deque[_Entry[K]] = deque()
        self._handed: deque[Future[FloatArray]] = deque()

    def add(self, key: K, snippet: Snippet) -> None:
        """Take a snippet; waits while the encoder has enough to do."""
        entry = _Entry(key, snippet, [])
        frames = snippet.frames
        while len(frames):
            batch = self._batch
            part = frames[: self._size - batch.frames]
            frames = frames[len(part) :]
            entry.places.append((batch, slice(batch.frames, batch.frames + len(part))))
            batch.parts.append(part)
            batch.frames += len(part)
            if batch.frames == self._size:
                self.flush()
        self._entries.append(entry)

    def flush(self) -> None:
        """Encode what waits for a batch to fill."""
        batch = self._batch
        if not batch.frames:
            return
        padding = np.zeros((self._size - batch.frames, *batch.parts[0].shape[1:]), np.uint8)
        batch.features = self._encoder.submit(np.concatenate([*batch.parts, padding]), self._crop)
        batch.parts.clear()
        self._batch = _Batch()
        self._handed.append(batch.features)
        if len(self._handed) > BATCHES_PER_LANE * self._encoder.lanes:
            self._handed.popleft().result()

    def encoded(self) -> Iterator[tuple[K, Snippet, FloatArray]]:
        """The snippets that are ready, in the order they came: key, snippet, features (k, D) of its k frames."""
        while self._entries and all(batch.done for batch, _ in self._entries[0].places):
            yield self._take()

    def rest(self) -> Iterator[tuple[K, Snippet, FloatArray]]:
        """All that are left, waiting for the encoder."""
        self.flush()
        while self._entries:
            yield self._take()

    def _take(self) -> tuple[K, Snippet, FloatArray]:
        entry = self._entries.popleft()
        rows = [batch.features.result()[place] for batch, place in entry.places if batch.features is not None]
        features = np.concatenate(rows) if rows else np.empty((0, 0), np.float32)
        return entry.key, entry.snippet, features


def encode_frames(
    snippets: Iterable[Snippet], encoder: FrameEncoder, batch_size: int, crop: int = CENTRE_CROP
) -> Iterator[tuple[Snippet, FloatArray]]:
    """Encode the frames of one video's snippets: each snippet with the features (k, D) of its k frames.

    Args:
        snippets: Decoded snippets, in order.
        encoder: Any.
        batch_size: Frames encoded at once.
        crop: Which of the ten crops.
    """
    batcher = FrameBatcher[None](encoder, batch_size, crop)
    for snippet in snippets:
        batcher.add(None, snippet)
        for _, ready, features in batcher.encoded():
            yield ready, features
    for _, ready, features in batcher.rest():
        yield ready, features


@dataclass(frozen=True)
class EncodedSnippet:
    """A snippet after the encoder: its time in seconds, feature (D,) and one frame to show."""

    start: float
    end: float
    feature: FloatArray
    frame: Picture | None

    @classmethod
    def of(cls, snippet: Snippet, features: FloatArray) -> EncodedSnippet:
        """Average the features (k, D) of a snippet's k frames, and let go of all frames but one."""
        middle = snippet.frames[len(snippet.frames) // 2].copy()
        return cls(snippet.start, snippet.end, features.mean(axis=0), middle)


def encode_snippets(
    snippets: Iterable[Snippet], encoder: FrameEncoder, batch_size: int, crop: int = CENTRE_CROP
) -> Iterator[EncodedSnippet]:
    """Encode the frames of one video's snippets and average them per snippet; takes what ``encode_frames`` takes."""
    for snippet, features in encode_frames(snippets, encoder, batch_size, crop):
        yield EncodedSnippet.of(snippet, features)
