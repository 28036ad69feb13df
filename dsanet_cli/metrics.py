"""The field's figures, on arrays: AUC and AP over frames, mAP over events, per class (protocol: metrics).

Scores are per snippet and count for each of its 16 frames. Nothing here knows a file format.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import FeatureError, SourceError

IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Overlaps at which the field reports detection mAP."""
NORMAL_LABELS = frozenset({"A", "Normal", "normal"})
"""What ground truth calls a span in which nothing happens."""

PROPOSAL_DEPTH = 0.6
"""A proposal starts this share of a curve's range below its maximum."""
STRENGTH_WEIGHT = 0.7
"""Weight of the class's strength in the whole video in a proposal's score."""
STRENGTH_SHARE = 16
"""The strength is the mean of the highest 1/16 of the frames."""

ScoreArray = NDArray[np.floating[Any]]
FrameLabels = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Segment(NamedTuple):
    """A span of one class in frames, half-open [start, end); the class is None where it is not known."""

    start: int
    end: int
    class_name: str | None


@dataclass(frozen=True)
class VideoTruth:
    """What happens in one video; ``frames`` is its length where the ground truth tells."""

    name: str
    classes: tuple[str, ...]
    segments: tuple[Segment, ...]
    frames: int | None = None


@dataclass(frozen=True)
class FrameFigures:
    """AUC and AP over frames, 0..1; NaN over anomalous videos that have no normal frame."""

    auc: float
    ap: float
    anomalous_auc: float
    """Over the videos with at least one anomalous frame only, as is ``anomalous_ap``."""
    anomalous_ap: float


@dataclass(frozen=True)
class FrameCurves:
    """The ROC curve and the precision-recall curve, for plots; all values 0..1."""

    false_positive_rate: FloatArray
    true_positive_rate: FloatArray
    precision: FloatArray
    recall: FloatArray


@dataclass(frozen=True)
class ClassFigures:
    """AUC and AP of one class, 0..1; NaN where its frames or the frames beside them are missing.

    ``score_*``: the anomaly score in the videos with the class, its frames against the normal ones.
    ``probability_*``: the class's probability in all videos, its frames against all others.
    """

    name: str
    videos: int
    frames: int
    score_auc: float
    score_ap: float
    probability_auc: float
    probability_ap: float


@dataclass(frozen=True)
class DetectionFigures:
    """Detection mAP by overlap, 0..1.

    ``published`` and ``anomaly`` differ because the published mean takes in the normal class (which in
    UCF-Crime can only score 0) and collapses to 0 when one class has no proposal at all.
    """

    ious: tuple[float, ...]
    published: tuple[float, ...]
    """The mean over all classes by the published evaluation, one per overlap."""
    anomaly: tuple[float, ...]
    """The mean over the anomaly classes that occur in the ground truth, one per overlap; NaN without any."""
    per_class: tuple[tuple[float, ...], ...]
    """AP by class, then overlap; NaN for a class without ground truth."""

    @property
    def published_mean(self) -> float:
        """The published average mAP."""
        return float(np.mean(self.published))

    @property
    def anomaly_mean(self) -> float:
        """The average over overlaps of ``anomaly``."""
        return float(np.mean(self.anomaly))


def frame_mask(segments: Iterable[Segment], frames: int) -> FrameLabels:
    """(frames,) uint8, 1 inside any of the segments; what lies beyond the video is cut off."""
    mask = np.zeros(frames, dtype=np.uint8)
    for segment in segments:
        mask[segment.start : segment.end] = 1
    return mask


def frame_figures(
    scores: Sequence[ScoreArray], labels: Sequence[FrameLabels], names: Sequence[str]
) -> FrameFigures:
    """AUC and AP over the frames of all videos joined, and over the anomalous videos only.

    Args:
        scores: one (N,) array per video, anomaly score per snippet.
        labels: one (16 N,) array per video, 0 or 1 per frame.
        names: the videos, for messages.

    Raises:
        FeatureError: scores that are not finite or do not fit their labels; names the videos.
        SourceError: no frame is anomalous, or none is normal.
    """
    samples = _samples(scores, labels, names)
    anomalous = [sample for sample in samples if sample.positives.any()]
    return FrameFigures(*_auc_ap(_both_kinds(samples)), *_auc_ap(_join(anomalous)))


def frame_curves(
    scores: Sequence[ScoreArray], labels: Sequence[FrameLabels], names: Sequence[str]
) -> FrameCurves:
    """The curves behind ``frame_figures``' AUC and AP; same arguments and errors."""
    truth, values, weights = _both_kinds(_samples(scores, labels, names)).weighted()
    false_positive, true_positive, _ = roc_curve(truth, values, sample_weight=weights)
    precision, recall, _ = precision_recall_curve(
        truth, values, sample_weight=weights, drop_intermediate=True
    )
    return FrameCurves(false_positive, true_positive, precision, recall)


def class_figures(
    scores: Sequence[ScoreArray],
    probabilities: Sequence[ScoreArray],
    truths: Sequence[VideoTruth],
    class_names: Sequence[str],
) -> tuple[ClassFigures, ...]:
    """AUC and AP of each anomaly class (all but the first of ``class_names``).

    Frames of a segment whose class is not known count as any class of their video for the anomaly score, and
    are left out for the probability of these classes.

    Args:
        scores: one (N,) array per video, anomaly score per snippet.
        probabilities: one (N, C) array per video, in the order of ``class_names``.
        truths: one per video, its classes named as in ``class_names``.
        class_names: the C classes, normal first.

    Raises:
        FeatureError: scores or probabilities that are not finite or not (N,) and (N, C).
        SourceError: the ground truth has a class that is none of ``class_names``.
    """
    _check_probabilities(probabilities, truths, class_names)
    names = [truth.name for truth in truths]
    _check_scores(scores, [len(p) * FRAMES_PER_SNIPPET for p in probabilities], names)
    _check_classes(truths, class_names)
    normal = NORMAL_LABELS | {class_names[0]}
    figures = []
    for column, name in enumerate(class_names[1:], start=1):
        by_score, by_probability = [], []
        for score, probability, truth in zip(scores, probabilities, truths, strict=True):
            inside, unsure, other = _class_counts(truth, name, len(score), normal)
            outside = FRAMES_PER_SNIPPET - inside - unsure
            by_probability.append(_Sample(probability[:, column], inside, outside))
            if (inside + unsure).any():
                by_score.append(_Sample(score, inside + unsure, outside - other))
        score_sample = _join(by_score)
        figures.append(
            ClassFigures(
                name,
                len(by_score),
                int(score_sample.positives.sum()),
                *_auc_ap(score_sample),
                *_auc_ap(_join(by_probability)),
            )
        )
    return tuple(figures)


def detection_map(
    probabilities: Sequence[ScoreArray],
    truths: Sequence[VideoTruth],
    class_names: Sequence[str],
    ious: Sequence[float] = IOUS,
) -> DetectionFigures:
    """Mean average precision of events, by the published evaluation and over anomaly classes only.

    Bug-compatible: normal is one of the classes averaged; a class without any proposal makes the published
    mean 0 at every overlap; a class without a correct proposal counts 0. Normal videos need their whole
    length as a segment (``groundtruth.with_normal_segments``). Proposals of equal score keep the videos' order.

    Args:
        probabilities: one (N, C) array per video, in the order of ``class_names``.
        truths: one per video, segments named as in ``class_names``; a normal label that is not among them
            (``A`` in UCF-Crime's arrays) matches no class.
        class_names: the C classes, normal first.
        ious: overlaps (0..1] from which a proposal is correct.

    Raises:
        FeatureError: probabilities that are not finite or not (N, C); names the videos.
        SourceError: a segment has no class, or one that is none of ``class_names``.
    """
    _check_probabilities(probabilities, truths, class_names)
    _check_classes(truths, class_names)
    if unnamed := [t.name for t in truths if any(s.class_name is None for s in t.segments)]:
        raise SourceError(
            f"{_listed(unnamed)}: the ground truth does not say which class each segment is; "
            "use the annotation file with classes"
        )
    proposals = _proposals(probabilities)
    precisions = np.zeros((len(class_names), len(ious)))
    occurs = np.zeros(len(class_names), dtype=bool)
    complete = True
    for c, name in enumerate(class_names):
        segments = {
            video: np.array([s[:2] for s in truth.segments if s.class_name == name], dtype=np.int64)
            for video, truth in enumerate(truths)
            if any(s.class_name == name for s in truth.segments)
        }
        found = proposals.of_class(c)
        complete &= len(found.score) > 0
        occurs[c] = bool(segments)
        precisions[c] = _average_precision(found, segments, ious)
    published = precisions.mean(axis=0) if complete else np.zeros(len(ious))
    counted = precisions[1:][occurs[1:]]
    anomaly = counted.mean(axis=0) if len(counted) else np.full(len(ious), np.nan)
    return DetectionFigures(
        ious=tuple(ious),
        published=tuple(published.tolist()),
        anomaly=tuple(anomaly.tolist()),
        per_class=tuple(map(tuple, np.where(occurs[:, None], precisions, np.nan).tolist())),
    )


def confusion_matrix(true: Sequence[str], predicted: Sequence[str], class_names: Sequence[str]) -> IntArray:
    """(C, C) counts of events: rows the true class, columns the predicted one.

    Raises:
        SourceError: a class that is none of ``class_names``.
    """
    position = {name: i for i, name in enumerate(class_names)}
    if unknown := sorted({*true, *predicted} - position.keys()):
        raise SourceError(f"class {_listed(unknown)} is none of the model's ({', '.join(class_names)})")
    matrix = np.zeros((len(class_names), len(class_names)), dtype=np.int64)
    for row, column in zip(true, predicted, strict=True):
        matrix[position[row], position[column]] += 1
    return matrix


@dataclass(frozen=True)
class _Sample:
    """Snippets with how many of their frames are positive and how many negative; the rest is left out."""

    values: ScoreArray  # (N,)
    positives: NDArray[np.integer[Any]]  # (N,)
    negatives: NDArray[np.integer[Any]]  # (N,)

    def weighted(self) -> tuple[NDArray[np.bool_], ScoreArray, NDArray[np.integer[Any]]]:
        """Truth, value and weight: frames of a snippet are equal, so that a weight is exact and 16 x shorter."""
        truth = np.repeat([True, False], len(self.values))
        weights = np.concatenate([self.positives, self.negatives])
        kept = weights > 0
        return truth[kept], np.tile(self.values, 2)[kept], weights[kept]


def _join(samples: Sequence[_Sample]) -> _Sample:
    none = np.zeros(0, dtype=np.int64)
    return _Sample(
        np.concatenate([np.zeros(0), *(s.values for s in samples)]),
        np.concatenate([none, *(s.positives for s in samples)]),
        np.concatenate([none, *(s.negatives for s in samples)]),
    )


def _samples(
    scores: Sequence[ScoreArray], labels: Sequence[FrameLabels], names: Sequence[str]
) -> list[_Sample]:
    _check_scores(scores, [len(label) for label in labels], names)
    samples = []
    for score, label in zip(scores, labels, strict=True):
        positives = label.reshape(-1, FRAMES_PER_SNIPPET).astype(bool).sum(axis=1)
        samples.append(_Sample(score, positives, FRAMES_PER_SNIPPET - positives))
    return samples


def _both_kinds(samples: Sequence[_Sample]) -> _Sample:
    joined = _join(samples)
    for kind, counts in (("anomalous", joined.positives), ("normal", joined.negatives)):
        if not counts.any():
            raise SourceError(
                f"the ground truth of these {len(samples)} videos has no {kind} frame, AUC and AP need both "
                "kinds; add videos or check that the ground truth belongs to them"
            )
    return joined


def _auc_ap(sample: _Sample) -> tuple[float, float]:
    """NaN where there is only one kind of frame."""
    if not (sample.positives.any() and sample.negatives.any()):
        return float("nan"), float("nan")
    truth, values, weights = sample.weighted()
    return (
        float(roc_auc_score(truth, values, sample_weight=weights)),
        float(average_precision_score(truth, values, sample_weight=weights)),
    )


def _class_counts(
    truth: VideoTruth, name: str, snippets: int, normal: Collection[str]
) -> tuple[IntArray, IntArray, IntArray]:
    """Per snippet (N,), how many frames are of the class, perhaps of it, and of other anomaly classes."""
    if not truth.segments:
        none = np.zeros(snippets, dtype=np.int64)
        return none, none, none
    own = [s for s in truth.segments if s.class_name == name]
    unnamed = [s for s in truth.segments if s.class_name is None]
    perhaps = unnamed if name in truth.classes else []
    anomalous = [s for s in truth.segments if s.class_name not in normal]
    frames = snippets * FRAMES_PER_SNIPPET
    inside = frame_mask(own, frames) > 0
    unsure = (frame_mask(perhaps, frames) > 0) & ~inside
    other = (frame_mask(anomalous, frames) > 0) & ~inside & ~unsure
    counts = [mask.reshape(snippets, -1).sum(axis=1) for mask in (inside, unsure, other)]
    return counts[0], counts[1], counts[2]


@dataclass(frozen=True)
class _Proposals:
    """Spans in which a class may happen: (P,) arrays, videos in ascending order, bounds in frames."""

    video: IntArray
    column: IntArray
    start: IntArray
    end: IntArray
    score: FloatArray

    def of_class(self, column: int) -> _Proposals:
        mine = self.column == column
        return _Proposals(
            self.video[mine], self.column[mine], self.start[mine], self.end[mine], self.score[mine]
        )


def _proposals(probabilities: Sequence[ScoreArray]) -> _Proposals:
    """The published proposals of all videos and classes.

    Computed on snippets: their frames are equal, so that a run of snippets is a run of frames of at least 16
    (the rule asks for 2). Runs of a curve do not overlap, so that the rule's suppression at IoU 0.6 has
    nothing to remove.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    for video, probability in enumerate(probabilities):
        curves = probability.T.astype(np.float64)  # (C, N)
        count, snippets = curves.shape
        highest = curves.max(axis=1)
        threshold = highest - PROPOSAL_DEPTH * (highest - curves.min(axis=1))
        steps = np.diff((curves > threshold[:, None]).astype(np.int8), axis=1, prepend=0, append=0)
        column, start = np.nonzero(steps == 1)
        end = np.nonzero(steps == -1)[1]
        # All curves in one row, each with one value more that lets a run end with its curve.
        row = np.pad(curves, ((0, 0), (0, 1))).ravel()
        bounds = (column * (snippets + 1))[:, None] + np.stack([start, end], axis=1)
        peak = np.maximum.reduceat(row, bounds.ravel())[::2] if len(start) else np.zeros(0)
        score = peak + STRENGTH_WEIGHT * _strength(curves)[column]
        parts.append(
            (np.full(len(start), video), column, start * FRAMES_PER_SNIPPET, end * FRAMES_PER_SNIPPET, score)
        )
    return _Proposals(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _strength(curves: FloatArray) -> FloatArray:
    """(C, N) to (C,): the mean of the highest 1/16 of each curve's frames."""
    wanted = curves.shape[1] * FRAMES_PER_SNIPPET // STRENGTH_SHARE
    whole, rest = divmod(wanted, FRAMES_PER_SNIPPET)
    falling = np.sort(curves, axis=1)[:, ::-1]
    total = falling[:, :whole].sum(axis=1) * FRAMES_PER_SNIPPET + falling[:, whole] * rest
    return np.asarray(total / wanted)


def _average_precision(
    proposals: _Proposals, segments: dict[int, IntArray], ious: Sequence[float]
) -> FloatArray:
    """AP of one class at each overlap; ``segments``: by video, (M, 2) frames."""
    if not segments or not len(proposals.score):
        return np.zeros(len(ious))
    order = np.argsort(-proposals.score, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    correct = np.zeros((len(ious), len(order)), dtype=bool)
    for video, spans in segments.items():
        mine = slice(*np.searchsorted(proposals.video, [video, video + 1]))
        overlap = _overlaps(proposals.start[mine], proposals.end[mine], spans)  # (P, M)
        ranks = rank[mine]
        candidates = np.flatnonzero(overlap.max(axis=1, initial=0) >= min(ious))
        candidates = candidates[np.argsort(ranks[candidates])]
        for level, iou in enumerate(ious):
            unused = overlap[candidates]
            for row, candidate in enumerate(candidates):
                best = int(unused[row].argmax())
                if unused[row, best] >= iou:
                    correct[level, ranks[candidate]] = True
                    unused[:, best] = -1.0
    precision = np.cumsum(correct, axis=1) / np.arange(1, len(order) + 1)
    return np.asarray((precision * correct).sum(axis=1) / sum(map(len, segments.values())))


def _overlaps(start: IntArray, end: IntArray, spans: IntArray) -> FloatArray:
    """IoU of (P,) proposals with (M, 2) segments, as (P, M): that of the sets of their frames."""
    common = np.minimum(end[:, None], spans[:, 1]) - np.maximum(start[:, None], spans[:, 0])
    common = np.maximum(common, 0)
    lengths = np.maximum(spans[:, 1] - spans[:, 0], 0)
    return np.asarray(common / ((end - start)[:, None] + lengths - common))


def _check_scores(scores: Sequence[ScoreArray], frames: Sequence[int], names: Sequence[str]) -> None:
    wrong = [
        f"{name} ({np.size(score) * FRAMES_PER_SNIPPET} frames of scores, {length} of ground truth)"
        for name, score, length in zip(names, scores, frames, strict=True)
        if np.ndim(score) != 1 or np.size(score) * FRAMES_PER_SNIPPET != length
    ]
    if wrong:
        raise FeatureError(
            f"scores and ground truth differ in length: {_listed(wrong)}; "
            "check that both list the same videos in the same order"
        )
    _check_finite(scores, names)


def _check_probabilities(
    probabilities: Sequence[ScoreArray], truths: Sequence[VideoTruth], class_names: Sequence[str]
) -> None:
    if not probabilities:
        raise SourceError("there is no video to evaluate; check the list")
    names = [truth.name for truth in truths]
    wrong = [
        f"{name} {np.shape(p)}"
        for name, p in zip(names, probabilities, strict=True)
        if np.ndim(p) != 2 or p.shape[1] != len(class_names) or len(p) == 0
    ]
    if wrong:
        raise FeatureError(
            f"class probabilities are not (N, {len(class_names)}): {_listed(wrong)}; "
            "evaluate with the model that gave them"
        )
    _check_finite(probabilities, names)


def _check_finite(arrays: Sequence[ScoreArray], names: Sequence[str]) -> None:
    if bad := [name for name, array in zip(names, arrays, strict=True) if not np.isfinite(array).all()]:
        raise FeatureError(f"{_listed(bad)}: scores are not finite; extract the features again")


def _check_classes(truths: Sequence[VideoTruth], class_names: Sequence[str]) -> None:
    known = NORMAL_LABELS | set(class_names) | {None}
    for truth in truths:
        for segment in truth.segments:
            if segment.class_name not in known:
                raise SourceError(
                    f"{truth.name}: its ground truth has the class {segment.class_name}, which is none of "
                    f"the model's ({', '.join(class_names)}); evaluate with a model of these classes"
                )


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
