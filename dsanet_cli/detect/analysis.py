"""From a video's encoded snippets to its timeline: scores, events, and pictures of the peaks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dsanet_cli.config import EventRule
from dsanet_cli.head.inference import SnippetScores
from dsanet_cli.pipeline.batcher import EncodedSnippet, FloatArray
from dsanet_cli.pipeline.pipeline import Collector
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts, covered
from dsanet_cli.timeline.timeline import Timeline, build_timeline
from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.probe import Picture, VideoInfo

KEPT_THUMBNAILS = 36
"""Frames of score peaks kept while a video runs, and beside its result; the plot shows fewer."""
LOWER_SHARE = 0.5
"""Of the threshold: down to there peaks have a frame, for events that are decided anew with a lower threshold."""


@dataclass(frozen=True)
class Detection:
    """A video's timeline, and a frame (H, W, 3) uint8 of each event's peak, by the event's number.

    Where there is no event, 0 is a frame of the highest score.
    """

    timeline: Timeline
    thumbnails: dict[int, Picture]
    peaks: Mapping[float, Picture] = field(default_factory=dict)
    """Frames of the highest scores, those of ``thumbnails`` among them, by the middle of their snippets in seconds."""
    features: FloatArray | None = None
    """(N, D), a row for each snippet, where they were asked for."""


@dataclass(frozen=True)
class Scoring:
    """How snippets become a timeline."""

    model: ModelFacts
    class_names: tuple[str, ...]
    rule: EventRule
    window: int
    """Snippets scored together."""
    width: int
    """Of the features."""
    score: Callable[[FloatArray], SnippetScores]
    """Scores the features (n, D) of one window, n at most its length."""


@dataclass(frozen=True)
class SnippetFeature:
    """A snippet as it is scored: its time in seconds, its feature (D,), and a picture if there is one."""

    start: float
    end: float
    feature: FloatArray
    picture: Picture | None
    looked_at: int = 0
    """Frames that it was made from, as far as they were no other snippet's."""
    reused: int = 0
    """Of them, those that were not encoded, since an earlier one shows the same."""

    @classmethod
    def of(cls, snippet: EncodedSnippet) -> SnippetFeature:
        """Average the features of a snippet's frames, of the one crop that was encoded."""
        feature, count = snippet.features[0].mean(axis=0), snippet.features.shape[1]
        return cls(snippet.start, snippet.end, feature, snippet.picture, count, snippet.reused)


class Analysis(Collector[Detection]):
    """One video on its way from encoded snippets to its timeline; windows are scored as they fill.

    Args:
        path: Of the video.
        scoring: How its snippets become a timeline.
        sampling: Says at the end how they were made.
        keep_features: Give them with the detection.
    """

    def __init__(
        self, path: Path, scoring: Scoring, sampling: Callable[[], Sampling], keep_features: bool = False
    ) -> None:
        self._features: list[FloatArray] | None = [] if keep_features else None
        self._path = path
        self._scoring = scoring
        self._sampling = sampling
        self._window: list[SnippetFeature] = []
        self._times: list[tuple[float, float]] = []
        self._scores: list[FloatArray] = []
        self._probabilities: list[FloatArray] = []
        self._peaks = PeakFrames(scoring.rule.threshold)
        self._looked_at = self._reused = 0
        """Frames."""

    def take(self, snippet: EncodedSnippet) -> None:
        """Add the next snippet of the video."""
        self.add(SnippetFeature.of(snippet))

    def add(self, snippet: SnippetFeature) -> None:
        """Add the next snippet, however its feature was made."""
        self.count(snippet.looked_at, snippet.reused)
        self._window.append(snippet)
        if len(self._window) == self._scoring.window:
            self._score_window()

    def count(self, looked_at: int, reused: int) -> None:
        """Count frames, and those of them that were not encoded."""
        self._looked_at += looked_at
        self._reused += reused

    def finish(self, info: VideoInfo) -> Detection:
        """The timeline of all snippets added, of a video that was read to its end."""
        return self.conclude(video_facts(info), coverage(info))

    def conclude(self, facts: VideoFacts, coverage: Coverage | None = None) -> Detection:
        """The timeline of all snippets added; ``coverage`` is everything where it is not given.

        Raises:
            VideoError: there are none.
        """
        if self._window:
            self._score_window()
        if not self._times:
            raise video_error(self._path, f"no frame can be decoded; {COPY_AGAIN}")
        scoring = self._scoring
        starts, ends = np.array(self._times, dtype=np.float64).T
        timeline = build_timeline(
            facts,
            scoring.model,
            scoring.class_names,
            self._sampled(),
            scoring.rule,
            starts,
            ends,
            np.concatenate(self._scores),
            np.concatenate(self._probabilities),
            coverage,
        )
        features = None if self._features is None else np.concatenate(self._features)
        return Detection(timeline, self._peaks.of(timeline), self._peaks.by_time(timeline), features)

    def _sampled(self) -> Sampling:
        sampling = self._sampling()
        if sampling.reuse_still is None or not self._looked_at:
            return sampling
        return dataclasses.replace(sampling, reused=round(self._reused / self._looked_at, 4))

    def _score_window(self) -> None:
        window, self._window = self._window, []
        features = np.stack([snippet.feature for snippet in window])
        if self._features is not None:
            self._features.append(features)
        scored = self._scoring.score(features)
        scores = scored.scores.numpy()
        self._peaks.add(scores, window, first=len(self._times))
        self._times += [(snippet.start, snippet.end) for snippet in window]
        self._scores.append(scores)
        self._probabilities.append(scored.probabilities.numpy())


def coverage(info: VideoInfo, scanned: Sequence[tuple[float, float]] = ()) -> Coverage:
    """What was analysed of a video that was read to its end; of ``scanned`` spans only key frames were."""
    start, end = info.part or (0.0, info.duration)
    return dataclasses.replace(
        covered(end - start, info.holes, scanned),
        hole_reasons=tuple(hole.reason for hole in info.gaps),
        unsure=info.unsure,
        part=info.part,
    )


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
        stream=info.stream if info.streams > 1 else None,
        streams=info.streams if info.streams > 1 else None,
        fps_from=info.fps_from,
        timecode=info.timecode,
        created=info.created,
    )


class PeakFrames:
    """Keeps frames of the highest scores while a video runs, for events that are known at its end only."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._kept: list[tuple[float, int, Picture]] = []
        """Score, snippet number, frame."""

    def add(self, scores: FloatArray, snippets: Sequence[SnippetFeature], first: int) -> None:
        """Consider the snippets of a window with their scores (n,); the first one has the number ``first``."""
        tops = {int(scores.argmax())}  # shown where there is no event in all of the video
        for level in (self._threshold, LOWER_SHARE * self._threshold):
            above = np.flatnonzero(scores >= level)
            runs = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1)
            tops |= {int(run[scores[run].argmax()]) for run in runs if len(run)}
        for top in sorted(tops):
            frame = snippets[top].picture
            if frame is not None:
                self._kept.append((float(scores[top]), first + top, frame))
        self._kept = sorted(self._kept, key=lambda kept: -kept[0])[:KEPT_THUMBNAILS]

    def by_time(self, timeline: Timeline) -> dict[float, Picture]:
        """All kept frames, by the middle of their snippets in seconds."""
        middles = (timeline.starts + timeline.ends) / 2
        return {float(middles[snippet]): frame for _, snippet, frame in self._kept}

    def of(self, timeline: Timeline) -> dict[int, Picture]:
        """The best kept frame within each event of ``timeline``; without events, that of the highest score under 0."""
        if not timeline.events:
            highest = int(timeline.scores.argmax())
            return dict(enumerate(frame for _, snippet, frame in self._kept if snippet == highest))
        found = {}
        for number, event in enumerate(timeline.events):
            for _, snippet, frame in self._kept:
                if event.start <= timeline.starts[snippet] < event.end:
                    found[number] = frame
                    break
        return found
