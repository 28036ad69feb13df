"""The one way from videos to encoded snippets: decoded in processes of their own, encoded in joint batches.

::

    sources ──> decoder process ──┐              ┌──> collector of a.mp4 ──> its result
    one by one  decoder process ──┼──> batcher ──┼──> collector of b.mp4 ──> its result
                decoder process ──┘    encoder   └──> ...

A decoder that crashes or hangs, and a collector that fails, cost their video only.
"""

from __future__ import annotations

import contextlib
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dsanet_cli.console import unexpected
from dsanet_cli.encoder.choices import CENTRE_CROP
from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.sources import Source
from dsanet_cli.pipeline.batcher import EncodedSnippet, FrameBatcher
from dsanet_cli.pipeline.still import StillRule
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.decord_decoder import MOST_THREADS, usable_cores
from dsanet_cli.video.messages import DecodeJob, Decoding, Finished, Message, Notice, Scanned
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

if TYPE_CHECKING:
    from dsanet_cli.encoder.frame_encoder import FrameEncoder

STALL_TIMEOUT = 60.0
"""Seconds."""
WAITING_BATCHES = 4
"""Batches of decoded frames that wait for the encoder at most, for each that it works on at a time."""

WAITING_BYTES = 2**28
"""Of decoded frames that wait for the encoder at most, however large the batches are."""

R = TypeVar("R")
Watch = Callable[[Source, Message], None]
"""Is called with every message about a source, to show how far the work is."""


class Collector(ABC, Generic[R]):
    """Makes a result out of one video's snippets. What it raises is this video's error, and ends its decoding."""

    @abstractmethod
    def take(self, snippet: EncodedSnippet) -> None:
        """Add the next snippet of the video."""

    def suspicious(self) -> frozenset[int]:
        """After a scan's first pass: the numbers of the snippets to decode; ``take`` gets them next."""
        return frozenset()

    @abstractmethod
    def finish(self, info: VideoInfo) -> R:
        """The result, after the last snippet of a video that was read to its end."""


@dataclass(frozen=True)
class PipelineSettings:
    """How to share out the work; None means by the number of cores and videos."""

    jobs: int | None = None
    """Videos decoded at once."""
    stall_timeout: float = STALL_TIMEOUT
    """Seconds without progress after which a decoder is given up."""
    cores: int | None = None
    """To be shared out among the decoders."""

    def for_videos(self, count: int) -> PipelineSettings:
        """The same with all numbers filled in, for ``count`` videos in all."""
        cores = self.cores or usable_cores()
        return dataclasses.replace(self, cores=cores, jobs=max(1, min(self.jobs or cores, count)))


def still_rule(encoder: FrameEncoder, crops: Sequence[int], level: float | None) -> StillRule | None:
    """Which pictures are not encoded, by what the crops show of them; None encodes all."""
    if level is None:
        return None
    return StillRule(level, encoder.preprocessing.crop if set(crops) == {CENTRE_CROP} else None)


class _VideoTask(Task, Generic[R]):
    """A video in the pipeline, from its decoder to its result."""

    collector: Collector[R]
    """There from its first message on."""

    def __init__(self, source: Source, job: DecodeJob, collector: Collector[R] | None) -> None:
        super().__init__(job)
        self.source = source
        if collector is not None:
            self.collector = collector
        self.encoding = 0
        """Snippets that the encoder has not given back."""
        self.end: Scanned | Finished | None = None
        """Set when the decoder has reached the end of a pass."""
        self.over = False
        """Whether there is a result, or an error."""

    @property
    def complete(self) -> bool:
        """Whether all that the decoder gave in a pass has been encoded."""
        return self.end is not None and self.encoding == 0


@dataclass(frozen=True)
class Pipeline:
    """Decoders and an encoder, ready for videos."""

    encoder: FrameEncoder
    decoding: Decoding
    """What is decoded of each video."""
    batch_size: int
    """Frames encoded at once."""
    settings: PipelineSettings = PipelineSettings()
    crops: tuple[int, ...] = (CENTRE_CROP,)
    """Which of the ten crops are encoded of each frame."""
    reading: Callable[[Source], ReadOptions] | None = None
    """What to read of a video, where that is not the same for all."""
    reuse_still: float | None = None
    """Grey levels by which blocks of a picture may differ from the last one encoded for that to stand for it."""
    ahead: Ahead | None = None
    """Decoders that have begun already, with these or more videos."""

    @property
    def still(self) -> StillRule | None:
        """Which pictures are not encoded."""
        return still_rule(self.encoder, self.crops, self.reuse_still)

    def run(
        self, sources: Iterable[Source | None], collector: Callable[[Source], Collector[R]], watch: Watch
    ) -> Generator[tuple[Source, R | DsanetError], None, None]:
        """Each video with its result or its error, as it is done; the decoder processes end with the last one.

        Args:
            sources: Videos that become known one by one; None, from time to time, while there is none yet.
            collector: Makes the collector of a video.
            watch: Is called with all that the decoders say.
        """
        yield from _Run(self, collector, watch).results(sources)

    def run_one(self, source: Source, collector: Collector[R], watch: Watch) -> R:
        """The result of one video.

        Raises:
            DsanetError: its error, if it has one.
        """
        alone = dataclasses.replace(self, settings=self.settings.for_videos(1))
        ((_, result),) = alone.run([source], lambda _: collector, watch)
        if isinstance(result, DsanetError):
            raise result
        return result


class Ahead:
    """Decoders that begin before there is an encoder; what they decode waits for it, as much as may wait.

    Args:
        sources: All videos; each has a decoder process of its own.
        decoding: What is decoded of each.
        settings: How the work is shared out.
        frames_at_once: Frames that the encoder will work on, all its batches together; says how many may wait.
    """

    def __init__(
        self, sources: Sequence[Source], decoding: Decoding, settings: PipelineSettings, frames_at_once: int
    ) -> None:
        filled = settings.for_videos(len(sources))
        threads = _decoder_threads(filled)
        self.decoding = decoding
        self.tasks = [_VideoTask[Any](source, DecodeJob(source.path, decoding, threads), None) for source in sources]
        self.pool = DecoderPool[_VideoTask[Any]](len(sources), filled.stall_timeout, _depth(decoding, frames_at_once))
        self.pool.start(self.tasks)

    def fits(self, sources: Iterable[Source | None], decoding: Decoding) -> bool:
        """Whether what is being decoded is, or holds, what is to be decoded."""
        return self.decoding == decoding and {task.source for task in self.tasks} >= set(sources)

    def close(self) -> None:
        """End the decoder processes, whatever they are at."""
        self.pool.close()


def _decoder_threads(settings: PipelineSettings) -> int:
    cores = settings.cores or usable_cores()
    return max(1, min(MOST_THREADS, cores // (settings.jobs or cores)))


def _depth(decoding: Decoding, frames_at_once: int) -> int:
    """Snippets that wait for the encoder at most."""
    depth = WAITING_BATCHES * frames_at_once // decoding.sampled_frames
    return max(1, min(depth, WAITING_BYTES // decoding.snippet_bytes))


class _Run(Generic[R]):
    """The decoders at work, and what goes on between them and the collectors."""

    def __init__(self, pipeline: Pipeline, collector: Callable[[Source], Collector[R]], watch: Watch) -> None:
        settings, decoding = pipeline.settings, pipeline.decoding
        jobs = settings.jobs or settings.cores or usable_cores()
        depth = _depth(decoding, pipeline.batch_size * pipeline.encoder.lanes)
        self._decoding = decoding
        self._reading = pipeline.reading
        self._threads = _decoder_threads(settings)
        self._ahead = pipeline.ahead
        self._pool = DecoderPool[_VideoTask[R]](jobs, settings.stall_timeout, depth)
        self._batcher = FrameBatcher[_VideoTask[R]](
            pipeline.encoder, pipeline.batch_size, pipeline.crops, pipeline.still
        )
        self._notices = pipeline.encoder.notices
        self._collector = collector
        self._watch = watch
        self._held: set[_VideoTask[R]] = set()
        """Read to the end of a pass, with frames in a batch that is not full."""

    def results(self, sources: Iterable[Source | None]) -> Iterator[tuple[Source, R | DsanetError]]:
        """See ``Pipeline.run``."""
        with contextlib.closing(self._messages(sources)) as messages:
            for item in messages:
                if item is None:
                    if self._held:
                        self._batcher.flush()
                else:
                    task, message = item
                    yield from self._receive(task, message)
                yield from self._advance(self._batcher.encoded())
        yield from self._advance(self._batcher.rest())

    def _messages(
        self, sources: Iterable[Source | None]
    ) -> Generator[tuple[_VideoTask[R], Message] | None, None, None]:
        ahead = self._ahead
        if ahead is None:
            return self._pool.run(map(self._task, sources))
        wanted = list(sources)
        if not ahead.fits(wanted, self._decoding):
            ahead.close()
            return self._pool.run(map(self._task, wanted))
        for task in ahead.tasks:
            if task.source in wanted:
                task.collector = self._collector(task.source)
            else:
                task.over = True
                task.cancel()
        return ahead.pool.messages()

    def _task(self, source: Source | None) -> _VideoTask[R] | None:
        if source is None:
            return None
        decoding = self._decoding
        if self._reading is not None:
            decoding = dataclasses.replace(decoding, options=self._reading(source))
        return _VideoTask(source, DecodeJob(source.path, decoding, self._threads), self._collector(source))

    def _receive(self, task: _VideoTask[R], message: Message) -> Iterator[tuple[Source, R | DsanetError]]:
        """Take what a decoder sends; a video that has failed already gets no second result."""
        if task.over:
            return
        self._watch(task.source, message)
        if isinstance(message, Snippet):
            task.encoding += 1
            self._batcher.add(task, message)
        elif isinstance(message, Scanned | Finished):
            task.end = message
            self._held.add(task)
        elif isinstance(message, VideoError):
            yield self._conclude(task, message)

    def _advance(
        self, encoded: Iterable[tuple[_VideoTask[R], EncodedSnippet | Exception]]
    ) -> Iterator[tuple[Source, R | DsanetError]]:
        """Pass encoded snippets to their collectors, and conclude the videos that are complete."""
        for task, snippet in encoded:
            task.encoding -= 1
            self._pass_notices(task)
            if not task.over:
                try:
                    if isinstance(snippet, Exception):
                        raise snippet
                    task.collector.take(snippet)
                except Exception as error:  # one video must never end the others
                    yield self._conclude(task, _as_result(task.source, error))
        for task in [task for task in self._held if task.complete]:
            self._held.remove(task)
            if not task.over:
                yield from self._end_pass(task)

    def _end_pass(self, task: _VideoTask[R]) -> Iterator[tuple[Source, R | DsanetError]]:
        end, task.end = task.end, None
        result: R | DsanetError
        try:
            if isinstance(end, Scanned):
                task.answer(task.collector.suspicious())
                return
            assert end is not None
            result = task.collector.finish(end.info)
        except Exception as error:  # one video must never end the others
            result = _as_result(task.source, error)
        self._pass_notices(task)
        yield self._conclude(task, result)

    def _pass_notices(self, task: _VideoTask[R]) -> None:
        while self._notices:
            self._watch(task.source, Notice(self._notices.popleft()))

    def _conclude(self, task: _VideoTask[R], result: R | DsanetError) -> tuple[Source, R | DsanetError]:
        task.over = True
        self._batcher.forget(task)
        task.cancel()  # its decoder may be at work, or wait for an answer
        return task.source, result


def _as_result(source: Source, error: Exception) -> DsanetError:
    return error if isinstance(error, DsanetError) else unexpected(source.path, error)
