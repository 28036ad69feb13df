"""An evaluation as tables and files: ``metrics.json`` and ``per_video.csv``.

Figures are in per cent on screen, as papers print them, and 0..1 in files. One that does not exist is ``-`` on screen,
null in JSON and empty in CSV.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table

from dsanet_cli.evaluate.detection_map import DetectionFigures
from dsanet_cli.evaluate.evaluation import Evaluation, ScoredVideo, VideoFigures
from dsanet_cli.evaluate.frame_metrics import IntArray
from dsanet_cli.names import cell

METRICS_SCHEMA = 1
WHY_MEANS_DIFFER = (
    "published averages all classes, normal included, and is 0 once a class has no proposal; "
    "the anomaly mean takes the anomaly classes in the ground truth only"
)
VIDEO_COLUMNS = ("name", "label", "frames", "highest_score", "mean_score", "auc", "ap", "top_class")


@dataclass(frozen=True)
class Report:
    """An evaluation, with the model and the list that it is of."""

    model: str
    model_sha256: str
    class_names: tuple[str, ...]
    """The normal class first."""
    source: Path
    """The list of feature files, or the folder of results."""
    from_results: bool
    ground_truth: tuple[Path, ...]
    missing: tuple[Path, ...]
    """Feature files of the list that were left out."""
    frames: int
    anomalous_frames: int
    evaluation: Evaluation


def write_metrics(report: Report, stream: IO[str]) -> None:
    """Write all figures as JSON (schema 1), 0..1 and null where a figure does not exist."""
    evaluation = report.evaluation
    data = {
        "schema": METRICS_SCHEMA,
        "model": {"name": report.model, "sha256": report.model_sha256},
        "list": None if report.from_results else str(report.source),
        "results": str(report.source) if report.from_results else None,
        "ground_truth": [str(path) for path in report.ground_truth],
        "videos": len(evaluation.videos),
        "missing": [str(path) for path in report.missing],
        "frames": report.frames,
        "anomalous_frames": report.anomalous_frames,
        "score": dataclasses.asdict(evaluation.score),
        "from_classes": evaluation.from_classes and dataclasses.asdict(evaluation.from_classes),
        "detection_map": _detection_data(evaluation.detection, report.class_names),
        "classes": evaluation.classes and [dataclasses.asdict(figures) for figures in evaluation.classes],
        "confusion": _confusion_data(evaluation.confusion, report.class_names[1:]),
        "left_out": evaluation.left_out,
    }
    json.dump(_without_nan(data), stream, indent=2, ensure_ascii=False, allow_nan=False)
    stream.write("\n")


def write_videos(videos: Sequence[VideoFigures], labels: Sequence[str], stream: IO[str]) -> None:
    """Write one row per video; ``labels`` are the list's. AUC and AP are empty where all frames are of one kind.

    Texts that a spreadsheet would take for formulas are marked (``names.cell``).
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(VIDEO_COLUMNS)
    for video, label in zip(videos, labels, strict=True):
        figures = ("" if math.isnan(x) else f"{x:.6g}" for x in (video.highest, video.mean, video.auc, video.ap))
        writer.writerow([cell(video.name), cell(label), video.frames, *figures, cell(video.top_class)])


def write_scores(videos: Sequence[ScoredVideo], class_names: Sequence[str], stream: IO[bytes]) -> None:
    """Write each video's snippets as a compressed ``.npz`` without pickles, for V videos of S snippets in all.

    ``names`` (V,) and ``classes`` (C,) are texts; rows ``offsets[v]`` to ``offsets[v + 1]`` of ``scores`` (S,) and
    ``probabilities`` (S, C), float32, are those of video v, a row for each 16 frames.
    """
    np.savez_compressed(
        stream,
        names=np.array([video.name for video in videos], dtype=np.str_),
        classes=np.array(class_names, dtype=np.str_),
        offsets=np.cumsum([0, *(len(video.scores) for video in videos)]),
        scores=np.concatenate([video.scores for video in videos]).astype(np.float32),
        probabilities=np.concatenate([video.probabilities for video in videos]).astype(np.float32),
    )


def print_tables(report: Report, console: Console) -> None:
    """Print the figures, and a line that names those that could not be computed."""
    evaluation = report.evaluation
    blocks: list[Table | Group | str] = [_frame_table(evaluation)]
    if evaluation.detection is not None:
        blocks.append(Group(_detection_table(evaluation.detection), f"({WHY_MEANS_DIFFER})"))
    if evaluation.classes is not None:
        blocks.append(_class_table(report))
    if evaluation.confusion is not None:
        blocks.append(_confusion_table(evaluation.confusion, report.class_names[1:]))
    if evaluation.left_out is not None:
        blocks.append(evaluation.left_out)
    for number, block in enumerate(blocks):
        if number:
            console.print()
        console.print(block)


def _frame_table(evaluation: Evaluation) -> Table:
    table = _table("frames, %", "AUC", "AP", "AUC anomalous videos", "AP anomalous videos")
    for name, figures in (("anomaly score", evaluation.score), ("from classes", evaluation.from_classes)):
        if figures is None:
            continue
        table.add_row(name, *_percent([figures.auc, figures.ap, figures.anomalous_auc, figures.anomalous_ap]))
    return table


def _detection_table(detection: DetectionFigures) -> Table:
    table = _table("detection mAP, %", *(f"@{iou:g}" for iou in detection.ious), "mean")
    table.add_row("published", *_percent([*detection.published, detection.published_mean]))
    table.add_row("anomaly classes", *_percent([*detection.anomaly, detection.anomaly_mean]))
    return table


def _class_table(report: Report) -> Table:
    detection, classes = report.evaluation.detection, report.evaluation.classes or ()
    columns = ("class, %", "videos", "score AUC", "score AP", "class AUC", "class AP")
    table = _table(*columns, *(["mAP"] if detection else []))
    for number, c in enumerate(classes, start=1):
        figures = [c.score_auc, c.score_ap, c.probability_auc, c.probability_ap]
        if detection:
            figures.append(sum(detection.per_class[number]) / len(detection.ious))
        table.add_row(c.name, str(c.videos), *_percent(figures))
    return table


def _confusion_table(confusion: IntArray, class_names: Sequence[str]) -> Table:
    """Number the rows and let the columns carry the numbers only: 13 names side by side fit no terminal."""
    table = _table("events: true class, seen as", *map(str, range(1, len(class_names) + 1)))
    for number, (name, counts) in enumerate(zip(class_names, confusion.tolist(), strict=True), start=1):
        table.add_row(f"{number:>2} {name}", *(str(count) if count else "." for count in counts))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=None, header_style="bold")
    for name in others:
        table.add_column(name, justify="right")
    return table


def _percent(figures: Iterable[float]) -> list[str]:
    return ["-" if math.isnan(x) else f"{100 * x:.2f}" for x in figures]


def _detection_data(detection: DetectionFigures | None, class_names: Sequence[str]) -> dict[str, Any] | None:
    if detection is None:
        return None
    return {
        "ious": detection.ious,
        "published": detection.published,
        "published_mean": detection.published_mean,
        "anomaly": detection.anomaly,
        "anomaly_mean": detection.anomaly_mean,
        "why_they_differ": WHY_MEANS_DIFFER,
        "per_class": dict(zip(class_names, detection.per_class, strict=True)),
    }


def _confusion_data(confusion: IntArray | None, class_names: Sequence[str]) -> dict[str, Any] | None:
    """``counts``: one list per true class, of how often its events were seen as each class."""
    if confusion is None:
        return None
    return {"classes": list(class_names), "counts": confusion.tolist()}


def _without_nan(value: Any) -> Any:
    """The same nested data, None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
