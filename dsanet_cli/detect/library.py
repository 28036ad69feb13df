"""The detector for other Python programs: it prints nothing, and changes nothing of the program that it runs in."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.detect import detector
from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.results import on_record
from dsanet_cli.detect.runner import weights_sha256
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.errors import DsanetError, UsageError
from dsanet_cli.files.paths import as_texts
from dsanet_cli.files.sources import Source, find_sources, is_feature_file
from dsanet_cli.models.directory import Model, load_model
from dsanet_cli.models.folders import BUILT_IN_MODEL
from dsanet_cli.pipeline.pipeline import PipelineSettings, Watch
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.video.messages import Message, Opened
from dsanet_cli.video.reader import Snippet

OnProgress = Callable[[str, float, float], None]
"""Called with a source, the seconds of it that are done, and those in all (0 where nobody knows); may raise to stop."""


class Detector:
    """A model ready to analyse videos; a context manager that ends its threads.

    Args:
        model: As ``load_model`` gives it.
        settings: How to analyse.

    Raises:
        UsageError: a device or precision this machine does not have.
        ModelError: a file of encoder weights that cannot be read.
    """

    def __init__(self, model: Model, settings: DetectSettings | None = None) -> None:
        self._detector = detector.Detector(model, settings or DetectSettings())
        self._encoder_sha256 = weights_sha256(self._detector.settings.encoder_weights)

    @classmethod
    def load(cls, model: str | os.PathLike[str] = BUILT_IN_MODEL, settings: DetectSettings | None = None) -> Detector:
        """A detector with the model of a name or directory.

        Raises:
            ModelError: the model is missing, damaged or inconsistent.
            UsageError: a device or precision this machine does not have.
        """
        return cls(load_model(model), settings)

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the encoder's threads; nothing can be analysed after that."""
        self._detector.close()

    def detect(
        self, source: str | os.PathLike[str], *, thumbnails: bool = False, on_progress: OnProgress | None = None
    ) -> Timeline:
        """Analyse one video, or a feature file (``.npy``).

        Args:
            source: What ``dsanet detect`` takes for one video.
            thumbnails: Keep a picture of each event's peak.
            on_progress: Called as the analysis goes on; what it raises ends it and is raised.

        Raises:
            SourceError: there is no such video.
            UsageError: ``source`` stands for more than one.
            VideoError: it cannot be opened or decoded.
            FeatureError: the feature file does not fit the model.
            ModelError: the encoder's weights are missing or do not fit.
        """
        listing = find_sources([os.fspath(source)], recursive=False, stdin=None)
        if listing.problems:
            raise listing.problems[0]
        if len(listing.sources) != 1:
            raise UsageError(f"{os.fspath(source)}: stands for {len(listing.sources)} videos; use detect_many")
        ((_, result),) = self._run(listing.sources, None, thumbnails, on_progress)
        if isinstance(result, DsanetError):
            raise result
        return result

    def detect_many(
        self,
        sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        jobs: int | None = None,
        thumbnails: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Generator[tuple[str, Timeline | DsanetError], None, None]:
        """Analyse videos side by side; each comes with its timeline, or with its error, as it is done.

        Args:
            sources: What ``dsanet detect`` takes: files, folders, patterns.
            jobs: Videos decoded at once; as many as there are cores where it is not given.
            thumbnails: Keep a picture of each event's peak.
            on_progress: Called as the analysis goes on; what it raises ends it and is raised.

        Raises:
            ModelError: the encoder's weights are missing or do not fit.
        """
        listing = find_sources(as_texts(sources), recursive=False, stdin=None)
        for problem in listing.problems:
            yield problem.argument, problem
        yield from self._run(listing.sources, jobs, thumbnails, on_progress)

    def detect_frames(
        self,
        frames: Iterable[tuple[float, NDArray[np.uint8]]],
        name: str = "frames",
        *,
        thumbnails: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Timeline:
        """Analyse frames that are in memory, as they come.

        Args:
            frames: Of (time in seconds, (H, W, 3) uint8 RGB), in order of time, each of any size; the last one lasts
                as long as the one before it.
            name: What to call them in the timeline and in messages.
            thumbnails: Keep a picture of each event's peak.
            on_progress: Called as the analysis goes on; what it raises ends it and is raised.

        Raises:
            VideoError: there is no frame, or one is of another type or shape, or comes before the one before it.
            ModelError: the encoder's weights are missing or do not fit.
        """
        detection = self._detector.detect_frames(frames, name, _watch(on_progress))
        return _pictured(detection, detection.timeline, thumbnails)

    def _run(
        self, sources: Iterable[Source], jobs: int | None, thumbnails: bool, on_progress: OnProgress | None
    ) -> Generator[tuple[str, Timeline | DsanetError], None, None]:
        statuses = {source: _status(source.path) for source in sources}
        results = self._detector.detect_many(list(statuses), PipelineSettings(jobs), _watch(on_progress))
        with contextlib.closing(results):
            for source, result in results:
                if isinstance(result, DsanetError):
                    yield str(source.path), result
                    continue
                timeline, status = result.timeline, statuses[source]
                if status is not None:
                    encoder = None if is_feature_file(source.path) else self._encoder_sha256
                    timeline = on_record(source, timeline, status, encoder, self._detector.settings.clock)
                yield str(source.path), _pictured(result, timeline, thumbnails)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):  # its analysis says what is wrong with it
        return None


def _pictured(detection: Detection, timeline: Timeline, thumbnails: bool) -> Timeline:
    return dataclasses.replace(timeline, thumbnails=detection.thumbnails) if thumbnails else timeline


def _watch(on_progress: OnProgress | None) -> Watch:
    totals: dict[Source, float] = {}

    def watch(source: Source, message: Message) -> None:
        if isinstance(message, Opened):
            totals[source] = message.duration
        elif isinstance(message, Snippet) and on_progress is not None:
            on_progress(str(source.path), message.end, totals.get(source, 0.0))

    return watch
