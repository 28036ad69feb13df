"""The pictures of a chunk: from decord where it can decode all of it, else from PyAV."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from dsanet_cli.video.decord_decoder import DecordDecoder, Undecodable
from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.probe import Picture
from dsanet_cli.video.proven import Prover
from dsanet_cli.video.pyav_decoder import PyavDecoder
from dsanet_cli.video.scaler import Moment, Scaler
from dsanet_cli.video.snippet_grid import Stretch
from dsanet_cli.video.spans import Span
from dsanet_cli.video.spare import NotSpare, spare_places, without
from dsanet_cli.video.view import View


class ChunkDecoder:
    """Decodes one video, stretch by stretch.

    Args:
        demuxer: Of the video.
        size: (height, width) in pixels of the pictures, as they are stored.
        folder: For temporary files.
        threads: Decoding threads.
        alive: Is called for each frame.
        view: What is looked at of the pictures; None is all. Decord gives none but whole ones.
    """

    def __init__(
        self,
        demuxer: Demuxer,
        size: tuple[int, int],
        folder: Path,
        threads: int,
        alive: Callable[[], None],
        view: View | None = None,
    ) -> None:
        self._decord = DecordDecoder(demuxer, size, folder, threads, alive)
        self._prover = Prover(demuxer)
        self._fallback = PyavDecoder(demuxer, alive)
        self._scaler = Scaler(size, view)
        self._is_whole = view is None
        self._spares = True
        """Whether packets that nobody needs may be left out."""
        self._joint: Picture | None = None

    def decode(self, stretch: Stretch, targets: Mapping[Span, Sequence[int]]) -> dict[int, Picture]:
        """Decode a chunk's frames of some snippets; without targets, nothing is decoded.

        Args:
            stretch: The chunk.
            targets: Numbers of the frames wanted, by their snippets.

        Returns:
            Pictures (H, W, 3) by frame number: the targets in this chunk, and for each that cannot be decoded the
            nearest frame of its snippet that can be, if any; perhaps others.

        Raises:
            VideoError: there is no room for a temporary file.
        """
        proven = self._prover.is_proven(stretch.chunk)
        joint, self._joint = self._joint, None
        if not targets:
            return {}
        chunk, numbers = stretch.chunk, stretch.numbers
        if not (proven and self._is_whole):
            with contextlib.suppress(NotSpare):
                if spare := self._spare(chunk, _nearest_places(numbers, targets)):
                    return self._fall_back(stretch, targets, spare)
            return self._fall_back(stretch, targets)
        looked_at = {number for several in targets.values() for number in several}
        wanted = {place for place, number in numbers.items() if number in looked_at}
        try:
            found = self._decode_part(chunk, wanted, self._spare(chunk, wanted))
        except Undecodable:
            return self._fall_back(stretch, targets)
        # Chunks share a frame. If it is a true key frame, it looks the same at both of its places.
        if joint is not None and not np.array_equal(joint, found[0]):
            return self._fall_back(stretch, targets)
        if chunk.overlaps:
            self._joint = found[len(chunk.packets) - 1]
        return {numbers[place]: picture for place, picture in found.items() if place in numbers}

    def _decode_part(self, chunk: Chunk, wanted: Set[int], spare: Set[int]) -> dict[int, Picture]:
        part, places = without(chunk, spare)
        found = self._decord.decode(part, {rank for rank, place in enumerate(places) if place in wanted})
        return {places[rank]: picture for rank, picture in found.items()}

    def _spare(self, chunk: Chunk, wanted: Set[int]) -> frozenset[int]:
        return spare_places(chunk, wanted, self._prover.role_reader()) if self._spares else frozenset()

    def _fall_back(
        self, stretch: Stretch, targets: Mapping[Span, Sequence[int]], spare: Set[int] = frozenset()
    ) -> dict[int, Picture]:
        """Decode with PyAV.

        Raises:
            NotSpare: packets were left out, and it turns out that all are needed: a frame that is wanted cannot be
                decoded, or is interlaced.
        """
        numbers, wanted = stretch.numbers, _by_frame(targets)
        pictures: dict[int, Picture] = {}
        nearest: dict[int, tuple[int, Moment]] = {}
        current: tuple[int, ...] = ()
        places = set()
        for place, moment in self._fallback.decode(stretch.chunk, stretch.before, stretch.after, spare):
            places.add(place)
            if spare and moment.interlaced:
                self._spares = False
                raise NotSpare
            if place == len(stretch.chunk.packets) - 1 and stretch.chunk.overlaps:
                self._joint = self._scaler.picture(moment)
            number = numbers.get(place)
            if number is None:
                continue
            here = wanted.get(number, ())
            if here is not current:
                pictures |= self._scaled(nearest)
                nearest, current = {}, here
            for target in here:
                if target not in nearest or abs(number - target) < abs(nearest[target][0] - target):
                    nearest[target] = number, moment
        if spare and not _nearest_places(numbers, targets) <= places:
            raise NotSpare
        return pictures | self._scaled(nearest)

    def _scaled(self, nearest: Mapping[int, tuple[int, Moment]]) -> dict[int, Picture]:
        return {number: self._scaler.picture(moment) for number, moment in dict(nearest.values()).items()}


def _by_frame(targets: Mapping[Span, Sequence[int]]) -> dict[int, tuple[int, ...]]:
    """The frames wanted of the snippets that each frame belongs to, the same object for those of one snippet."""
    wanted: dict[int, tuple[int, ...]] = {}
    for span, several in targets.items():
        these = tuple(several)
        for number in span.numbers:
            wanted[number] = (*wanted[number], *these) if number in wanted else these
    return wanted


def _nearest_places(numbers: Mapping[int, int], targets: Mapping[Span, Sequence[int]]) -> set[int]:
    """The places, in a chunk with these ``numbers``, of the targets, and of what is nearest to those beyond it."""
    places = {number: place for place, number in numbers.items()}
    found = set()
    for span, several in targets.items():
        here = [number for number in span.numbers if number in places]
        found |= {places[min(here, key=lambda number: abs(number - target))] for target in several if here}
    return found
