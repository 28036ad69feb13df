"""What ``dsanet detect`` prints: events on stdout, all else on stderr, and with ``--quiet`` only events and errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from dsanet_cli.console import plain_console, print_error, print_table
from dsanet_cli.detect.summary import SummaryRow
from dsanet_cli.errors import DsanetError
from dsanet_cli.names import printable
from dsanet_cli.text import format_time
from dsanet_cli.timeline.text import format_coverage, format_event, format_missed, format_remarks
from dsanet_cli.timeline.timeline import Timeline


class Printer:
    """Prints how a run goes.

    Args:
        on_stderr: Print events on stderr too, since the result itself goes to stdout.
        quiet: Print events and errors only.
        several: Name the video in each line about one, since there are several.
        fps_given: A frame rate was; say so, once, where a video has its own.
    """

    def __init__(self, on_stderr: bool, quiet: bool, several: bool, fps_given: bool = False) -> None:
        self._quiet = quiet
        self._several = several
        self._fps_given = fps_given
        self._events = plain_console(stderr=on_stderr)
        self._log = plain_console(stderr=True, quiet=quiet)
        self._errors = plain_console(stderr=True)

    def print_above(self, bars: Console) -> None:
        """Let lines that go to a terminal not be overwritten by the bars there."""
        self._log = self._errors = bars
        if sys.stdout.isatty():
            self._events = bars

    def log(self, line: str) -> None:
        """Print a line about the run."""
        self._log.print(line)

    def error(self, error: DsanetError) -> None:
        """Print what went wrong with an input or with the run."""
        print_error(error, self._errors)

    def timeline(self, timeline: Timeline) -> None:
        """Print a line for each event of a video, or that there is none, and what was not analysed."""
        path = printable(timeline.video.path)
        for event in timeline.events:
            line = format_event(event, timeline.video.recorded)
            self._events.print(f"{path}: {line}" if self._several else line)
        for missed in timeline.review.missed if timeline.review else ():
            self._events.print(f"{path}: {format_missed(missed)}" if self._several else format_missed(missed))
        if not timeline.events and not self._quiet:
            self._events.print(f"{path}: {count_events(timeline)}")
        if timeline.coverage.holes:
            self.log(f"{path}: {format_coverage(timeline)}")
        for remark in format_remarks(timeline):
            self.log(f"{path}: {remark}")
        if self._fps_given and timeline.video.codec is not None and timeline.video.fps_from is None:
            self._fps_given = False
            self.log(f"{path}: gives its own frame rate, so --fps has no effect")

    def kept(self, kept: int, remaining: int, outdated: int) -> None:
        """Print how many results of an earlier run stand, and how many of those to do another version has done."""
        if outdated:
            self.log(f"{outdated} result{'s' * (outdated > 1)} of another version of dsanet made anew")
        if kept:
            self.log(f"{kept} result{'s' * (kept > 1)} of an earlier run kept, {remaining} to do")

    def interrupted(self, left: int) -> None:
        """Print how many inputs Ctrl-C left undone."""
        self._errors.print(f"interrupted, {left} left; the same command with --skip-existing goes on from here")

    def table(self, rows: Sequence[SummaryRow]) -> None:
        """Print one row per input, the failed ones last."""
        if self._quiet:
            return
        table = Table(box=None, header_style="bold")
        table.add_column("video", overflow="fold")
        for name in ("verdict", "score", "events", "first event", "analysed"):
            table.add_column(name)
        for row in sorted(rows, key=lambda row: row.status == "failed"):
            if row.status == "failed":
                table.add_row(printable(row.path), "failed")
            else:
                first = "" if row.first_event is None else format_time(row.first_event)
                if row.first_clock is not None:
                    first += f" ({row.first_clock[:19].replace('T', ' ')})"
                cells = row.label, f"{row.score:.2f}", str(row.events), first, _share(row.analysed)
                table.add_row(printable(row.path), *cells)
        print_table(table, stderr=True)

    def place(self, folder: str, files: Sequence[os.PathLike[str]] = ()) -> None:
        """Print where results are: which ``files``, or just the folder where there are many."""
        names = ", ".join(map(printable, files))
        self.log(f"results in {printable(folder)}{f': {names}' if names else ''}")


def count_events(timeline: Timeline) -> str:
    """``2 events``, or ``nothing abnormal``."""
    count = len(timeline.events)
    return f"{count} event{'s' * (count > 1)}" if count else "nothing abnormal"


def _share(analysed: float | None) -> str:
    """``100 %``; never that where anything was left out."""
    if analysed is None:
        return ""
    return f"{min(100 * analysed, 99.9):.1f} %" if analysed < 1 else "100 %"
