"""Many videos at once: decoded in processes of their own, encoded in joint batches, scored one by one."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dsanet_cli.console import unexpected
from dsanet_cli.detect.detector import Analysis, Detection, Detector
from dsanet_cli.detect.scan import ScanAnalysis
from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.pipeline.batcher import FloatArray, FrameBatcher
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.decord_decoder import MOST_THREADS, usable_cores
from dsanet_cli.video.messages import DecodeJob, Message
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

STALL_TIMEOUT = 60.0
"""Seconds."""
WAITING_BATCHES = 4
"""Batches of decoded frames that wait for the encoder at most, for each that it works on at a time."""

Watch = Callable[[Source, Message], None]
"""Is told of every message about a source, to show how far the work is."""
Outcome = Detection | DsanetError


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


class VideoTask(Task):
    """A video in the pipeline, from its decoder to its timeline."""

    def __init__(self, source: Source, job: DecodeJob, analysis: Analysis | ScanAnalysis) -> None:
        super().__init__(job)
        self.source = source
        self.analysis = analysis
        self.encoding = 0
        """Snippets that the encoder has not given back."""
        self.info: VideoInfo | None = None
        """Set when the decoder has reached the end, of a scan or of the video."""
        self.over = False

    @property
    def complete(self) -> bool:
        """Whether all that the decoder gave has been encoded."""
        return self.info is not None and self.encoding == 0


def analyse(
    detector: Detector, settings: PipelineSettings, sources: Sequence[Source], watch: Watch
) -> Generator[tuple[Source, Outcome], None, None]:
    """Analyse videos and feature files; each comes with its detection or its error, as it is done.

    Raises:
        ModelError: there are videos, and the encoder's weights are missing or do not fit.
    """
    videos = []
    for source in sources:
        if is_feature_file(source.path):
            yield source, _detect_features(detector, source)
        else:
            videos.append(source)
    if videos:
        yield from analyse_videos(detector, settings.for_videos(len(videos)), videos, watch)


def analyse_videos(
    detector: Detector, settings: PipelineSettings, sources: Iterable[Source | None], watch: Watch
) -> Generator[tuple[Source, Outcome], None, None]:
    """Analyse videos that become known one by one; ``sources`` are None, from time to time, while there is none yet.

    Raises:
        ModelError: the encoder's weights are missing or do not fit.
    """
    yield from _Pipeline(detector, settings).run(sources, watch)


def _detect_features(detector: Detector, source: Source) -> Outcome:
    try:
        return detector.detect(source.path)
    except DsanetError as error:
        return error
    except Exception as error:  # one input must never end the others
        return unexpected(source.path, error)


class _Pipeline:
    """The decoders, and what goes on between them and the timelines."""

    def __init__(self, detector: Detector, settings: PipelineSettings) -> None:
        self._detector = detector
        cores = settings.cores or usable_cores()
        jobs = settings.jobs or cores
        self._threads = max(1, min(MOST_THREADS, cores // jobs))
        frames = WAITING_BATCHES * detector.batch_size * detector.load_encoder().lanes
        self._pool = DecoderPool(jobs, settings.stall_timeout, math.ceil(frames / detector.sampled_frames))

    def run(self, sources: Iterable[Source | None], watch: Watch) -> Iterator[tuple[Source, Outcome]]:
        """Analyse videos; the decoding processes end with the last one."""
        detector = self._detector
        batcher = FrameBatcher[VideoTask](detector.load_encoder(), detector.batch_size)
        held: set[VideoTask] = set()  # read to the end, with frames in a batch that is not full
        with contextlib.closing(self._pool.run(map(self._task, sources))) as messages:
            for item in messages:
                if item is None:
                    if held:
                        batcher.flush()
                else:
                    task, message = item
                    assert isinstance(task, VideoTask)
                    yield from self._receive(task, message, batcher, held, watch)
                yield from self._advance(batcher.encoded(), held)
        yield from self._advance(batcher.rest(), held)

    def _receive(
        self, task: VideoTask, message: Message, batcher: FrameBatcher[VideoTask], held: set[VideoTask], watch: Watch
    ) -> Iterator[tuple[Source, Outcome]]:
        """Take what a decoder sends; a video that has failed already gets no second outcome."""
        if task.over:
            return
        watch(task.source, message)
        if isinstance(message, Snippet):
            task.encoding += 1
            batcher.add(task, message)
        elif isinstance(message, VideoInfo):
            task.info = message
            held.add(task)
        elif isinstance(message, VideoError):
            task.over = True
            yield task.source, message

    def _task(self, source: Source | None) -> VideoTask | None:
        if source is None:
            return None
        config, level = self._detector.model.config, self._detector.settings.scan_level
        job = DecodeJob(
            source.path,
            config.preprocessing.resize,
            self._detector.sampled_frames,
            config.snippet_frames,
            self._threads,
            scan=level is not None,
        )
        if level is None:
            return VideoTask(source, job, Analysis(self._detector, source.path))
        return VideoTask(source, job, ScanAnalysis(self._detector, source.path, level))

    def _advance(
        self, encoded: Iterable[tuple[VideoTask, Snippet, FloatArray]], held: set[VideoTask]
    ) -> Iterator[tuple[Source, Outcome]]:
        """Pass encoded snippets to their videos, and conclude the videos that are complete."""
        for task, snippet, features in encoded:
            task.encoding -= 1
            if not task.over:
                try:
                    task.analysis.take(snippet, features)
                except Exception as error:  # one input must never end the others
                    task.over = True
                    task.answer.put(frozenset())  # its decoder waits for it, now or later
                    yield task.source, unexpected(task.source.path, error)
        for task in [task for task in held if task.complete]:
            held.remove(task)
            if not task.over and (outcome := self._conclude(task)) is not None:
                task.over = True
                yield task.source, outcome

    def _conclude(self, task: VideoTask) -> Outcome | None:
        """The outcome of a video that was read to its end; None if that was a scan's first pass."""
        info, task.info = task.info, None
        assert info is not None
        try:
            if isinstance(task.analysis, ScanAnalysis) and not task.analysis.scanned:
                wanted = task.analysis.suspicious()
                task.answer.put(wanted)
                if wanted:
                    return None
            return task.analysis.conclude_video(info)
        except DsanetError as error:
            return error
        except Exception as error:  # one input must never end the others
            task.answer.put(frozenset())  # its decoder may wait for it
            return unexpected(task.source.path, error)
