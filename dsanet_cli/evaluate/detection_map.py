"""Detection mAP: how well class curves find the events, by the published evaluation (protocol: metrics)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import SourceError
from dsanet_cli.evaluate.frame_metrics import (
    FloatArray,
    IntArray,
    ScoreArray,
    VideoTruth,
    check_classes,
    check_probabilities,
    listed,
)

IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Overlaps at which the field reports detection mAP."""

PROPOSAL_DEPTH = 0.6
"""The threshold of proposals: this share of a curve's range below its maximum."""
STRENGTH_WEIGHT = 0.7
"""How much the class's strength in the whole video counts in a proposal's score."""
STRENGTH_SHARE = 16
"""The strength is the mean of the highest 1/16 of the frames."""


@dataclass(frozen=True)
class DetectionFigures:
    """Detection mAP by overlap, 0..1.

    ``published`` and ``anomaly`` differ because the published mean takes in the normal class (which in
    UCF-Crime can only score 0) and is 0 when one class has no proposal at all.
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


def detection_map(
    probabilities: Sequence[ScoreArray],
    truths: Sequence[VideoTruth],
    class_names: Sequence[str],
    ious: Sequence[float] = IOUS,
) -> DetectionFigures:
    """Mean average precision of events, by the published evaluation and over anomaly classes only.

    Bug-compatible: normal is one of the classes averaged; a class without any proposal makes the published
    mean 0 at every overlap; a class without a correct proposal counts 0. Normal videos need their whole
    length as a segment (``groundtruth.with_normal_segments``). Proposals of equal score keep the order of the
    videos.

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
    check_probabilities(probabilities, truths, class_names)
    check_classes(truths, class_names)
    if unnamed := [t.name for t in truths if any(s.class_name is None for s in t.segments)]:
        raise SourceError(
            f"{listed(unnamed)}: the ground truth does not say which class each segment is; "
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
        return _Proposals(self.video[mine], self.column[mine], self.start[mine], self.end[mine], self.score[mine])


def _proposals(probabilities: Sequence[ScoreArray]) -> _Proposals:
    """Find the published proposals in all videos and classes.

    Computed on snippets: their frames are equal, so that a run of snippets is a run of frames of at least 16
    (the rule asks for 2). Runs of a curve do not overlap, so that the rule's suppression at IoU 0.6 has
    nothing to remove.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    for video, probability in enumerate(probabilities):
        curves = probability.T.astype(np.float64)  # (C, N)
        highest = curves.max(axis=1)
        threshold = highest - PROPOSAL_DEPTH * (highest - curves.min(axis=1))
        steps = np.diff((curves > threshold[:, None]).astype(np.int8), axis=1, prepend=0, append=0)
        column, start = np.nonzero(steps == 1)
        end = np.nonzero(steps == -1)[1]
        # All curves in one row, each with one value more that lets a run end with its curve.
        row = np.pad(curves, ((0, 0), (0, 1))).ravel()
        row_length = curves.shape[1] + 1
        bounds = (column * row_length)[:, None] + np.stack([start, end], axis=1)
        peak = np.maximum.reduceat(row, bounds.ravel())[::2]
        score = peak + STRENGTH_WEIGHT * _strength(curves)[column]
        parts.append((np.full(len(start), video), column, start * FRAMES_PER_SNIPPET, end * FRAMES_PER_SNIPPET, score))
    return _Proposals(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _strength(curves: FloatArray) -> FloatArray:
    """(C, N) to (C,): the mean of the highest 1/16 of each curve's frames."""
    wanted = curves.shape[1] * FRAMES_PER_SNIPPET // STRENGTH_SHARE
    whole, rest = divmod(wanted, FRAMES_PER_SNIPPET)
    falling = np.sort(curves, axis=1)[:, ::-1]
    total = falling[:, :whole].sum(axis=1) * FRAMES_PER_SNIPPET + falling[:, whole] * rest
    return np.asarray(total / wanted)


def _average_precision(proposals: _Proposals, segments: dict[int, IntArray], ious: Sequence[float]) -> FloatArray:
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
