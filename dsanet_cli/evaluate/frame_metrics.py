"""The field's figures over frames, on arrays: AUC and AP, overall and per class (protocol: metrics).

Scores are per snippet and count for each of its 16 frames. Nothing here knows a file format. Detection mAP,
the figure over events, is in ``detection_map.py``.
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

NORMAL_LABELS = frozenset({"A", "Normal", "normal"})
"""What ground truth calls a span in which nothing happens."""

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


def frame_mask(segments: Iterable[Segment], frames: int) -> FrameLabels:
    """(frames,) uint8, 1 inside any of the segments; what lies beyond the video is cut off."""
    mask = np.zeros(frames, dtype=np.uint8)
    for segment in segments:
        mask[segment.start : segment.end] = 1
    return mask


def frame_figures(scores: Sequence[ScoreArray], labels: Sequence[FrameLabels], names: Sequence[str]) -> FrameFigures:
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
    check_both_kinds(labels)
    anomalous = [sample for sample in samples if sample.positives.any()]
    return FrameFigures(*_auc_ap(_join(samples)), *_auc_ap(_join(anomalous)))


def check_both_kinds(labels: Sequence[FrameLabels]) -> None:
    """Make sure that AUC and AP exist, before anything is scored.

    Raises:
        SourceError: no frame is anomalous, or none is normal.

    """
    for kind, missing in (
        ("anomalous", not any(label.any() for label in labels)),
        ("normal", all(label.all() for label in labels)),
    ):
        if missing:
            raise SourceError(
                f"the ground truth of these {len(labels)} videos has no {kind} frame, AUC and AP need both "
                "kinds; add videos or check that the ground truth belongs to them"
            )


def frame_curves(scores: Sequence[ScoreArray], labels: Sequence[FrameLabels], names: Sequence[str]) -> FrameCurves:
    """Give the curves behind ``frame_figures``' AUC and AP; same arguments and errors."""
    samples = _samples(scores, labels, names)
    check_both_kinds(labels)
    truth, values, weights = _join(samples).weighted()
    false_positive, true_positive, _ = roc_curve(truth, values, sample_weight=weights)
    precision, recall, _ = precision_recall_curve(truth, values, sample_weight=weights, drop_intermediate=True)
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
    check_probabilities(probabilities, truths, class_names)
    names = [truth.name for truth in truths]
    _check_scores(scores, [len(p) * FRAMES_PER_SNIPPET for p in probabilities], names)
    check_classes(truths, class_names)
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


def confusion_matrix(true: Sequence[str], predicted: Sequence[str], class_names: Sequence[str]) -> IntArray:
    """(C, C) counts of events: rows the true class, columns the predicted one.

    Raises:
        SourceError: a class that is none of ``class_names``.

    """
    position = {name: i for i, name in enumerate(class_names)}
    if unknown := sorted({*true, *predicted} - position.keys()):
        raise SourceError(f"class {listed(unknown)} is none of the model's ({', '.join(class_names)})")
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
        """Truth, value and weight; frames of a snippet are equal, so that weights are exact."""
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


def _samples(scores: Sequence[ScoreArray], labels: Sequence[FrameLabels], names: Sequence[str]) -> list[_Sample]:
    _check_scores(scores, [len(label) for label in labels], names)
    samples = []
    for score, label in zip(scores, labels, strict=True):
        positives = label.reshape(-1, FRAMES_PER_SNIPPET).astype(bool).sum(axis=1)
        samples.append(_Sample(score, positives, FRAMES_PER_SNIPPET - positives))
    return samples


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
    """Per snippet (N,), how many frames are of the class, perhaps of it, and of other anomaly classes.

    The last are counted only in videos that have the class.
    """
    own = [s for s in truth.segments if s.class_name == name]
    perhaps = [s for s in truth.segments if s.class_name is None and name in truth.classes]
    if not own and not perhaps:
        none = np.zeros(snippets, dtype=np.int64)
        return none, none, none
    anomalous = [s for s in truth.segments if s.class_name not in normal]
    frames = snippets * FRAMES_PER_SNIPPET
    inside = frame_mask(own, frames) > 0
    unsure = (frame_mask(perhaps, frames) > 0) & ~inside
    other = (frame_mask(anomalous, frames) > 0) & ~inside & ~unsure
    counts = [mask.reshape(snippets, -1).sum(axis=1) for mask in (inside, unsure, other)]
    return counts[0], counts[1], counts[2]


def _check_scores(scores: Sequence[ScoreArray], frames: Sequence[int], names: Sequence[str]) -> None:
    wrong = [
        f"{name} ({np.size(score) * FRAMES_PER_SNIPPET} frames of scores, {length} of ground truth)"
        for name, score, length in zip(names, scores, frames, strict=True)
        if np.ndim(score) != 1 or np.size(score) * FRAMES_PER_SNIPPET != length
    ]
    if wrong:
        raise FeatureError(
            f"scores and ground truth differ in length: {listed(wrong)}; "
            "check that both list the same videos in the same order"
        )
    _check_finite(scores, names)


def check_probabilities(
    probabilities: Sequence[ScoreArray], truths: Sequence[VideoTruth], class_names: Sequence[str]
) -> None:
    """Refuse probabilities that are not finite (N, C), as ``class_figures`` says."""
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
            f"class probabilities are not (N, {len(class_names)}): {listed(wrong)}; "
            "evaluate with the model that gave them"
        )
    _check_finite(probabilities, names)


def _check_finite(arrays: Sequence[ScoreArray], names: Sequence[str]) -> None:
    if bad := [name for name, array in zip(names, arrays, strict=True) if not np.isfinite(array).all()]:
        raise FeatureError(f"{listed(bad)}: scores are not finite; extract the features again")


def check_classes(truths: Sequence[VideoTruth], class_names: Sequence[str]) -> None:
    """Refuse segments whose class is neither one of ``class_names`` nor normal nor unknown."""
    known = NORMAL_LABELS | set(class_names) | {None}
    for truth in truths:
        for segment in truth.segments:
            if segment.class_name not in known:
                raise SourceError(
                    f"{truth.name}: its ground truth has the class {segment.class_name}, which is none of "
                    f"the model's ({', '.join(class_names)}); evaluate with a model of these classes"
                )


def listed(names: Sequence[str], most: int = 5) -> str:
    """Name the first few, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
