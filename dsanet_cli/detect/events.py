"""Events decided anew from results that are there, by another rule; without a video, and without what encodes one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from dsanet_cli.detect.decider import Decider, DeciderSettings, KeptPictures, content
from dsanet_cli.detect.places import check_writable, file_name, write_stdout
from dsanet_cli.detect.printing import Printer
from dsanet_cli.detect.profile import read_profile
from dsanet_cli.detect.side_by_side import each
from dsanet_cli.detect.summary import SummaryRow, update_summary
from dsanet_cli.detect.training_list import save_list, training_list
from dsanet_cli.errors import DsanetError, OutputError, UsageError
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.result_names import may_be_result
from dsanet_cli.files.sources import RECURSIVE_IN_VAIN, Source, find_results, may_be_folder
from dsanet_cli.timeline.formats import RECORD, check_formats
from dsanet_cli.timeline.recorded import check_start
from dsanet_cli.timeline.timeline import Timeline


@dataclass(frozen=True)
class EventsSettings:
    """One run of ``dsanet events``."""

    results: tuple[str, ...]
    recursive: bool = False
    decider: DeciderSettings = field(default_factory=DeciderSettings)
    profile: Path | None = None
    list_file: Path | None = None
    """A list for training to write, of the results that were reviewed."""
    to_stdout: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class EventsOutcome:
    """How many results were decided, how many failed, and whether summary and list are as they should be."""

    done: int
    failed: int
    summarised: bool = True
    interrupted: bool = False
    """Whether Ctrl-C came before the end."""
    results: tuple[PurePath, ...] = ()
    """Names of the records that were written, below the output folder."""


def run_events(settings: EventsSettings) -> EventsOutcome:
    """Decide the events of all results; one that fails is reported in a line and does not stop the others.

    Raises:
        UsageError: settings that contradict each other, or a profile that is none.
        OutputError: the output folder cannot be written.
    """
    listing = find_results(settings.results, settings.recursive, sys.stdin, may_be_result)
    several = len(listing.sources) + len(listing.problems) > 1
    if settings.to_stdout and (several or len(settings.decider.formats) != 1):
        raise UsageError("--output - takes one result and one --format")
    if settings.decider.films and settings.decider.output is None:
        raise UsageError("clips and films need a folder; name one with --output")
    check_start(settings.decider.clock, several)
    check_formats(settings.decider.formats)
    run = _Run(settings, several)
    if settings.recursive and not any(map(may_be_folder, settings.results)):
        run.printer.log(f"note: {RECURSIVE_IN_VAIN}")
    for problem in listing.problems:
        run.fail(SummaryRow.failed(problem.argument, str(problem)), problem)
    interrupted = False
    try:
        run.decide(listing.sources)
    except KeyboardInterrupt:
        interrupted = True
    return run.conclude(several, interrupted)


def _decider(settings: DeciderSettings) -> Callable[[tuple[Source, bool]], Timeline | DsanetError | None]:
    decider = Decider(settings)
    return lambda piece: decider.decide(*piece)


class _Run:
    """What one run carries from result to result."""

    def __init__(self, settings: EventsSettings, several: bool) -> None:
        self._settings = settings
        self.printer = Printer(on_stderr=settings.to_stdout, quiet=settings.quiet, several=several)
        self._rows: list[SummaryRow] = []
        self._decided: list[tuple[Path, Timeline]] = []

    def decide(self, sources: Sequence[Source]) -> None:
        """Decide, write and print all results.

        Raises:
            UsageError: the profile is none.
            OutputError: the output folder cannot be written.
        """
        settings = self._settings.decider
        if self._settings.profile is not None:
            settings = replace(settings, profile=read_profile(self._settings.profile))
        if settings.output is not None and sources:
            check_writable(open_folder(settings.output))
        named = {os.path.abspath(argument) for argument in self._settings.results}
        pieces = [(source, os.path.abspath(source.path) in named) for source in sources]
        for source, result in zip(sources, each(_decider, settings, pieces, alone=settings.is_heavy), strict=True):
            if isinstance(result, DsanetError):
                self.fail(SummaryRow.failed(str(source.path), str(result)), result)
            elif result is not None:
                self._take(source, result)

    def _take(self, source: Source, timeline: Timeline) -> None:
        written = None if self._settings.decider.output is None else file_name(source.relative, RECORD)
        self._rows.append(SummaryRow.of(timeline, written))
        if self._settings.list_file is not None:
            self._decided.append((source.path, timeline))
        self.printer.timeline(timeline)
        if self._settings.to_stdout:
            write_stdout(content(self._settings.decider.formats[0], timeline, KeptPictures(source.path)) or b"")

    def fail(self, row: SummaryRow, error: DsanetError) -> None:
        """Print one line and remember the failure."""
        self._rows.append(row)
        self.printer.error(error)

    def conclude(self, several: bool, interrupted: bool) -> EventsOutcome:
        """Write the summary, print the table and where the results are."""
        output, rows, summarised = self._settings.decider.output, self._rows, True
        decided = [row for row in rows if row.status == "ok"]
        if output is not None and decided:
            summarised = self._summarise(output, decided, several)
        if several and rows:
            self.printer.table(rows)
        if output is not None and decided:
            names = [PurePath(row.result or "") for row in decided] if len(decided) == 1 else []
            self.printer.place(str(open_folder(output)), names)
        elif decided and not (self._settings.to_stdout or self._settings.list_file):
            self.printer.log("nothing was written; --output FOLDER writes results")
        if not rows and not interrupted:
            self.printer.error(OutputError(f"{', '.join(self._settings.results)}: no results in it"))
        if self._settings.list_file is not None and decided and not interrupted:
            summarised = self._list(self._settings.list_file) and summarised
        written = tuple(PurePath(row.result) for row in decided if row.result)
        return EventsOutcome(len(decided), len(rows) - len(decided), summarised, interrupted, written)

    def _list(self, path: Path) -> bool:
        try:
            made = training_list(self._decided)
            save_list(path, made, self._settings.decider.overwrite)
        except DsanetError as error:
            self.printer.error(error)
            return False
        for line in made.lines(path):
            self.printer.log(line)
        return True

    def _summarise(self, output: str, rows: Sequence[SummaryRow], several: bool) -> bool:
        try:
            update_summary(open_folder(output), rows, several, self._settings.decider.overwrite)
        except OutputError as error:
            self.printer.error(error)
            return False
        return True
