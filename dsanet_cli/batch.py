"""Detect over many inputs: one after the other, results written, failures reported and passed over."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.table import Table

from dsanet_cli.console import plain_console, print_error, progress_bar, unexpected
from dsanet_cli.detect import Detection, Detector, DetectSettings
from dsanet_cli.encoder import precision_name
from dsanet_cli.errors import DsanetError, OutputError, UsageError
from dsanet_cli.files import atomic_write
from dsanet_cli.plot import save_plot
from dsanet_cli.report import (
    SummaryRow,
    format_event,
    format_time,
    read_timeline,
    write_csv,
    write_json,
    write_summary,
)
from dsanet_cli.sources import FEATURE_SUFFIX, Source, find_sources
from dsanet_cli.timeline import Timeline
from dsanet_cli.weights import load_model

FORMATS = ("json", "csv", "png")
SUMMARY_FILE = "summary.csv"


@dataclass(frozen=True)
class BatchSettings:
    """One run of ``dsanet detect``."""

    sources: tuple[str, ...]
    recursive: bool
    output: Path | None
    """Folder for results; None writes the one result to stdout."""
    formats: tuple[str, ...]
    model: str
    detect: DetectSettings
    threshold: float | None = None
    release: float | None = None
    merge_gap: float | None = None
    min_length: float | None = None
    skip_existing: bool | None = None
    """None: skip what is done within folders, analyse again what is named itself."""
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class BatchOutcome:
    """How many inputs were analysed (or found done already), and how many failed."""

    done: int
    failed: int


def run_batch(settings: BatchSettings) -> BatchOutcome:
    """Analyse all inputs; one that fails is reported in a line and does not stop the others.

    Raises:
        UsageError: settings that contradict each other.
        ModelError: the model does not load.
    """
    listing = find_sources(settings.sources, settings.recursive, sys.stdin)
    several = len(listing.sources) + len(listing.problems) > 1
    if settings.output is None and (several or len(settings.formats) != 1):
        raise UsageError("--output - takes one input and one --format")
    run = _Run(settings)
    for problem in listing.problems:
        run.report_failure(problem.argument, problem)
    if listing.sources:
        run.start(listing.sources)
    with run.progress:
        task = run.progress.add_task("", total=len(listing.sources), visible=several)
        for source in listing.sources:
            run.progress.update(task, description=source.path.name)
            run.analyse(source)
            run.progress.advance(task)
    if several:
        run.print_table()
        if settings.output is not None:
            with atomic_write(settings.output / SUMMARY_FILE) as stream:
                write_summary(run.rows, stream)
            run.log.print(f"results in {settings.output}{os.sep}")
    failed = sum(row.status == "failed" for row in run.rows)
    return BatchOutcome(done=len(run.rows) - failed, failed=failed)


class _Run:
    """What one batch carries from video to video."""

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        # With the result on stdout, every other line goes to stderr.
        self.lines = plain_console(stderr=settings.output is None)
        self.log = plain_console(stderr=True, quiet=settings.quiet)
        self.progress = progress_bar(settings.quiet)
        self.rows: list[SummaryRow] = []
        named_folder = any(Path(source).is_dir() for source in settings.sources)
        self.skip_done = named_folder if settings.skip_existing is None else settings.skip_existing
        self.detector: Detector

    def start(self, sources: Sequence[Source]) -> None:
        """Load the model, with its encoder where a source needs it, and say what will run where.

        Raises:
            ModelError: the model, or the weights of its encoder, do not load.
            UsageError: a device or precision this machine does not have.
        """
        model = load_model(self.settings.model)
        overrides = {
            "threshold": self.settings.threshold,
            "release": self.settings.release,
            "merge_gap": self.settings.merge_gap,
            "min_length": self.settings.min_length,
        }
        chosen = {name: value for name, value in overrides.items() if value is not None}
        rule = dataclasses.replace(model.config.events, **chosen)
        self.detector = Detector(model, dataclasses.replace(self.settings.detect, events=rule))
        detector = self.detector
        if any(source.path.suffix.lower() != FEATURE_SUFFIX for source in sources):
            detector.load_encoder()
        self.log.print(
            f"model {model.config.name}, encoder {model.config.encoder.architecture} on {detector.device} "
            f"in {precision_name(detector.dtype)}, {detector.sampled_frames} frames a snippet"
        )

    def analyse(self, source: Source) -> None:
        """Analyse one input and write its results; whatever goes wrong is this input's alone."""
        try:
            timeline = self._finished(source) if self.skip_done else None
            if timeline is None:
                started = time.monotonic()
                detection = self.detector.detect(source.path)
                if self.settings.verbose:
                    self.log.print(f"{source.path}: analysed in {time.monotonic() - started:.1f} s")
                self._write(source, detection)
                timeline = detection.timeline
            self.rows.append(SummaryRow.of(timeline))
            self._print_events(timeline)
        except DsanetError as error:
            self.report_failure(str(source.path), error)
        except Exception as error:  # one input must never end the batch
            self.report_failure(str(source.path), unexpected(source.path, error))

    def report_failure(self, name: str, error: DsanetError) -> None:
        """Print one line and remember the failure for the summary."""
        print_error(error)
        self.rows.append(SummaryRow.failed(name, str(error)))

    def print_table(self) -> None:
        """One row per input, the failed ones last."""
        table = Table("video", "verdict", "score", "events", "first event", box=None, header_style="bold")
        for row in sorted(self.rows, key=lambda row: row.status == "failed"):
            if row.status == "failed":
                table.add_row(row.path, "failed", "", "", "")
            else:
                first = "" if row.first_event is None else format_time(row.first_event)
                table.add_row(row.path, row.label, f"{row.score:.2f}", str(row.events), first)
        self.log.print(table)

    def _finished(self, source: Source) -> Timeline | None:
        """The result of an earlier run, if it is whole and the same model and settings made it."""
        if self.settings.output is None:
            return None
        paths = {kind: _result_path(self.settings.output, source, kind) for kind in {*self.settings.formats, "json"}}
        if not all(path.is_file() for path in paths.values()):
            return None
        try:
            timeline = read_timeline(paths["json"])
        except OutputError:
            return None
        same = (
            timeline.video.path == str(source.path)
            and timeline.model.sha256 == self.detector.model.sha256
            and timeline.sampling == self.detector.sampling(source.path)
            and timeline.rule == self.detector.rule
        )
        return timeline if same else None

    def _write(self, source: Source, detection: Detection) -> None:
        if self.settings.output is None:
            _write_stdout(self.settings.formats[0], detection)
            return
        for kind in self.settings.formats:
            path = _result_path(self.settings.output, source, kind)
            if kind == "png":
                with atomic_write(path, "wb") as image:
                    save_plot(detection.timeline, image, detection.thumbnails)
            else:
                with atomic_write(path) as stream:
                    _write_text(kind, detection.timeline, stream)

    def _print_events(self, timeline: Timeline) -> None:
        several = len(self.settings.sources) > 1 or Path(self.settings.sources[0]).is_dir()
        if several or not timeline.events:
            count = len(timeline.events)
            state = f"{count} event{'s' * (count > 1)}" if count else "nothing abnormal"
            self.lines.print(f"{timeline.video.path}: {state}")
        for event in timeline.events:
            self.lines.print(format_event(event))


def _result_path(output: Path, source: Source, kind: str) -> Path:
    return output / source.relative.with_name(f"{source.relative.name}.{kind}")


def _write_text(kind: str, timeline: Timeline, stream: IO[str]) -> None:
    if kind == "json":
        write_json(timeline, stream)
    else:
        write_csv(timeline, stream)


def _write_stdout(kind: str, detection: Detection) -> None:
    if kind == "png":
        save_plot(detection.timeline, sys.stdout.buffer, detection.thumbnails)
    else:
        _write_text(kind, detection.timeline, sys.stdout)
