"""From a video to its timeline: frames, features, scores, events."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from dsanet_cli.config import EventRule
from dsanet_cli.encoder.device import DEFAULT_BATCH, choose_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.features.files import DEFAULT_FEATURE_FPS, load_features
from dsanet_cli.files.sources import is_feature_file
from dsanet_cli.head.inference import SnippetScores, score_window
from dsanet_cli.models.directory import Model
from dsanet_cli.pipeline.batcher import EncodedSnippet, FloatArray, encode_frames
from dsanet_cli.pipeline.prefetch import PREFETCHED_BATCHES, prefetch
from dsanet_cli.timeline.timeline import Coverage, ModelFacts, Sampling, Timeline, VideoFacts, build_timeline, covered
from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.probe import Picture, VideoInfo
from dsanet_cli.video.reader import Snippet, open_video

KEPT_THUMBNAILS = 12
"""Frames of score peaks kept while a video runs; the plot shows fewer."""


@dataclass(frozen=True)
class DetectSettings:
    """How to analyse; None means that the model decides."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    sampled_frames: int | None = None
    events: EventRule | None = None
    encoder_weights: Path | None = None
    feature_fps: Fraction = DEFAULT_FEATURE_FPS
    scan_level: float | None = None
    """Look at key frames first, and decode fully only around scores from this on (``dsanet_cli.detect.scan``)."""


@dataclass(frozen=True)
class Detection:
    """A video's timeline, and a frame (H, W, 3) uint8 of each event's peak, by the event's number."""

    timeline: Timeline
    thumbnails: dict[int, Picture]


class Detector:
    """A model ready to analyse videos one after the other.

    Raises:
        UsageError: a device or precision this machine does not have.
    """

    def __init__(self, model: Model, settings: DetectSettings) -> None:
        self.model = model
        self.settings = settings
        self.device = choose_device(settings.device)
        self.dtype = choose_precision(settings.precision, self.device)
        self.sampled_frames = settings.sampled_frames or model.config.sampled_frames
        self.batch_size = settings.batch_size or DEFAULT_BATCH[self.device.type]
        self.rule = settings.events or model.config.events
        self._head = model.head.to(self.device)
        self._text_features = model.text_features.to(self.device)
        self._encoder: FrameEncoder | None = None

    def load_encoder(self) -> FrameEncoder:
        """Load the frame encoder, unless it is loaded; feature files do without.

        Raises:
            ModelError: its weights are missing or do not fit.
        """
        if self._encoder is None:
            self._encoder = self.model.frame_encoder(self.device, self.dtype, self.settings.encoder_weights)
        return self._encoder

    def detect(self, path: Path) -> Detection:
        """Analyse a video, or a feature file (``.npy``).

        Raises:
            VideoError: the video cannot be opened or decoded.
            FeatureError: the feature file does not fit the model.
            ModelError: the encoder's weights are missing or do not fit.
        """
        if is_feature_file(path):
            return self._detect_features(path)
        encoder, config = self.load_encoder(), self.model.config
        reader = open_video(path, config.preprocessing.resize, self.sampled_frames, config.snippet_frames)
        analysis = Analysis(self, path)
        depth = math.ceil(PREFETCHED_BATCHES * self.batch_size / self.sampled_frames)
        with contextlib.closing(prefetch(reader.snippets(), depth)) as snippets:
            for snippet, features in encode_frames(snippets, encoder, self.batch_size):
                analysis.take(snippet, features)
        return analysis.conclude_video(reader.info)

    def sampling(self, path: Path) -> Sampling:
        """How snippets of ``path`` are made; a feature file's were made before."""
        snippet_frames = self.model.config.snippet_frames
        if is_feature_file(path):
            return Sampling(snippet_frames, None, precision_name(torch.float32), str(self.device))
        return Sampling(
            snippet_frames,
            self.sampled_frames,
            precision_name(self.dtype),
            str(self.device),
            self.settings.scan_level,
        )

    def score(self, features: FloatArray) -> SnippetScores:
        """Score the features (n, D) of one window, n at most its length; see ``score_window``."""
        return score_window(self._head, torch.from_numpy(features), self._text_features, self.model.config.temperature)

    def _detect_features(self, path: Path) -> Detection:
        features = load_features(path, self.model.config.encoder.width)
        size = path.stat().st_size
        frames = self.model.config.snippet_frames
        seconds = float(frames / self.settings.feature_fps)
        analysis = Analysis(self, path)
        for i, feature in enumerate(features):
            analysis.add(EncodedSnippet(i * seconds, (i + 1) * seconds, feature, None))
        return analysis.conclude(
            VideoFacts(
                path=str(path),
                frames=len(features) * frames,
                duration=len(features) * seconds,
                fps=self.settings.feature_fps,
                bytes=size,
            )
        )


class Analysis:
    """One video on its way from encoded snippets to its timeline; windows are scored as they fill."""

    def __init__(self, detector: Detector, path: Path) -> None:
        self.path = path
        self._detector = detector
        self._window: list[EncodedSnippet] = []
        self._times: list[tuple[float, float]] = []
        self._scores: list[FloatArray] = []
        self._probabilities: list[FloatArray] = []
        self._peaks = PeakFrames(detector.rule.threshold)

    def take(self, snippet: Snippet, features: FloatArray) -> None:
        """Add the next snippet of the video, given the features (k, D) of its k frames."""
        self.add(EncodedSnippet.of(snippet, features))

    def add(self, snippet: EncodedSnippet) -> None:
        """Add the next snippet of the video."""
        self._window.append(snippet)
        if len(self._window) == self._detector.model.config.head.window:
            self._score_window()

    def conclude_video(self, info: VideoInfo) -> Detection:
        """The timeline of all snippets added, of a video that was read to its end."""
        return self.conclude(video_facts(info), covered(info.duration, info.holes))

    def conclude(self, facts: VideoFacts, coverage: Coverage | None = None) -> Detection:
        """The timeline of all snippets added; ``coverage`` is everything where it is not given.

        Raises:
            VideoError: there are none.
        """
        if self._window:
            self._score_window()
        if not self._times:
            raise video_error(self.path, f"no frame can be decoded; {COPY_AGAIN}")
        detector = self._detector
        starts, ends = np.array(self._times, dtype=np.float64).T
        timeline = build_timeline(
            facts,
            ModelFacts(detector.model.config.name, detector.model.sha256),
            detector.model.config.class_names,
            detector.sampling(self.path),
            detector.rule,
            starts,
            ends,
            np.concatenate(self._scores),
            np.concatenate(self._probabilities),
            coverage,
        )
        return Detection(timeline, self._peaks.of(timeline))

    def _score_window(self) -> None:
        window, self._window = self._window, []
        scored = self._detector.score(np.stack([snippet.feature for snippet in window]))
        scores = scored.scores.numpy()
        self._peaks.add(scores, window, first=len(self._times))
        self._times += [(snippet.start, snippet.end) for snippet in window]
        self._scores.append(scores)
        self._probabilities.append(scored.probabilities.numpy())


def video_facts(info: VideoInfo) -> VideoFacts:
    """What a timeline says of a video that was read to its end."""
    return VideoFacts(
        path=str(info.path),
        frames=info.frames,
        duration=info.duration,
        fps=info.fps,
        width=info.width,
        height=info.height,
        codec=info.codec,
        bytes=info.bytes,
    )


class PeakFrames:
    """Keeps frames of the highest scores while a video runs, for events that are known at its end only."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._kept: list[tuple[float, int, Picture]] = []
        """Score, snippet number, frame."""

    def add(self, scores: FloatArray, snippets: Sequence[EncodedSnippet], first: int) -> None:
        """Consider the snippets of a window with their scores (n,); the first one has the number ``first``."""
        above = np.flatnonzero(scores >= self._threshold)
        for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
            if len(run):
                top = int(run[scores[run].argmax()])
                frame = snippets[top].frame
                if frame is not None:
                    self._kept.append((float(scores[top]), first + top, frame))
        self._kept = sorted(self._kept, key=lambda kept: -kept[0])[:KEPT_THUMBNAILS]

    def of(self, timeline: Timeline) -> dict[int, Picture]:
        """The best kept frame within each event of ``timeline``."""
        found = {}
        for number, event in enumerate(timeline.events):
            for _, snippet, frame in self._kept:
                if event.start <= timeline.starts[snippet] < event.end:
                    found[number] = frame
                    break
        return found
