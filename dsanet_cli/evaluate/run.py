"""The ``eval`` command: figures of a model on a list of feature files, on screen and in three files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console

from dsanet_cli.console import plain_console, print_missing, progress_bar
from dsanet_cli.encoder.device import choose_device
from dsanet_cli.errors import SourceError
from dsanet_cli.evaluate.curves import ScoreCurves, save_curves
from dsanet_cli.evaluate.evaluation import (
    ScoredVideo,
    Truth,
    evaluate,
    label_map,
    load_videos,
    read_truth,
    score_videos,
    truth_files,
)
from dsanet_cli.evaluate.frame_metrics import frame_curves
from dsanet_cli.evaluate.report import Report, print_tables, write_metrics, write_videos
from dsanet_cli.features.encoder_check import EncoderCheck, note_without_sidecar
from dsanet_cli.features.lists import read_list, require_files
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.models.directory import load_model

METRICS_FILE = "metrics.json"
VIDEOS_FILE = "per_video.csv"
CURVES_FILE = "curves.png"


@dataclass(frozen=True)
class EvalSettings:
    """One run of ``dsanet eval``."""

    model: str
    list_file: Path
    truth: Path
    """An annotation file, or a research repository's ``gt*.npy``; only the latter goes with the next two."""
    segments: Path | None
    labels: Path | None
    output: Path
    root: Path | None = None
    skip_missing: bool = False
    device: str = "auto"
    quiet: bool = False


@dataclass(frozen=True)
class EvalOutcome:
    """How many feature files of the list were evaluated, and how many are missing."""

    done: int
    missing: int


def run_eval(settings: EvalSettings) -> EvalOutcome:
    """Evaluate a model: print its figures, and write ``metrics.json``, ``per_video.csv`` and ``curves.png``.

    Files that are wrong or do not fit each other are found before anything is scored.

    Raises:
        UsageError: ground truth files that do not go together, or a device this machine does not have.
        ModelError: the model does not load.
        SourceError: a list or ground truth that cannot be read or does not fit, or missing feature files.
        FeatureError: a feature file that does not fit the model, or its ground truth in length.
        OutputError: a result cannot be written.

    """
    log = plain_console(stderr=True, quiet=settings.quiet)
    files = truth_files(settings.truth, settings.segments, settings.labels)
    device = choose_device(settings.device)
    model = load_model(settings.model)
    names = model.config.class_names
    rows, missing = require_files(
        read_list(settings.list_file, settings.root), settings.list_file, settings.skip_missing
    )
    if files.frames is not None and missing:
        raise SourceError(
            f"{files.frames}: has the videos of a whole list one after the other, so that none can be left out "
            f"({len(missing)} feature files are missing, such as {missing[0]}); bring them, or give an annotation file"
        )
    print_missing(missing)
    check = EncoderCheck.of_model(model.config)
    for row in rows:
        check.check(row.path)
    if note := note_without_sidecar(row.path for row in rows):
        log.print(note)
    log.print(f"model {model.config.name} on {device}, {len(rows)} videos")

    videos = load_videos(rows, model.config.head.width)
    truth = read_truth(files, [v.name for v in videos], [v.frames for v in videos], label_map(names))
    with progress_bar(settings.quiet) as progress:
        waiting = progress.track(videos, description="scoring")
        scored = score_videos(model.head.to(device), model.text_features, model.config.temperature, waiting)
    report = Report(
        model=model.config.name,
        model_sha256=model.sha256,
        class_names=names,
        list_file=settings.list_file,
        ground_truth=tuple(path for path in (settings.truth, settings.segments, settings.labels) if path),
        missing=tuple(missing),
        frames=sum(map(len, truth.labels)),
        anomalous_frames=sum(int(labels.sum()) for labels in truth.labels),
        evaluation=evaluate(scored, truth, names),
    )
    print_tables(report, Console(highlight=False, markup=False))
    with atomic_write(settings.output / METRICS_FILE) as stream:
        write_metrics(report, stream)
    with atomic_write(settings.output / VIDEOS_FILE) as stream:
        write_videos(report.evaluation.videos, [row.label for row in rows], stream)
    with atomic_write(settings.output / CURVES_FILE, "wb") as image:
        _draw_curves(report, scored, truth, image)
    log.print(f"results in {settings.output}{os.sep}")
    return EvalOutcome(done=len(rows), missing=len(missing))


def _draw_curves(report: Report, scored: Sequence[ScoredVideo], truth: Truth, image: IO[bytes]) -> None:
    share = report.anomalous_frames / report.frames
    kinds = (
        ("anomaly score", [v.scores for v in scored], report.evaluation.score),
        ("from classes", [v.class_scores for v in scored], report.evaluation.from_classes),
    )
    save_curves(
        [
            ScoreCurves(name, frame_curves(scores, truth.labels, truth.names), figures.auc, figures.ap)
            for name, scores, figures in kinds
        ],
        share,
        f"{len(scored)} videos, {report.frames:,} frames, {share:.1%} of them anomalous",
        image,
    )
