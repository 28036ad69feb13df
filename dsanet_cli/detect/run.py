"""Detect over many inputs: results written as they come, failures reported and passed over."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from dsanet_cli.detect.ahead import decoders_ahead
from dsanet_cli.detect.day import files_of
from dsanet_cli.detect.days import CameraRule, by_camera, join_days
from dsanet_cli.detect.dry_run import describe, measure, plan_work
from dsanet_cli.detect.notes import described, unused_cameras, without_effect
from dsanet_cli.detect.places import TakenError
from dsanet_cli.detect.printing import Printer, count_events
from dsanet_cli.detect.profile import read_profile
from dsanet_cli.detect.results import result_name
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.detect.summary import SummaryRow, update_summary
from dsanet_cli.errors import DsanetError, OutputError, UsageError, VideoError
from dsanet_cli.features.encoder_check import note_without_sidecar
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.paths import DEFAULT_PICTURE_FPS
from dsanet_cli.files.sources import Listing, Source, find_sources, is_feature_file
from dsanet_cli.names import printable
from dsanet_cli.pipeline.pipeline import Ahead
from dsanet_cli.pipeline.progress import BatchProgress
from dsanet_cli.timeline.formats import RECORD, check_formats
from dsanet_cli.timeline.recorded import check_start
from dsanet_cli.timeline.timeline import Timeline

if TYPE_CHECKING:
    from dsanet_cli.detect.runner import Runner


@dataclass(frozen=True)
class BatchSettings:
    """One run of ``dsanet detect``."""

    sources: tuple[str, ...]
    recursive: bool
    work: RunnerSettings
    skip_existing: bool | None = None
    """None: skip what is done within folders, analyse again what is named itself."""
    quiet: bool = False
    verbose: bool = False
    shard: tuple[int, int] = (1, 1)
    """(k, n): take every n-th input from the k-th on, so that n runs share the work."""
    on_ray: bool = False
    """Let the actors of a Ray cluster do it."""
    dry: bool = False
    """Only say what would be done."""
    by_camera: CameraRule | None = None
    """Join the files of each camera to its days; None takes each file by itself."""
    notes: tuple[str, ...] = ()
    """What the command line has to say about its options, such as those without effect."""
    on_written: Callable[[PurePath, bool], None] | None = None
    """Is called with the name of each record when all of its result is written, and whether there are several."""


@dataclass(frozen=True)
class BatchOutcome:
    """How many inputs were analysed (or found done already), how many failed, and what went wrong with the whole."""

    done: int
    failed: int
    interrupted: bool = False
    """Whether Ctrl-C came before the end."""
    summarised: bool = True
    """Whether ``summary.csv`` is as it should be."""
    results: tuple[PurePath, ...] = ()
    """Names of the records below the output folder, those that were found done already among them."""


def run_batch(settings: BatchSettings) -> BatchOutcome:
    """Analyse all inputs; one that fails is reported in a line and does not stop the others.

    Raises:
        UsageError: settings that contradict each other.
        ModelError: the model does not load.
        OutputError: the output folder cannot be written.
    """
    listing, files, joined = _listed(settings)
    several = settings.by_camera is not None or len(listing.sources) + len(listing.problems) > 1
    output = settings.work.output
    _check_stdout(settings, several)
    check_start(settings.work.detect.clock, several)
    check_formats(settings.work.formats)
    run = _Run(settings, several)
    run.print_notes(files, joined)
    for problem in listing.problems:
        run.report_failure(SummaryRow.failed(problem.argument, str(problem)), problem)
    interrupted = False
    failure: DsanetError | None = None
    if settings.dry:
        return run.plan(listing.sources)
    if listing.sources:
        try:
            run.analyse(listing.sources)
        except KeyboardInterrupt:
            interrupted = True
        except DsanetError as error:
            if len(run.rows) == len(listing.problems):  # nothing was done
                raise
            failure = error
    rows = run.rows_in_order(listing.sources)
    summarised = output is None or run.summarise(output, rows, several)
    if several and rows:
        run.printer.table(rows)
        if output is not None:
            run.printer.place(str(open_folder(output)))
    elif output is not None and any(row.status == "ok" for row in rows):
        names = [result_name(listing.sources[0], kind) for kind in dict.fromkeys((RECORD, *settings.work.formats))]
        run.printer.place(str(open_folder(output)), names)
    if failure is not None:
        raise failure
    failed = sum(row.status == "failed" for row in rows)
    results = () if output is None else tuple(PurePath(row.result) for row in rows if row.result and row.status == "ok")
    if interrupted:
        left = len(listing.sources) + len(listing.problems) + run.broken_files - len(rows)
        run.printer.interrupted(left)
    return BatchOutcome(len(rows) - failed, failed, interrupted, summarised, results)


def _check_stdout(settings: BatchSettings, several: bool) -> None:
    if settings.work.output is None and not settings.dry and (several or len(settings.work.formats) != 1):
        raise UsageError("--output - takes one input and one --format")


def _listed(settings: BatchSettings) -> tuple[Listing, tuple[Source, ...], tuple[str, ...]]:
    """What to analyse in this part of the work, the files that it is made of, and lines on how they were joined."""
    work, rule, (number, count) = settings.work, settings.by_camera, settings.shard
    fps = work.detect.feature_fps or DEFAULT_PICTURE_FPS
    listing = find_sources(settings.sources, settings.recursive, sys.stdin, fps)
    if rule is None:
        listing = listing.shard(number, count)
        return listing, listing.sources, ()
    cameras, strays = by_camera(listing.sources, rule)
    here = cameras[number - 1 :: count]
    days = join_days(here, rule, work.detect.clock, work.pipeline, work.detect.reading)
    files = tuple(file for _, found in here for file in found)
    lines = [f"{_count(files, 'file')} of {_count(here, 'camera')}: {_count(days, 'result')}"] if files else []
    if count > 1:
        lines.append(f"note: --shard: cameras are kept whole, {len(here)} of {len(cameras)} are in this part")
    problems = (*listing.problems, *strays)[number - 1 :: count]
    return Listing(days, problems), files, tuple(lines)


def _count(items: Sequence[object], name: str) -> str:
    return f"{len(items)} {name}{'s' * (len(items) != 1)}"


class _Run:
    """What one batch carries from video to video."""

    def __init__(self, settings: BatchSettings, several: bool) -> None:
        self.settings = settings
        self._several = several
        self.printer = Printer(
            on_stderr=settings.work.output is None,
            quiet=settings.quiet,
            several=several,
            fps_given=settings.work.detect.reading.fps is not None,
        )
        self.rows: list[SummaryRow] = []
        self.broken_files = 0
        """Rows of files that could not be joined to the others of their day."""
        named_folder = any(map(os.path.isdir, settings.sources))
        self.skip_done = named_folder if settings.skip_existing is None else settings.skip_existing

    def print_notes(self, sources: Sequence[Source], joined: Sequence[str] = ()) -> None:
        """Print what there is to say about the options, and the lines ``joined`` on files of cameras."""
        settings = self.settings
        for note in (*settings.notes, *without_effect(settings.sources, settings.recursive, settings.work, sources)):
            self.printer.log(f"note: {note}")
        if settings.work.profile is not None:
            for note in unused_cameras(read_profile(settings.work.profile), sources):
                self.printer.log(f"note: {note}")
        if settings.shard != (1, 1) and not sources:
            self.printer.log(
                f"note: part {settings.shard[0]} of {settings.shard[1]} holds no input that could be found"
            )
        for line in (*described(sources), *joined):
            self.printer.log(line)

    def plan(self, sources: Sequence[Source]) -> BatchOutcome:
        """Print what would be done, and write nothing.

        Raises:
            ModelError: the model, or the weights of its encoder, do not load.
            UsageError: a device or precision this machine does not have.
        """
        work = self.settings.work
        from dsanet_cli.detect.runner import Runner  # noqa: PLC0415 - seconds of import

        runner = Runner(work, writes=False)
        settled = {source: runner.settled(source, self.skip_done) for source in sources}
        for source, result in settled.items():
            if isinstance(result, DsanetError):
                self._report_source(source, result)
        remaining = [source for source, result in settled.items() if result is None]
        done = sum(isinstance(result, Timeline) for result in settled.values())
        remaining = [file for source in remaining for file in files_of(source)]
        plan = plan_work(remaining, done, work.pipeline, self._report_source, work.detect.reading)
        speed = None
        if plan.lengths and not self.settings.on_ray:
            speed = measure(list(plan.lengths), runner.pipeline(len(plan.lengths)))
        for line in describe(plan, speed):
            print(line)
        return BatchOutcome(len(plan.lengths) + plan.features + done, len(self.rows))

    def analyse(self, sources: Sequence[Source]) -> None:
        """Analyse what is not done yet; whatever goes wrong with an input is that input's alone.

        Raises:
            ModelError: the model, or the weights of its encoder, do not load.
            UsageError: a device or precision this machine does not have, or no cluster.
            OutputError: the output folder cannot be written.
        """
        if self.settings.on_ray:
            self._analyse_on_ray(sources)
            return
        with decoders_ahead(self.settings.work, sources, self.skip_done) as ahead:
            self._analyse_here(sources, ahead)

    def _analyse_here(self, sources: Sequence[Source], ahead: Ahead | None) -> None:
        from dsanet_cli.detect.runner import Runner  # noqa: PLC0415 - seconds of import, while decoders are at work

        runner = Runner(self.settings.work)
        if not all(is_feature_file(source.path) for source in sources):
            runner.load_encoder(sources)
        self.printer.log(runner.describe())
        if note := note_without_sidecar(source.path for source in sources if is_feature_file(source.path)):
            self.printer.log(note)
        remaining = [source for source in sources if not self._is_settled(runner, source)]
        self.printer.kept(sum(row.status == "ok" for row in self.rows), len(remaining), runner.outdated)
        with BatchProgress(remaining, self.settings.quiet) as progress:
            self._print_above(progress)
            runner.run(remaining, progress.watch, partial(self._conclude, progress), ahead)

    def _analyse_on_ray(self, sources: Sequence[Source]) -> None:
        try:
            from dsanet_cli.detect.ray_driver import run_on_ray  # noqa: PLC0415  (Ray is an extra)
        except ImportError as error:
            raise UsageError("--engine ray: Ray is not installed; pip install 'dsanet-cli[ray]'") from error
        with BatchProgress(sources, self.settings.quiet) as progress:
            self._print_above(progress)
            conclude = partial(self._conclude, progress, frames_watched=False)
            run_on_ray(self.settings.work, self.skip_done, sources, progress.watch, conclude, self.printer.log)

    def _print_above(self, progress: BatchProgress) -> None:
        if progress.console is not None:
            self.printer.print_above(progress.console)

    def _conclude(
        self, progress: BatchProgress, source: Source, result: Timeline | DsanetError, frames_watched: bool = True
    ) -> None:
        """Report how one input went."""
        if isinstance(result, DsanetError):
            self._report_source(source, result)
            progress.done(source, "failed")
            return
        elapsed = progress.elapsed(source)
        if self.settings.verbose and elapsed is not None:
            self.printer.log(f"{printable(source.path)}: analysed in {elapsed:.1f} s")
        if self.settings.on_written is not None and self.settings.work.output is not None:
            self.settings.on_written(result_name(source), self._several)
        self._report_source(source, result)
        progress.done(source, count_events(result), 0 if frames_watched else result.video.frames)

    def _is_settled(self, runner: Runner, source: Source) -> bool:
        """Whether an earlier run's result stands or is in the way, which is reported as if it were new."""
        settled = runner.settled(source, self.skip_done)
        if settled is not None:
            self._report_source(source, settled)
        return settled is not None

    def report_failure(self, row: SummaryRow, error: DsanetError) -> None:
        """Print one line and remember the failure for the summary."""
        self.rows.append(row)
        self.printer.error(error)

    def _report_source(self, source: Source, result: Timeline | DsanetError) -> None:
        """Report how one input went, and remember it for the summary."""
        name = result_name(source)
        if isinstance(result, DsanetError):
            place = None if isinstance(result, TakenError) else name
            self.report_failure(SummaryRow.failed(str(source.path), str(result), place), result)
        else:
            self.rows.append(SummaryRow.of(result, name))
            self.printer.timeline(result)
            for part in result.video.files:
                if part.error is not None:
                    self.broken_files += 1
                    self.report_failure(SummaryRow.failed(part.path, part.error, name), VideoError(part.error))

    def rows_in_order(self, sources: Sequence[Source]) -> list[SummaryRow]:
        """All rows: what could not be found first, then the inputs in the order they were listed."""
        places = {str(source.path): place for place, source in enumerate(sources)}
        return sorted(self.rows, key=lambda row: places.get(row.path, -1))

    def summarise(self, output: str, rows: Sequence[SummaryRow], several: bool) -> bool:
        """Bring the summary of the output folder up to date; whether that went well."""
        try:
            if rows:
                update_summary(open_folder(output), rows, several, self.settings.work.replace_others)
        except OutputError as error:
            self.printer.error(error)
            return False
        return True
