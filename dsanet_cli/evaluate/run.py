"""The ``eval`` command: figures of a model on a list of feature files, on screen and in three files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.console import plain_console, print_missing, progress_bar
from dsanet_cli.encoder.device import choose_device
from dsanet_cli.errors import SourceError, UsageError
from dsanet_cli.evaluate.curves import ScoreCurves, save_curves
from dsanet_cli.evaluate.detected import read_results, without_result
from dsanet_cli.evaluate.evaluation import (
    Evaluation,
    ScoredVideo,
    Truth,
    TruthFiles,
    evaluate,
    label_map,
    load_videos,
    read_truth,
    score_videos,
    truth_files,
)
from dsanet_cli.evaluate.frame_metrics import FrameFigures, ScoreArray, check_both_kinds, frame_curves
from dsanet_cli.evaluate.groundtruth import read_annotations
from dsanet_cli.evaluate.report import Report, print_tables, write_metrics, write_scores, write_videos
from dsanet_cli.features.encoder_check import EncoderCheck, note_without_sidecar
from dsanet_cli.features.lists import read_list, require_files
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.paths import take_paths
from dsanet_cli.models.directory import load_model
from dsanet_cli.timeline.facts import ModelFacts

METRICS_FILE = "metrics.json"
VIDEOS_FILE = "per_video.csv"
SCORES_FILE = "scores.npz"
CURVES_FILE = "curves.png"


@dataclass(frozen=True)
class EvalSettings:
    """One run of ``dsanet eval``."""

    truth: Path
    """An annotation file, or a research repository's ``gt*.npy``; only the latter goes with the next two."""
    segments: Path | None
    labels: Path | None
    output: Path
    model: str | None = None
    list_file: Path | None = None
    """Feature files for the model to score."""
    results: Path | None = None
    """A folder of ``detect``'s results, instead of these two."""
    root: Path | None = None
    skip_missing: bool = False
    device: str = "auto"
    quiet: bool = False

    def __post_init__(self) -> None:
        take_paths(self, "truth", "segments", "labels", "output", "list_file", "results", "root")
        if self.model is not None:
            object.__setattr__(self, "model", os.fspath(self.model))


@dataclass(frozen=True)
class EvalOutcome:
    """How many feature files of the list were evaluated, how many are missing, and the figures."""

    done: int
    missing: int
    evaluation: Evaluation


@dataclass(frozen=True)
class _Scored:
    """Videos with their scores and ground truth, whatever they were scored from."""

    model: ModelFacts
    class_names: tuple[str, ...]
    videos: Sequence[ScoredVideo]
    truth: Truth
    labels: Sequence[str]
    """Of each video, as the list or the ground truth has them."""
    missing: Sequence[Path] = ()


def run_eval(settings: EvalSettings, silent: bool = True) -> EvalOutcome:
    """Evaluate a model: write its figures with scores and curves into the output folder, and print them if asked to.

    Files that are wrong or do not fit each other are found before anything is scored.

    Args:
        settings: What to evaluate, and on what.
        silent: Print nothing, neither figures nor which files are missing.

    Raises:
        UsageError: options or ground truth files that do not go together, or a device this machine does not have.
        ModelError: the model does not load.
        SourceError: a list, results or ground truth that cannot be read or do not fit, or missing feature files.
        FeatureError: a feature file that does not fit the model, or its ground truth in length.
        OutputError: a result cannot be written, or one of ``detect`` cannot be read.

    """
    log = plain_console(stderr=True, quiet=settings.quiet or silent)
    files = truth_files(settings.truth, settings.segments, settings.labels)
    if settings.results is not None:
        source = settings.results
        scored = _take_results(settings, source, files, log)
    elif settings.model is not None and settings.list_file is not None:
        source = settings.list_file
        scored = _score_features(settings, settings.model, source, files, log, silent)
    else:
        raise UsageError("give --model and --list, or --results")
    truth = scored.truth
    report = Report(
        model=scored.model.name,
        model_sha256=scored.model.sha256,
        class_names=scored.class_names,
        source=source,
        from_results=settings.results is not None,
        ground_truth=tuple(path for path in (settings.truth, settings.segments, settings.labels) if path),
        missing=tuple(scored.missing),
        frames=sum(map(len, truth.labels)),
        anomalous_frames=sum(int(labels.sum()) for labels in truth.labels),
        evaluation=evaluate(scored.videos, truth, scored.class_names),
    )
    print_tables(report, Console(highlight=False, markup=False, quiet=silent))
    _write(settings.output, report, scored)
    log.print(f"results in {settings.output}{os.sep}")
    return EvalOutcome(len(scored.videos), len(scored.missing), report.evaluation)


def _score_features(
    settings: EvalSettings, model_name: str, list_file: Path, files: TruthFiles, log: Console, silent: bool
) -> _Scored:
    device = choose_device(settings.device)
    model = load_model(model_name)
    names = model.config.class_names
    rows, missing = require_files(read_list(list_file, settings.root), list_file, settings.skip_missing)
    if files.frames is not None and missing:
        raise SourceError(
            f"{files.frames}: has the videos of a whole list one after the other, so that none can be left out "
            f"({len(missing)} feature files are missing, such as {missing[0]}); bring them, or give an annotation file"
        )
    print_missing(missing, plain_console(stderr=True, quiet=silent))
    check = EncoderCheck.of_model(model.config)
    for row in rows:
        check.check(row.path)
    if note := note_without_sidecar(row.path for row in rows):
        log.print(note)
    log.print(f"model {model.config.name} on {device}, {len(rows)} videos")
    videos = load_videos(rows, model.config.head.width)
    truth = read_truth(files, [v.name for v in videos], [v.frames for v in videos], label_map(names))
    check_both_kinds(truth.labels)
    with progress_bar(settings.quiet or silent) as progress:
        waiting = progress.track(videos, description="scoring")
        scored = score_videos(model.head.to(device), model.text_features, model.config.temperature, waiting)
    facts = ModelFacts(model.config.name, model.sha256)
    return _Scored(facts, names, scored, truth, [row.label for row in rows], missing)


def _take_results(settings: EvalSettings, folder: Path, files: TruthFiles, log: Console) -> _Scored:
    if settings.model is not None or settings.list_file is not None:
        raise UsageError("--results brings scores and videos; drop --model and --list, or --results")
    if files.annotations is None:
        raise UsageError(f"{settings.truth}: goes by the feature files of a list; give --results an annotation file")
    given = {
        "--root": settings.root is not None,
        "--skip-missing": settings.skip_missing,
        "--device": settings.device != "auto",
    }
    if vain := [option for option, is_given in given.items() if is_given]:
        log.print(f"note: no effect with --results, which have scores already: {', '.join(vain)}")
    found = read_results(folder)
    log.print(f"model {found.model.name}, results of {len(found.videos)} videos")
    if absent := without_result([truth.name for truth in read_annotations(files.annotations)], found.videos):
        log.print(f"{len(absent)} annotated videos have no result, such as {absent[0]}; the figures are without them")
    if found.incomplete:
        log.print(f"{found.incomplete} videos were not analysed to the full; what was not counts as score 0")
    frames = [len(video.scores) * FRAMES_PER_SNIPPET for video in found.videos]
    truth = read_truth(files, [video.name for video in found.videos], frames, label_map(found.class_names))
    labels = ["-".join(video.classes) for video in truth.videos or ()]
    return _Scored(found.model, found.class_names, found.videos, truth, labels)


def _write(output: Path, report: Report, scored: _Scored) -> None:
    with atomic_write(output / METRICS_FILE) as stream:
        write_metrics(report, stream)
    with atomic_write(output / VIDEOS_FILE) as stream:
        write_videos(report.evaluation.videos, scored.labels, stream)
    with atomic_write(output / SCORES_FILE, "wb") as arrays:
        write_scores(scored.videos, scored.class_names, arrays)
    with atomic_write(output / CURVES_FILE, "wb") as image:
        _draw_curves(report, scored.videos, scored.truth, image)


def _draw_curves(report: Report, scored: Sequence[ScoredVideo], truth: Truth, image: IO[bytes]) -> None:
    share = report.anomalous_frames / report.frames
    kinds: list[tuple[str, list[ScoreArray], FrameFigures]] = [
        ("anomaly score", [video.scores for video in scored], report.evaluation.score)
    ]
    if report.evaluation.from_classes is not None:
        class_scores = [video.class_scores for video in scored if video.class_scores is not None]
        kinds.append(("from classes", class_scores, report.evaluation.from_classes))
    save_curves(
        [
            ScoreCurves(name, frame_curves(scores, truth.labels, truth.names), figures.auc, figures.ap)
            for name, scores, figures in kinds
        ],
        share,
        f"{len(scored)} videos, {report.frames:,} frames, {share:.1%} of them anomalous",
        image,
    )
