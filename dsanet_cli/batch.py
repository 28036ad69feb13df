"""Detect over many inputs: results written as they come, failures reported and passed over."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from dsanet_cli.console import plain_console, print_error, unexpected
from dsanet_cli.detect import Detector, DetectSettings
from dsanet_cli.encoder import precision_name
from dsanet_cli.errors import DsanetError, UsageError
from dsanet_cli.files import atomic_write
from dsanet_cli.names import shown
from dsanet_cli.pipeline import Outcome, PipelineSettings, analyse
from dsanet_cli.progress import BatchProgress
from dsanet_cli.report import SummaryRow, format_coverage, format_event, format_time, write_summary
from dsanet_cli.results import FORMATS, ResultFolder, write_stdout
from dsanet_cli.sources import FEATURE_SUFFIX, Source, find_sources
from dsanet_cli.timeline import Timeline
from dsanet_cli.weights import load_model

SUMMARY_FILE = "summary.csv"
WAITING_RESULTS = 8
"""Videos analysed whose results are not written yet, at most."""


@dataclass(frozen=True)
class BatchSettings:
    """One run of ``dsanet detect``."""

    sources: tuple[str, ...]
    recursive: bool
    output: Path | None
    """Folder for results; None writes the one result to stdout."""
    formats: tuple[str, ...] = FORMATS
    model: str = "scenes"
    detect: DetectSettings = field(default_factory=DetectSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    threshold: float | None = None
    release: float | None = None
    merge_gap: float | None = None
    min_length: float | None = None
    skip_existing: bool | None = None
    """None: skip what is done within folders, analyse again what is named itself."""
    quiet: bool = False
    verbose: bool = False
    shard: tuple[int, int] = (1, 1)
    """(k, n): take every n-th input from the k-th on, so that n runs share the work."""


@dataclass(frozen=True)
class BatchOutcome:
    """How many inputs were analysed (or found done already), how many failed, and whether Ctrl-C came before."""

    done: int
    failed: int
    interrupted: bool = False


def run_batch(settings: BatchSettings) -> BatchOutcome:
    """Analyse all inputs; one that fails is reported in a line and does not stop the others.

    Raises:
        UsageError: settings that contradict each other.
        ModelError: the model does not load.
        OutputError: the output folder or the summary cannot be written.
    """
    listing = find_sources(settings.sources, settings.recursive, sys.stdin).shard(*settings.shard)
    several = len(listing.sources) + len(listing.problems) > 1
    if settings.output is None and (several or len(settings.formats) != 1):
        raise UsageError("--output - takes one input and one --format")
    run = _Run(settings)
    for problem in listing.problems:
        run.report_failure(problem.argument, problem)
    interrupted = False
    if listing.sources:
        run.start(listing.sources)
        try:
            run.analyse(listing.sources)
        except KeyboardInterrupt:
            interrupted = True
    rows = run.rows_in_order(listing.sources)
    if several:
        run.print_table(rows)
        if settings.output is not None:
            with atomic_write(settings.output / _summary_name(settings.shard)) as stream:
                write_summary(rows, stream)
            run.log.print(f"results in {settings.output}{os.sep}")
    failed = sum(row.status == "failed" for row in rows)
    if interrupted:
        left = len(listing.sources) + len(listing.problems) - len(rows)
        plain_console(stderr=True).print(
            f"interrupted, {left} left; the same command with --skip-existing goes on from here"
        )
    return BatchOutcome(len(rows) - failed, failed, interrupted)


class _Run:
    """What one batch carries from video to video."""

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        # With the result on stdout, every other line goes to stderr.
        self.lines = plain_console(stderr=settings.output is None)
        self.log = plain_console(stderr=True, quiet=settings.quiet)
        self.rows: list[SummaryRow] = []
        named_folder = any(Path(source).is_dir() for source in settings.sources)
        self.skip_done = named_folder if settings.skip_existing is None else settings.skip_existing
        self.names_inputs = named_folder or len(settings.sources) > 1
        self.folder = None if settings.output is None else ResultFolder(settings.output, settings.formats)
        self.detector: Detector

    def start(self, sources: Sequence[Source]) -> None:
        """Load the model, with its encoder where a source needs it, and say what will run where.

        Raises:
            ModelError: the model, or the weights of its encoder, do not load.
            UsageError: a device or precision this machine does not have.
            OutputError: the output folder cannot be written.
        """
        if self.folder is not None:
            self.folder.check_writable()
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

    def analyse(self, sources: Sequence[Source]) -> None:
        """Analyse what is not done yet; whatever goes wrong with an input is that input's alone."""
        remaining = [source for source in sources if not self._is_kept(source)]
        room = threading.BoundedSemaphore(WAITING_RESULTS)
        with (
            BatchProgress(remaining, self.settings.quiet) as progress,
            # Results are written beside the analysis, and all that is printed of them comes from this thread.
            ThreadPoolExecutor(1, "writer") as writer,
            contextlib.closing(analyse(self.detector, self.settings.pipeline, remaining, progress.watch)) as outcomes,
        ):
            for source, outcome in outcomes:
                room.acquire()
                written = writer.submit(self._conclude, source, outcome, progress)
                written.add_done_callback(lambda _: room.release())

    def _conclude(self, source: Source, outcome: Outcome, progress: BatchProgress) -> None:
        """Write and report how one input went."""
        try:
            if isinstance(outcome, DsanetError):
                raise outcome
            if self.folder is None:
                write_stdout(self.settings.formats[0], outcome)
            else:
                self.folder.write(source, outcome)
            elapsed = progress.elapsed(source)
            if self.settings.verbose and elapsed is not None:
                self.log.print(f"{shown(source.path)}: analysed in {elapsed:.1f} s")
            self._report(outcome.timeline)
            progress.done(source, _state(outcome.timeline))
        except DsanetError as error:
            self.report_failure(str(source.path), error)
            progress.done(source, "failed")
        except Exception as error:  # one input must never end the batch
            self.report_failure(str(source.path), unexpected(source.path, error))
            progress.done(source, "failed")

    def _is_kept(self, source: Source) -> bool:
        """Whether an earlier run's result stands, which is reported as if it were new."""
        if not self.skip_done or self.folder is None:
            return False
        timeline = self.folder.finished(source, self.detector)
        if timeline is not None:
            self._report(timeline)
        return timeline is not None

    def report_failure(self, name: str, error: DsanetError) -> None:
        """Print one line and remember the failure for the summary."""
        print_error(error)
        self.rows.append(SummaryRow.failed(name, str(error)))

    def _report(self, timeline: Timeline) -> None:
        """Print an input's events and remember it for the summary."""
        self.rows.append(SummaryRow.of(timeline))
        if self.names_inputs or not timeline.events:
            self.lines.print(f"{shown(timeline.video.path)}: {_state(timeline)}")
        for event in timeline.events:
            self.lines.print(format_event(event))
        if timeline.coverage.holes:
            self.log.print(f"{shown(timeline.video.path)}: {format_coverage(timeline)}")

    def rows_in_order(self, sources: Sequence[Source]) -> list[SummaryRow]:
        """All rows: what could not be found first, then the inputs in the order they were listed."""
        places = {str(source.path): place for place, source in enumerate(sources)}
        return sorted(self.rows, key=lambda row: places.get(row.path, -1))

    def print_table(self, rows: Sequence[SummaryRow]) -> None:
        """One row per input, the failed ones last."""
        table = Table("video", "verdict", "score", "events", "first event", box=None, header_style="bold")
        for row in sorted(rows, key=lambda row: row.status == "failed"):
            if row.status == "failed":
                table.add_row(shown(row.path), "failed", "", "", "")
            else:
                first = "" if row.first_event is None else format_time(row.first_event)
                table.add_row(shown(row.path), row.label, f"{row.score:.2f}", str(row.events), first)
        self.log.print(table)


def _state(timeline: Timeline) -> str:
    count = len(timeline.events)
    return f"{count} event{'s' * (count > 1)}" if count else "nothing abnormal"


def _summary_name(shard: tuple[int, int]) -> str:
    number, count = shard
    return SUMMARY_FILE if count == 1 else f"summary-{number}-of-{count}.csv"
