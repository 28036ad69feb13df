"""From a video to its timeline: frames, features, scores, events."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dsanet_cli.config import EventRule
from dsanet_cli.encoder import FrameEncoder, choose_device, choose_precision, precision_name
from dsanet_cli.features import load_features
from dsanet_cli.model.inference import score_window
from dsanet_cli.prefetch import prefetch
from dsanet_cli.sources import FEATURE_SUFFIX
from dsanet_cli.timeline import ModelFacts, Sampling, Timeline, VideoFacts, build_timeline
from dsanet_cli.video import Snippet, VideoInfo, open_video
from dsanet_cli.weights import Model

DEFAULT_FEATURE_FPS = Fraction(30)
"""Frames per second assumed for a feature file, which does not say (both data sets' usual rate)."""
DEFAULT_BATCH = {"cpu": 16, "cuda": 256, "mps": 64}
"""Frames encoded at once."""
PREFETCHED_BATCHES = 2
"""Batches of decoded frames waiting for the encoder at most."""
KEPT_THUMBNAILS = 12
"""Frames of score peaks kept while a video runs; the plot shows fewer."""

FloatArray = NDArray[np.float32]
Frame = NDArray[np.uint8]


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


@dataclass(frozen=True)
class Detection:
    """A video's timeline, and a frame (H, W, 3) uint8 of each event's peak, by the event's number."""

    timeline: Timeline
    thumbnails: dict[int, Frame]


@dataclass(frozen=True)
class EncodedSnippet:
    """A snippet after the encoder: its time in seconds, feature (D,) and one frame to show."""

    start: float
    end: float
    feature: FloatArray
    frame: Frame | None


@dataclass(frozen=True)
class ScoredWindow:
    """A window after the head: snippets with scores (n,) and class probabilities (n, C)."""

    snippets: list[EncodedSnippet]
    scores: FloatArray
    probabilities: FloatArray


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
        if path.suffix.lower() == FEATURE_SUFFIX:
            return self._detect_features(path)
        encoder, settings = self.load_encoder(), self.model.config
        reader = open_video(path, settings.preprocessing.resize, self.sampled_frames, settings.snippet_frames)
        try:
            depth = math.ceil(PREFETCHED_BATCHES * self.batch_size / self.sampled_frames)
            snippets = prefetch(reader.snippets(), depth)
            encoded = encode_snippets(snippets, encoder, self.batch_size)
            windows = self.score(encoded)
            return self._conclude(windows, lambda: _facts(path, reader.info), self.sampling(path))
        finally:
            reader.close()

    def sampling(self, path: Path) -> Sampling:
        """How snippets of ``path`` are made; a feature file's were made before."""
        snippet_frames = self.model.config.snippet_frames
        if path.suffix.lower() == FEATURE_SUFFIX:
            return Sampling(snippet_frames, None, precision_name(torch.float32), str(self.device))
        return Sampling(snippet_frames, self.sampled_frames, precision_name(self.dtype), str(self.device))

    def score(self, snippets: Iterable[EncodedSnippet]) -> Iterator[ScoredWindow]:
        """Score snippets window by window, as windows fill (released code: test)."""
        size = self.model.config.head.window
        window: list[EncodedSnippet] = []
        for snippet in snippets:
            window.append(snippet)
            if len(window) == size:
                yield self._score_window(window)
                window = []
        if window:
            yield self._score_window(window)

    def _score_window(self, window: list[EncodedSnippet]) -> ScoredWindow:
        features = torch.from_numpy(np.stack([snippet.feature for snippet in window]))
        result = score_window(self._head, features, self._text_features, self.model.config.temperature)
        return ScoredWindow(window, result.scores.numpy(), result.probabilities.numpy())

    def _detect_features(self, path: Path) -> Detection:
        features = load_features(path, self.model.config.encoder.width)
        frames = self.model.config.snippet_frames
        seconds = float(frames / self.settings.feature_fps)
        snippets = (EncodedSnippet(i * seconds, (i + 1) * seconds, feature, None) for i, feature in enumerate(features))
        facts = VideoFacts(
            path=str(path),
            frames=len(features) * frames,
            duration=len(features) * seconds,
            fps=self.settings.feature_fps,
        )
        return self._conclude(self.score(snippets), lambda: facts, self.sampling(path))

    def _conclude(
        self, windows: Iterable[ScoredWindow], facts: Callable[[], VideoFacts], sampling: Sampling
    ) -> Detection:
        times: list[tuple[float, float]] = []
        scores, probabilities = [], []
        peaks = PeakFrames(self.rule.threshold)
        for window in windows:
            peaks.add(window, first=len(times))
            times += [(snippet.start, snippet.end) for snippet in window.snippets]
            scores.append(window.scores)
            probabilities.append(window.probabilities)
        starts, ends = np.array(times, dtype=np.float64).T
        timeline = build_timeline(
            facts(),
            ModelFacts(self.model.config.name, self.model.sha256),
            self.model.config.class_names,
            sampling,
            self.rule,
            starts,
            ends,
            np.concatenate(scores),
            np.concatenate(probabilities),
        )
        return Detection(timeline, peaks.of(timeline))


def _facts(path: Path, info: VideoInfo) -> VideoFacts:
    return VideoFacts(
        path=str(path),
        frames=info.frames,
        duration=info.duration,
        fps=info.fps,
        width=info.width,
        height=info.height,
        codec=info.codec,
    )


class PeakFrames:
    """Keeps frames of the highest scores while a video runs, for events that are known at its end only."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._kept: list[tuple[float, int, Frame]] = []
        """Score, snippet number, frame."""

    def add(self, window: ScoredWindow, first: int) -> None:
        """Consider the snippets of ``window``, the first of which has the number ``first``."""
        above = np.flatnonzero(window.scores >= self._threshold)
        for run in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
            if len(run):
                top = int(run[window.scores[run].argmax()])
                frame = window.snippets[top].frame
                if frame is not None:
                    self._kept.append((float(window.scores[top]), first + top, frame))
        self._kept = sorted(self._kept, key=lambda kept: -kept[0])[:KEPT_THUMBNAILS]

    def of(self, timeline: Timeline) -> dict[int, Frame]:
        """The best kept frame within each event of ``timeline``."""
        found = {}
        for number, event in enumerate(timeline.events):
            for _, snippet, frame in self._kept:
                if event.start <= timeline.starts[snippet] < event.end:
                    found[number] = frame
                    break
        return found


def encode_snippets(
    snippets: Iterable[Snippet], encoder: FrameEncoder, batch_size: int, crop: int = 0
) -> Iterator[EncodedSnippet]:
    """Encode the frames of snippets in batches and average them per snippet.

    Args:
        snippets: Decoded snippets, in order.
        encoder: The model's.
        batch_size: Frames encoded at once; a snippet is never split, so a batch can be a few frames larger.
        crop: Which of the ten crops.
    """
    for snippet, features in encode_frames(snippets, encoder, batch_size, crop):
        middle = snippet.frames[len(snippet.frames) // 2].copy()  # lets go of the other frames
        yield EncodedSnippet(snippet.start, snippet.end, features.mean(axis=0), middle)


def encode_frames(
    snippets: Iterable[Snippet], encoder: FrameEncoder, batch_size: int, crop: int = 0
) -> Iterator[tuple[Snippet, FloatArray]]:
    """Encode the frames of snippets in batches: each snippet with the features (k, D) of its k frames.

    Takes what ``encode_snippets`` takes.
    """
    waiting: list[Snippet] = []
    frames = 0
    for snippet in snippets:
        waiting.append(snippet)
        frames += len(snippet.frames)
        if frames >= batch_size:
            yield from _encode_batch(waiting, encoder, crop)
            waiting, frames = [], 0
    if waiting:
        yield from _encode_batch(waiting, encoder, crop)


def _encode_batch(snippets: list[Snippet], encoder: FrameEncoder, crop: int) -> Iterator[tuple[Snippet, FloatArray]]:
    features = encoder.encode(np.concatenate([snippet.frames for snippet in snippets]), crop)
    borders = np.cumsum([len(snippet.frames) for snippet in snippets])[:-1]
    return zip(snippets, np.split(features, borders), strict=True)
