"""Scores become a timeline: events by hysteresis, a label for each, and the verdict on the video."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import EventRule
from dsanet_cli.records import Name, Share
from dsanet_cli.timeline.facts import TIME_STEP, Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.said import EventReview, ReviewFacts


@dataclass(frozen=True)
class Event:
    """One span in which something abnormal happens; times in seconds, scores in 0..1."""

    start: float
    end: float
    peak_time: float
    """Centre of the snippet with the highest score."""
    peak_score: float
    label: str
    probabilities: tuple[float, ...]
    """One per class, in the order of the class names, summing to 1."""
    review: EventReview | None = None
    """What a person said of it, where that was asked for."""


@dataclass(frozen=True)
class ScoredSnippet:
    """One row of the score curve; times in seconds, the score in 0..1."""

    start: float
    end: float
    score: float
    label: str
    """The normal class below the threshold, else the likeliest other."""
    probabilities: tuple[float, ...]
    """One per class, in the order of the class names, summing to 1."""


@dataclass(frozen=True)
class Verdict:
    """The video in one line: is there an event, of which class, and the highest score of all snippets."""

    anomalous: bool
    label: Name
    score: Share


@dataclass(frozen=True, eq=False)
class Timeline:
    """All that is known about a video after detection; what the result files hold.

    Raises:
        ValueError: the arrays do not fit each other, or a score or probability is not in 0..1.
    """

    video: VideoFacts
    model: ModelFacts
    class_names: tuple[str, ...]
    """The normal class first."""
    sampling: Sampling
    coverage: Coverage
    starts: NDArray[np.float64]
    """(N,) seconds, as are ``ends``."""
    ends: NDArray[np.float64]
    scores: NDArray[np.float32]
    """(N,) in 0..1."""
    probabilities: NDArray[np.float32]
    """(N, C) in 0..1, rows sum to 1."""
    rule: EventRule
    events: tuple[Event, ...]
    """In order of time; they do not overlap."""
    verdict: Verdict
    program: str | None = None
    """Name and version of what wrote it."""
    review: ReviewFacts | None = None
    """What a person said of it, where that was asked for."""
    thumbnails: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    """A picture (H, W, 3) RGB of each event's peak, by the event's number, where they were asked for; in no file."""

    def __post_init__(self) -> None:
        n, c = len(self.starts), len(self.class_names)
        if n == 0 or c < 2 or len(set(self.class_names)) != c:
            raise ValueError(f"a timeline needs snippets and distinct classes: {n} and {self.class_names}")
        shapes = [a.shape for a in (self.starts, self.ends, self.scores, self.probabilities)]
        if shapes != [(n,), (n,), (n,), (n, c)]:
            raise ValueError(f"starts, ends, scores and probabilities of {c} classes do not fit: {shapes}")
        for values in (self.scores, self.probabilities):
            if not bool(np.all((values >= 0) & (values <= 1))):
                raise ValueError("a score or probability is not in 0..1")
        if not bool(np.all(np.isfinite(self.ends)) and np.all(self.ends >= self.starts)):
            raise ValueError("a snippet ends before it starts, or never")
        if not all(bool(np.all(times[1:] >= times[:-1])) for times in (self.starts, self.ends)):
            raise ValueError("snippets are not in order of time")

    @property
    def labels(self) -> NDArray[np.intp]:
        """(N,) index of each snippet's class, see :func:`snippet_labels`."""
        return snippet_labels(self.scores, self.probabilities, self.rule.threshold)

    @property
    def snippets(self) -> tuple[ScoredSnippet, ...]:
        """The N snippets one by one, for those who do without arrays."""
        labels = (self.class_names[label] for label in self.labels)
        times, scores = (self.starts.tolist(), self.ends.tolist()), self.scores.tolist()
        rows = zip(*times, scores, labels, map(tuple, self.probabilities.tolist()), strict=True)
        return tuple(ScoredSnippet(*row) for row in rows)

    def to_json(self) -> str:
        """What ``dsanet detect`` writes as the timeline's JSON file, in UTF-8."""
        from dsanet_cli.timeline.files import write_json  # noqa: PLC0415 - which imports this module

        stream = io.StringIO()
        write_json(self, stream)
        return stream.getvalue()


def build_timeline(
    video: VideoFacts,
    model: ModelFacts,
    class_names: Sequence[str],
    sampling: Sampling,
    rule: EventRule,
    starts: NDArray[np.floating],
    ends: NDArray[np.floating],
    scores: NDArray[np.floating],
    probabilities: NDArray[np.floating],
    coverage: Coverage | None = None,
) -> Timeline:
    """Find the events in the scores of a video and reach a verdict.

    Args:
        video: the source of the snippets.
        model: the model that scored them.
        class_names: C names, the normal class first.
        sampling: how the snippets were made.
        rule: how scores become events.
        starts: (N,) seconds, in order; N >= 1.
        ends: (N,) seconds.
        scores: (N,) anomaly scores in 0..1.
        probabilities: (N, C) class probabilities.
        coverage: what was analysed; everything where it is not given.

    Raises:
        ValueError: as :class:`Timeline`.
    """
    checked = Timeline(
        video=video,
        model=model,
        class_names=tuple(class_names),
        sampling=sampling,
        coverage=coverage or Coverage(),
        starts=np.asarray(starts, np.float64),
        ends=np.asarray(ends, np.float64),
        scores=_unit(scores),
        probabilities=_unit(probabilities),
        rule=rule,
        events=(),
        verdict=Verdict(anomalous=False, label="", score=0.0),
    )
    return decide_anew(checked, rule)


def decide_anew(timeline: Timeline, rule: EventRule) -> Timeline:
    """The same scores with the events of another rule, of which nothing is said yet."""
    arrays = timeline.starts, timeline.ends, timeline.scores, timeline.probabilities
    events = find_events(*arrays, timeline.class_names, rule)
    verdict = reach_verdict(events, timeline.scores, timeline.class_names)
    return dataclasses.replace(timeline, rule=rule, events=events, verdict=verdict, review=None)


def snippet_labels(
    scores: NDArray[np.floating], probabilities: NDArray[np.floating], threshold: float
) -> NDArray[np.intp]:
    """Class index of each snippet: 0 (normal) below the threshold, else the likeliest anomaly class.

    Args:
        scores: (N,) in 0..1.
        probabilities: (N, C), column 0 the normal class.
        threshold: in 0..1.

    Returns:
        (N,) indices in 0..C-1.
    """
    return np.where(scores >= threshold, 1 + probabilities[:, 1:].argmax(axis=1), 0)


def find_events(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    scores: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    class_names: Sequence[str],
    rule: EventRule,
) -> tuple[Event, ...]:
    """Turn a score curve into events.

    An event holds a snippet that reaches ``rule.threshold``, and grows to both sides while scores stay at
    or above ``rule.release`` (or the threshold, where that is lower). Unanalysed time of ``rule.merge_gap``
    or more ends an event; events closer than ``rule.merge_gap`` become one; those shorter than
    ``rule.min_length`` are dropped last, with those labelled as one of ``rule.drop``.

    The event's probabilities are the mean of its snippets', weighted by score and renormalised; its label
    is the likeliest anomaly class among them, never the normal class.

    Args:
        starts: (N,) seconds, in order.
        ends: (N,) seconds.
        scores: (N,) in 0..1.
        probabilities: (N, C), column 0 the normal class.
        class_names: C names.
        rule: thresholds in 0..1, times in seconds.

    Returns:
        Events in order of time.
    """
    first, last = _runs(starts, ends, scores, rule)
    if len(first) == 0:
        return ()
    apart = starts[first[1:]] - ends[last[:-1]] > rule.merge_gap - TIME_STEP
    first, last = first[np.r_[True, apart]], last[np.r_[apart, True]]
    kept = ends[last] - starts[first] > rule.min_length - TIME_STEP
    spans = zip(first[kept].tolist(), last[kept].tolist(), strict=True)
    events = (_event(starts, ends, scores, probabilities, class_names, slice(a, b + 1)) for a, b in spans)
    return tuple(event for event in events if event.label not in rule.drop)


def reach_verdict(events: Sequence[Event], scores: NDArray[np.floating], class_names: Sequence[str]) -> Verdict:
    """Anomalous where there is an event, with the label of the one that peaks highest."""
    highest = max(events, key=lambda e: e.peak_score, default=None)
    label = class_names[0] if highest is None else highest.label
    return Verdict(anomalous=highest is not None, label=label, score=float(scores.max()))


def column_maxima(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    values: NDArray[np.float32],
    edges: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Take the highest value of the snippets that show in each column of a picture.

    Args:
        starts: (N,) seconds, in order.
        ends: (N,) seconds, in order.
        values: (N, C).
        edges: (M+1,) seconds, the borders of the columns.

    Returns:
        (M, C); NaN where a column has no snippet.
    """
    first = np.searchsorted(ends, edges[:-1], side="right")  # (M,)
    stop = np.searchsorted(starts, edges[1:], side="left")  # (M,)
    bounds = np.stack([first, np.maximum(first, stop)], axis=1).ravel()
    padded = np.concatenate([values, values[:1]])  # the bounds may be N
    maxima = np.maximum.reduceat(padded, bounds, axis=0)[::2]
    return np.where((stop > first)[:, None], maxima, np.float32(np.nan))


def _unit(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Clip values that rounding put just outside 0..1; others stay as they are, to be refused."""
    single = np.asarray(values, np.float32)
    return np.where(np.abs(single - 0.5) < 0.5 + 1e-5, single.clip(0, 1), single)


def _runs(
    starts: NDArray[np.float64], ends: NDArray[np.float64], scores: NDArray[np.float32], rule: EventRule
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last snippet of each run that holds the release level and somewhere reaches the threshold."""
    active = scores >= min(rule.release, rule.threshold)  # (N,)
    joined = active[1:] & active[:-1] & (starts[1:] - ends[:-1] < max(rule.merge_gap, TIME_STEP))  # (N-1,)
    first = np.flatnonzero(active & ~np.r_[False, joined])
    last = np.flatnonzero(active & ~np.r_[joined, False])
    if len(first) == 0:
        return first, last
    # Each segment reaches to the next run's first snippet; what lies between is below the threshold anyway.
    reached = np.maximum.reduceat(scores, first) >= rule.threshold
    return first[reached], last[reached]


def _event(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    scores: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    class_names: Sequence[str],
    span: slice,
) -> Event:
    weights = scores[span].astype(np.float64)
    if not weights.any():  # only with a threshold of 0
        weights = np.ones_like(weights)
    mean = weights @ probabilities[span].astype(np.float64)  # (C,)
    mean /= mean.sum()
    peak = span.start + int(scores[span].argmax())
    return Event(
        start=float(starts[span.start]),
        end=float(ends[span.stop - 1]),
        peak_time=float(starts[peak] + ends[peak]) / 2,
        peak_score=float(scores[peak]),
        label=class_names[1 + int(mean[1:].argmax())],
        probabilities=tuple(mean.tolist()),
    )
