"""Evaluation: score the videos of a list, read their ground truth, and compare the two (protocol: metrics).

In short::

    videos = load_videos(listed, width)
    truth = read_truth(files, [v.name for v in videos], [v.frames for v in videos], label_map(class_names))
    evaluation = evaluate(score_videos(head, text_features, temperature, videos), truth, class_names)

Loading is apart from scoring, so that a training run loads its test features once and validates often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import FeatureError, SourceError, UsageError
from dsanet_cli.evaluate.detection_map import DetectionFigures, detection_map
from dsanet_cli.evaluate.frame_metrics import (
    ClassFigures,
    FrameFigures,
    FrameLabels,
    IntArray,
    ScoreArray,
    VideoTruth,
    class_figures,
    confusion_matrix,
    frame_figures,
    listed,
)
from dsanet_cli.evaluate.groundtruth import (
    check_lengths,
    frame_truth,
    match_videos,
    read_annotations,
    read_frame_array,
    read_segment_arrays,
    rename_classes,
    video_name,
    with_normal_segments,
)
from dsanet_cli.features.files import FloatArray, load_features
from dsanet_cli.features.lists import ListedFeature
from dsanet_cli.features.snippets import SnippetFacts, SnippetNotes
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.presets import PRESETS

ARRAY_SUFFIX = ".npy"


@dataclass(frozen=True)
class LoadedVideo:
    """One video's features (N, D) float32, in memory."""

    name: str
    features: FloatArray
    shown: IntArray | None = None
    """(M,) the snippet that shows in each 16 frames of the video; None where that is each in turn."""

    @property
    def frames(self) -> int:
        """Those that are evaluated: all in whole sixteens."""
        return (len(self.features) if self.shown is None else len(self.shown)) * FRAMES_PER_SNIPPET


@dataclass(frozen=True)
class ScoredVideo:
    """What a model says about the N snippets of one video."""

    name: str
    scores: ScoreArray
    """(N,) anomaly scores in 0..1: σ(logits1)."""
    class_scores: ScoreArray | None
    """(N,) anomaly scores in 0..1 from the classes: 1 − softmax(logits2)[normal], without temperature, as the
    released code has it. (1 − the normal class's probability would rank snippets as ``scores`` does.)
    None for results of ``detect``, which do not keep logits2."""
    probabilities: ScoreArray
    """(N, C) class probabilities, the normal class first."""


@dataclass(frozen=True)
class TruthFiles:
    """Where the ground truth of a list lies; see ``truth_files`` for what goes together."""

    annotations: Path | None = None
    """Text of UCF-Crime's or XD-Violence's format."""
    frames: Path | None = None
    """A research repository's ``gt*.npy``."""
    segments: Path | None = None
    """Its ``gt_segment*.npy``."""
    labels: Path | None = None
    """Its ``gt_label*.npy``."""


@dataclass(frozen=True)
class Truth:
    """The ground truth of a list's videos, in the list's order."""

    names: tuple[str, ...]
    labels: tuple[FrameLabels, ...]
    """One (16 N,) array per video, 1 where something abnormal happens."""
    videos: tuple[VideoTruth, ...] | None
    """Segments by class, named as the model names them; None where only the labels of frames are known."""


@dataclass(frozen=True)
class VideoFigures:
    """One video of an evaluation; AUC and AP within it, NaN where all its frames are of one kind."""

    name: str
    frames: int
    highest: float
    mean: float
    auc: float
    ap: float
    top_class: str
    """The anomaly class with the highest probability of any snippet."""


@dataclass(frozen=True)
class Evaluation:
    """All figures of a model on a list; 0..1."""

    score: FrameFigures
    """Of the anomaly score."""
    from_classes: FrameFigures | None
    """Of the anomaly score from the classes."""
    detection: DetectionFigures | None
    classes: tuple[ClassFigures, ...] | None
    """The anomaly classes."""
    confusion: IntArray | None
    """(C − 1, C − 1) events of the anomaly classes: rows the true class, columns the predicted one."""
    left_out: str | None
    """Why one of these is None, and which files would give it."""
    videos: tuple[VideoFigures, ...]


def load_videos(rows: Sequence[ListedFeature], width: int) -> tuple[LoadedVideo, ...]:
    """Load the features of a list's videos.

    Raises:
        FeatureError: a file that is missing or does not fit.

    """
    notes = SnippetNotes(FRAMES_PER_SNIPPET)
    return tuple(_load(row.path, width, notes.of(row.path)) for row in rows)


def _load(file: Path, width: int, facts: SnippetFacts) -> LoadedVideo:
    """Ground truth counts frames: snippets that last some time are placed on them by the video's rate."""
    name, features = video_name(str(file)), load_features(file, width)
    if facts.seconds is None:
        return LoadedVideo(name, features)
    if facts.fps is None or facts.video_frames is None:
        raise FeatureError(
            f"{file}: nothing says the frame rate of its video, so ground truth, which counts frames, cannot be placed "
            "on snippets of seconds; extract it again"
        )
    middles = (np.arange(max(1, facts.video_frames // FRAMES_PER_SNIPPET)) + 0.5) * FRAMES_PER_SNIPPET
    shown = (middles / float(facts.seconds * facts.fps)).astype(np.int64)
    return LoadedVideo(name, features, np.minimum(shown, len(features) - 1))


def score_videos(
    head: DSANetHead, text_features: Tensor, temperature: float, videos: Iterable[LoadedVideo]
) -> list[ScoredVideo]:
    """Score videos one after the other; arguments as for ``score_snippets``, the head in evaluation mode."""
    scored = []
    for video in videos:
        result = score_snippets(head, torch.from_numpy(video.features), text_features, temperature)
        class_scores = 1 - result.logits2.softmax(dim=-1)[:, 0]
        arrays = [array.numpy() for array in (result.scores, class_scores, result.probabilities)]
        if video.shown is not None:
            arrays = [array[video.shown] for array in arrays]
        scored.append(ScoredVideo(video.name, *arrays))
    return scored


def label_map(class_names: Sequence[str]) -> Mapping[str, str]:
    """Name a model's class for each label of the ground truth it can be evaluated with (case does not matter).

    The labels are a preset's for a model with just the classes of that preset (``B6`` is ``car accident``), else
    the class names themselves.
    """
    for preset in PRESETS.values():
        if set(preset.labels.values()) == set(class_names):
            return preset.labels
    return {name: name for name in class_names}


def truth_files(truth: Path, segments: Path | None = None, labels: Path | None = None) -> TruthFiles:
    """Tell apart what a user names: an annotation file, or a frame array (``.npy``) with or without the other two.

    Raises:
        UsageError: files that do not go together.

    """
    if (segments is None) != (labels is None):
        raise UsageError("--gt-segments and --gt-labels go together; give both or none")
    if truth.suffix.lower() == ARRAY_SUFFIX:
        return TruthFiles(frames=truth, segments=segments, labels=labels)
    if segments is not None:
        raise UsageError(f"{truth}: annotations have segments and classes; drop --gt-segments and --gt-labels")
    return TruthFiles(annotations=truth)


def read_truth(files: TruthFiles, names: Sequence[str], frames: Sequence[int], labels: Mapping[str, str]) -> Truth:
    """Read the ground truth of the videos of a list.

    Args:
        files: as from ``truth_files``.
        names: the list's videos or feature files, in its order.
        frames: their lengths, 16 per snippet.
        labels: the model's class name of each label of the ground truth, such as ``label_map``'s.

    Raises:
        SourceError: a file that cannot be read, a video without ground truth, a class that is not in ``labels``.
        FeatureError: features and ground truth differ in length; names the videos.

    """
    videos: tuple[VideoTruth, ...] | None = None
    if files.annotations is not None:
        _check_distinct(names)
        videos = match_videos(read_annotations(files.annotations), names)
    elif files.segments is not None and files.labels is not None:
        videos = read_segment_arrays(files.segments, files.labels, names)
    if videos is not None:
        check_lengths(videos, frames)
    if files.frames is not None:  # after the segments, whose lengths tell which video does not fit
        frame_labels = read_frame_array(files.frames, names, frames)
    else:
        frame_labels = tuple(frame_truth(video, n) for video, n in zip(videos or (), frames, strict=True))
    if videos is not None:
        videos = rename_classes(with_normal_segments(videos, frames), labels)
    return Truth(tuple(map(video_name, names)), frame_labels, videos)


def evaluate(scored: Sequence[ScoredVideo], truth: Truth, class_names: Sequence[str]) -> Evaluation:
    """Compare scores with ground truth: all figures that can be computed from it.

    Args:
        scored: in the order of ``truth``.
        truth: its classes named as in ``class_names``.
        class_names: the C classes, normal first.

    Raises:
        FeatureError: scores that are not finite or do not fit the ground truth; names the videos.
        SourceError: no frame is anomalous, or none is normal.

    """
    scores = [video.scores for video in scored]
    probabilities = [video.probabilities for video in scored]
    score = frame_figures(scores, truth.labels, truth.names)
    detection, classes, confusion, left_out = None, None, None, None
    if truth.videos is None:
        left_out = (
            "mAP, the figures by class and the confusion matrix need to know what happens when: "
            "add the gt_segment and gt_label arrays, or give an annotation file"
        )
    else:
        classes = class_figures(scores, probabilities, truth.videos, class_names)
        confusion = event_confusion(scored, truth.videos, class_names)
        if unsure := [v.name for v in truth.videos if any(s.class_name is None for s in v.segments)]:
            left_out = (
                f"mAP needs the class of each segment, which is not known in {listed(unsure, 2)}: "
                "give annotations with a class before each interval, or the research repositories' three arrays"
            )
        else:
            detection = detection_map(probabilities, truth.videos, class_names)
    return Evaluation(
        score=score,
        from_classes=_from_classes(scored, truth),
        detection=detection,
        classes=classes,
        confusion=confusion,
        left_out=left_out,
        videos=tuple(_video_figures(v, label, class_names) for v, label in zip(scored, truth.labels, strict=True)),
    )


def _from_classes(scored: Sequence[ScoredVideo], truth: Truth) -> FrameFigures | None:
    class_scores = [video.class_scores for video in scored if video.class_scores is not None]
    return frame_figures(class_scores, truth.labels, truth.names) if len(class_scores) == len(scored) else None


def event_confusion(
    scored: Sequence[ScoredVideo], truths: Sequence[VideoTruth], class_names: Sequence[str]
) -> IntArray:
    """Count events by their class and the one seen in them, (C − 1, C − 1) without the normal class.

    An event is a segment of an anomaly class; the class seen is the anomaly class with the highest mean
    probability over the snippets that the segment touches. A segment within the dropped last frames of its
    video touches none and is not counted; nor is one whose class is not known.
    """
    anomalies = class_names[1:]
    true, seen = [], []
    for video, truth in zip(scored, truths, strict=True):
        for segment in truth.segments:
            first, stop = segment.start // FRAMES_PER_SNIPPET, -(-segment.end // FRAMES_PER_SNIPPET)
            inside = video.probabilities[first:stop, 1:]  # (n, C − 1)
            if segment.class_name is not None and segment.class_name in anomalies and len(inside):
                true.append(segment.class_name)
                seen.append(anomalies[int(inside.mean(axis=0).argmax())])
    return confusion_matrix(true, seen, anomalies)


def _video_figures(video: ScoredVideo, labels: FrameLabels, class_names: Sequence[str]) -> VideoFigures:
    auc = ap = float("nan")
    if labels.any() and not labels.all():
        figures = frame_figures([video.scores], [labels], [video.name])
        auc, ap = figures.auc, figures.ap
    return VideoFigures(
        name=video.name,
        frames=len(labels),
        highest=float(video.scores.max()),
        mean=float(video.scores.mean()),
        auc=auc,
        ap=ap,
        top_class=class_names[1 + int(video.probabilities[:, 1:].max(axis=0).argmax())],
    )


def _check_distinct(names: Sequence[str]) -> None:
    """Refuse two feature files of one name: annotations, matched by name, would count for both."""
    if twice := [name for name, count in Counter(map(video_name, names)).items() if count > 1]:
        raise SourceError(
            f"videos are listed more than once: {listed(twice)}; keep one feature file (one crop) of each on the list"
        )
