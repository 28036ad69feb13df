"""From a video to its timeline: frames, features, scores, events."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dsanet_cli.config import EventRule
from dsanet_cli.console import unexpected
from dsanet_cli.detect.analysis import Analysis, Detection, Scoring, SnippetFeature
from dsanet_cli.detect.day import Day, first_file
from dsanet_cli.detect.day_analysis import DayRun
from dsanet_cli.detect.scan import ScanAnalysis
from dsanet_cli.detect.settings import DetectSettings, decoding_of
from dsanet_cli.encoder.choices import CENTRE_CROP, DEFAULT_BATCH
from dsanet_cli.encoder.device import (
    choose_encoder_device,
    choose_precision,
    first_line,
    is_device_failure,
    is_out_of_memory,
    precision_name,
    torch_device,
)
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import DsanetError
from dsanet_cli.features.encoder_check import EncoderCheck
from dsanet_cli.features.files import DEFAULT_FEATURE_FPS, load_features
from dsanet_cli.features.snippets import SnippetNotes
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.head.inference import SnippetScores, score_window
from dsanet_cli.models.directory import Model
from dsanet_cli.pipeline.batcher import EncodedSnippet, FloatArray, FrameBatcher
from dsanet_cli.pipeline.pipeline import Ahead, Collector, Pipeline, PipelineSettings, Watch, still_rule
from dsanet_cli.timeline.facts import ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.text import DEMONSTRATION
from dsanet_cli.video.mask import Mask
from dsanet_cli.video.memory import MemoryReader
from dsanet_cli.video.messages import Notice
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.spans import SpanLine


class Detector:
    """A model ready to analyse videos one after the other.

    Raises:
        UsageError: a device or precision this machine does not have, or a mask of the profile that is none.
    """

    def __init__(self, model: Model, settings: DetectSettings) -> None:
        self.model = model
        self.settings = settings
        self.device = choose_encoder_device(settings.device)
        self.dtype = choose_precision(settings.precision, self.device)
        self.sampled_frames = settings.sampled_frames or model.config.sampled_frames
        self.snippet_seconds = settings.snippet_seconds or model.config.snippet_seconds
        self.batch_size = settings.batch_size or DEFAULT_BATCH[self.device.type]
        self.rule = settings.events or model.config.events
        # Nothing can be copied back from a GPU that has failed.
        self._spare = (model.head, model.text_features)
        self._scores_on = torch_device(self.device)
        self._scorer = (copy.deepcopy(model.head).to(self._scores_on), model.text_features.to(self._scores_on))
        self._scoring_failure: str | None = None
        self._notices: deque[str] = deque()
        """While there is no encoder, which has its own."""
        self._encoder: FrameEncoder | None = None
        self.tower_sha256: str | None = None
        """Of the encoder, once it is loaded, where features are kept."""
        self._encoder_check = EncoderCheck.of_model(model.config)
        self._notes = SnippetNotes(model.config.snippet_frames)
        profile = settings.profile
        self._masks = {} if profile is None else {path: Mask.read(path) for path in profile.masks}

    def load_encoder(self) -> FrameEncoder:
        """Load the frame encoder, unless it is loaded; feature files do without.

        Raises:
            ModelError: its weights are missing or do not fit.
        """
        if self._encoder is None:
            tower = self.model.image_tower(self.settings.encoder_weights)
            if self.settings.keep_features:
                self.tower_sha256 = tower_sha256(tower)
            self._encoder = FrameEncoder(tower, self.model.config.preprocessing, self.device, self.dtype)
        return self._encoder

    def detect(self, path: Path) -> Detection:
        """Analyse a video, or a feature file (``.npy``).

        Raises:
            VideoError: the video cannot be opened or decoded.
            FeatureError: the feature file does not fit the model.
            ModelError: the encoder's weights are missing or do not fit.
        """
        source = Source(path, Path(path.stem))
        if is_feature_file(path):
            return self._detect_features(source)
        return self.pipeline(PipelineSettings()).run_one(source, self._analysis(source), lambda *_: None)

    def detect_many(
        self, sources: Sequence[Source], settings: PipelineSettings, watch: Watch, ahead: Ahead | None = None
    ) -> Generator[tuple[Source, Detection | DsanetError], None, None]:
        """Analyse videos and feature files; each comes with its detection or its error, as it is done.

        Args:
            sources: What to analyse.
            settings: How the work is shared out.
            watch: Is called with all that the decoders say.
            ahead: Decoders that have begun already with the videos.

        Raises:
            ModelError: there are videos, and the encoder's weights are missing or do not fit.
        """
        videos = []
        for source in sources:
            if is_feature_file(source.path):
                result = self._detect_features_or_error(source)
                while self._notices:
                    watch(source, Notice(self._notices.popleft()))
                yield source, result
            else:
                videos.append(source)
        if days := [source for source in videos if isinstance(source.path, Day)]:
            yield from self._detect_days(days, settings, watch)
        if files := [source for source in videos if not isinstance(source.path, Day)]:
            pipeline = dataclasses.replace(self.pipeline(settings.for_videos(len(files))), ahead=ahead)
            yield from pipeline.run(files, self._analysis, watch)

    def _detect_days(
        self, days: Sequence[Source], settings: PipelineSettings, watch: Watch
    ) -> Iterator[tuple[Source, Detection | DsanetError]]:
        run = DayRun(days, lambda day: Analysis(day.path, self._scoring(day), partial(self.sampling, day)), watch)
        pipeline = dataclasses.replace(
            self.pipeline(settings.for_videos(len(run.files))), reading=lambda file: self.reading_of(run.day_of(file))
        )
        outcomes = pipeline.run(run.files, run.collector, run.watch)
        with contextlib.closing(outcomes):
            for file, outcome in outcomes:
                yield from run.concluded(file, outcome)

    def detect_arriving(
        self, videos: Iterable[Source | None], settings: PipelineSettings, watch: Watch
    ) -> Generator[tuple[Source, Detection | DsanetError], None, None]:
        """Analyse videos that become known one by one; None, from time to time, while there is none yet.

        Raises:
            ModelError: the encoder's weights are missing or do not fit.
        """
        yield from self.pipeline(settings).run(videos, self._analysis, watch)

    def detect_frames(self, frames: Iterable[tuple[float, NDArray[np.uint8]]], name: str, watch: Watch) -> Detection:
        """Analyse frames that are in memory; see ``MemoryReader``.

        Raises:
            VideoError: there is no frame, or one that does not fit.
            ModelError: the encoder's weights are missing or do not fit.
        """
        config, source = self.model.config, Source(Path(name), Path(name))
        size = config.preprocessing.resize
        line = SpanLine(config.snippet_frames, self.snippet_seconds)
        reader = MemoryReader(frames, name, size, self.sampled_frames, line, self.reading_of(source))
        analysis = Analysis(
            source.path, self._scoring(source), lambda: dataclasses.replace(self.sampling(source), scan_level=None)
        )
        encoder = self.load_encoder()
        still = still_rule(encoder, (CENTRE_CROP,), self.settings.reuse_still)
        batcher = FrameBatcher[None](encoder, self.batch_size, still=still)

        def take(encoded: Iterable[tuple[None, EncodedSnippet | Exception]]) -> None:
            for _, snippet in encoded:
                if isinstance(snippet, Exception):
                    raise snippet
                analysis.take(snippet)

        for snippet in reader.snippets():
            watch(source, snippet)
            batcher.add(None, snippet)
            take(batcher.encoded())
        take(batcher.rest())
        height, width = reader.size
        facts = VideoFacts(name, reader.count, reader.end - reader.start, width=width, height=height)
        return analysis.conclude(facts)

    def close(self) -> None:
        """End the encoder's threads."""
        if self._encoder is not None:
            self._encoder.close()

    def sampling(self, source: Source) -> Sampling:
        """How snippets of ``source`` are made, as things stand; a feature file's were made before."""
        encoder = self._encoder
        snippet_frames = self.model.config.snippet_frames
        reading = self.reading_of(source)
        region, mask = reading.cut, None if reading.mask is None else reading.mask.sha256
        if is_feature_file(source.path):
            if reading.region is None and mask is None:
                region, mask = self._encoder_check.seen(source.path) or (None, None)
            precision, seconds = precision_name(torch.float32), self._notes.of(source.path).seconds
            return Sampling(
                snippet_frames,
                None,
                precision,
                str(self._scorer[1].device),
                snippet_seconds=seconds,
                region=region,
                mask=mask,
            )
        return Sampling(
            snippet_frames,
            self.sampled_frames,
            precision_name(self.dtype if encoder is None else encoder.dtype),
            str(self.device if encoder is None else encoder.device),
            self.settings.scan_level,
            self.batch_size if encoder is None else encoder.at_once(self.batch_size),
            reading.stream,
            reading.part,
            self.snippet_seconds,
            region,
            mask,
            self.settings.reuse_still,
        )

    def score(self, features: FloatArray) -> SnippetScores:
        """Score the features (n, D) of one window, n at most its length; see ``score_window``.

        Where the device fails, the CPU does this and all later ones.
        """
        temperature = self.model.config.temperature
        head, text_features = self._scorer
        try:
            return score_window(head, torch.from_numpy(features), text_features, temperature)
        except RuntimeError as error:
            if self._scorer is self._spare or not is_device_failure(error, self._scores_on):
                raise
            self._notice_failure(error)
        self._scorer = head, text_features = self._spare
        return score_window(head, torch.from_numpy(features), text_features, temperature)

    @property
    def device_failure(self) -> str | None:
        """What the device failed with, other than a lack of memory, if the CPU has had to take over anything."""
        return (self._encoder and self._encoder.failure) or self._scoring_failure

    def _notice_failure(self, error: RuntimeError) -> None:
        reason = first_line(error)
        if self.device_failure is None:  # else it is known already
            notices = self._notices if self._encoder is None else self._encoder.notices
            notices.append(f"{self._scores_on} failed ({reason}); the CPU takes over the scoring")
        if not is_out_of_memory(error):
            self._scoring_failure = reason

    def pipeline(self, settings: PipelineSettings) -> Pipeline:
        """What decodes and encodes videos as this detector analyses them.

        Raises:
            ModelError: the encoder's weights are missing or do not fit.
        """
        return Pipeline(
            self.load_encoder(),
            decoding_of(self.model.config, self.settings),
            self.batch_size,
            settings,
            reading=self.reading_of,
            reuse_still=self.settings.reuse_still,
        )

    def _analysis(self, source: Source) -> Collector[Detection]:
        scoring = self._scoring(source)
        keep = self.settings.keep_features
        analysis = Analysis(source.path, scoring, partial(self.sampling, source), keep)
        level = self.settings.scan_level
        return analysis if level is None else ScanAnalysis(analysis, scoring, level)

    def rule_of(self, source: Source) -> EventRule:
        """How the scores of a source become events."""
        profile = self.settings.profile
        return self.rule if profile is None else profile.rule(first_file(source), self.rule)

    def reading_of(self, source: Source) -> ReadOptions:
        """What is read of a source: where nothing is said for all, the region and mask of its camera."""
        reading, profile = self.settings.reading, self.settings.profile
        if profile is None:
            return reading
        region, mask = profile.view(first_file(source))
        return dataclasses.replace(
            reading, region=reading.region or region, mask=reading.mask or self._masks.get(mask or "")
        )

    def feature_rate(self, path: Path) -> Fraction:
        """Frames per second of the video that a feature file was made from.

        Raises:
            FeatureError: the note beside it is damaged.
        """
        return self.settings.feature_fps or self._notes.of(path).fps or DEFAULT_FEATURE_FPS

    def _scoring(self, source: Source) -> Scoring:
        config = self.model.config
        notice = DEMONSTRATION if config.demonstration else None
        facts = ModelFacts(config.name, self.model.sha256, demonstration=notice)
        return Scoring(
            facts, config.class_names, self.rule_of(source), config.head.window, config.head.width, self.score
        )

    def _detect_features_or_error(self, source: Source) -> Detection | DsanetError:
        try:
            return self._detect_features(source)
        except DsanetError as error:
            return error
        except Exception as error:  # one input must never end the others
            return unexpected(source.path, error)

    def _detect_features(self, source: Source) -> Detection:
        path = source.path
        self._encoder_check.check(path)
        self._encoder_check.check_seen(path, self.reading_of(source))
        features = load_features(path, self.model.config.encoder.width)
        size = path.stat().st_size
        facts, fps = self._notes.of(path), self.feature_rate(path)
        seconds = facts.lasting(fps)
        analysis = Analysis(path, self._scoring(source), partial(self.sampling, source))
        for i, feature in enumerate(features):
            analysis.add(SnippetFeature(i * seconds, (i + 1) * seconds, feature, None))
        return analysis.conclude(
            VideoFacts(
                path=str(path),
                frames=round(len(features) * seconds * fps),
                duration=len(features) * seconds,
                fps=fps,
                bytes=size,
            )
        )
