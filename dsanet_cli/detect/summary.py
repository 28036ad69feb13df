"""``summary.csv``: one row for each result in a folder, whichever run wrote it, and for each input that failed."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any, Literal

from dsanet_cli.detect.record import read_part
from dsanet_cli.errors import OutputError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.result_names import SUMMARY_FILE
from dsanet_cli.names import cell, natural_key, printable, text_of
from dsanet_cli.records import Length, PathText, Seconds, Share
from dsanet_cli.timeline.formats import RECORD
from dsanet_cli.timeline.recorded import iso, moment
from dsanet_cli.timeline.said import EventReview, ReviewFacts
from dsanet_cli.timeline.timeline import Event, Timeline

READERS = 16
"""Threads that read records, which may be far away."""


@dataclass(frozen=True)
class _Recorded:
    start: str


@dataclass(frozen=True)
class _Video:
    path: PathText
    duration: Length
    recorded: _Recorded | None = None


@dataclass(frozen=True)
class _Verdict:
    label: str
    score: Share


@dataclass(frozen=True)
class _Event:
    start: Seconds
    clock: str | None = None
    review: EventReview | None = None


@dataclass(frozen=True)
class _Covered:
    analysed: Share


@dataclass(frozen=True)
class _Entries:
    """What a summary needs of a record."""

    video: _Video
    verdict: _Verdict
    events: tuple[_Event, ...]
    coverage: _Covered
    review: ReviewFacts | None = None


@dataclass(frozen=True)
class SummaryRow:
    """One video in ``summary.csv``; the fields are its columns, None stays empty."""

    path: str
    status: Literal["ok", "failed"]
    label: str | None = None
    score: float | None = None
    """Highest score of the video, in 0..1."""
    events: int | None = None
    first_event: float | None = None
    """Start of the first event, seconds."""
    duration: float | None = None
    """Seconds."""
    analysed: float | None = None
    """Share of the duration, 0..1."""
    error: str | None = None
    result: str | None = None
    """Name of the record in the folder, for a failed video of the one that there would be; None where there is none."""
    recorded: str | None = None
    """When the video began, in ISO 8601; None where nobody knows, as below."""
    first_clock: str | None = None
    """Time of day at the start of the first event."""
    true_events: int | None = None
    """That a person said to be true, of whichever class; None where there is no review, as below."""
    false_events: int | None = None
    missed_events: int | None = None

    @classmethod
    def of(cls, timeline: Timeline, result: PurePath | None = None) -> SummaryRow:
        """Summarise a video that was analysed."""
        recorded = timeline.video.recorded
        return cls(
            path=timeline.video.path,
            status="ok",
            label=timeline.verdict.label,
            score=timeline.verdict.score,
            events=len(timeline.events),
            first_event=timeline.events[0].start if timeline.events else None,
            duration=timeline.video.duration,
            analysed=timeline.coverage.analysed,
            result=None if result is None else result.as_posix(),
            recorded=None if recorded is None else iso(recorded.start),
            first_clock=iso(moment(recorded, timeline.events[0].start)) if recorded and timeline.events else None,
            **_counts(timeline.events, timeline.review),
        )

    @classmethod
    def of_entries(cls, entries: _Entries, result: PurePath) -> SummaryRow:
        """Summarise a record of which no more was read than that."""
        first = entries.events[0] if entries.events else None
        return cls(
            path=entries.video.path,
            status="ok",
            label=entries.verdict.label,
            score=entries.verdict.score,
            events=len(entries.events),
            first_event=first.start if first else None,
            duration=entries.video.duration,
            analysed=entries.coverage.analysed,
            result=result.as_posix(),
            recorded=entries.video.recorded.start if entries.video.recorded else None,
            first_clock=first.clock if first else None,
            **_counts(entries.events, entries.review),
        )

    @classmethod
    def failed(cls, path: str, error: str, result: PurePath | None = None) -> SummaryRow:
        """Keep the one line that says why a video was not analysed."""
        return cls(path=path, status="failed", error=error, result=None if result is None else result.as_posix())


def _counts(events: Sequence[_Event | Event], review: ReviewFacts | None) -> dict[str, Any]:
    """How many events a person said to be true, false and missed."""
    if review is None:
        return {}
    said = [event.review for event in events if event.review is not None]
    return {
        "true_events": sum(one.is_true for one in said),
        "false_events": sum(one.verdict == "false" for one in said),
        "missed_events": len(review.missed),
    }


def update_summary(folder: Folder, rows: Sequence[SummaryRow], several: bool, replace_others: bool) -> None:
    """Write ``summary.csv`` anew: all results in the folder, ``rows`` of this run, and failures of earlier ones.

    An input that failed stays in it until there is a newer result of it.

    Args:
        folder: Of the results.
        rows: Inputs of this run.
        several: Whether this run had several; a single one gets a summary only where there are other results.
        replace_others: Replace a file of this name that is no summary.

    Raises:
        OutputError: the folder cannot be read or written, or what is there is no summary.
    """
    name = PurePath(SUMMARY_FILE)
    with folder.lock():
        results = _results(folder)
        failures: list[SummaryRow] = []
        if folder.exists(name):
            failures = _lasting(folder, _failures(folder, name, replace_others), results)
        elif not several and len(results) < 2:
            return
        merged = _above(rows, _above(failures, results))
        with folder.write(name, "w") as stream:
            write_summary(sorted(merged, key=lambda row: natural_key(row.path)), stream)


def write_summary(rows: Iterable[SummaryRow], stream: IO[str]) -> None:
    """Write ``summary.csv``: one row per video, those that failed with their error."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(SummaryRow))
    for row in rows:
        cells = dataclasses.asdict(row)
        for name, digits in (("score", ".6g"), ("first_event", ".3f"), ("duration", ".3f"), ("analysed", ".4g")):
            if cells[name] is not None:
                cells[name] = format(cells[name], digits)
        writer.writerow("" if value is None else cell(str(value)) for value in cells.values())


def _results(folder: Folder) -> list[SummaryRow]:
    """A row for each record in the folder; other files of that kind are passed over."""
    names = [name for name in folder.names() if name.suffix == f".{RECORD}"]

    def read(name: PurePath) -> SummaryRow | None:
        try:
            entries = read_part(folder, name, _Entries)
        except OutputError:  # deleted meanwhile
            return None
        return None if entries is None else SummaryRow.of_entries(entries, name)

    with ThreadPoolExecutor(READERS) as readers:
        return [row for row in readers.map(read, names) if row is not None]


def _failures(folder: Folder, name: PurePath, replace_others: bool) -> list[SummaryRow]:
    """The inputs that an earlier summary says have failed."""
    reader = csv.DictReader(io.StringIO(folder.read(name).decode("utf-8", "replace")))
    try:
        if reader.fieldnames is None or list(reader.fieldnames[:2]) == ["path", "status"]:
            return [
                SummaryRow.failed(text_of(row["path"]), text_of(row["error"] or ""), _named(row.get("result")))
                for row in reader
                if row["status"] == "failed"
            ]
    except csv.Error:
        pass
    if replace_others:
        return []
    raise OutputError(
        f"{folder}{name}: is there and is no summary of dsanet's; move it away, or replace it with --overwrite"
    )


def _named(text: str | None) -> PurePath | None:
    return PurePath(text_of(text)) if text else None


def _lasting(folder: Folder, failures: Iterable[SummaryRow], results: Iterable[SummaryRow]) -> list[SummaryRow]:
    """Those failures that are true still: no result is newer than the summary they are from."""
    since = folder.modified(PurePath(SUMMARY_FILE))
    places: dict[str, list[str]] = {}
    for row in results:
        assert row.result is not None
        for key in {row.result, printable(row.path)}:
            places.setdefault(key, []).append(row.result)
    return [
        row
        for row in failures
        if not any(
            folder.modified(PurePath(name)) > since
            for key in {row.result or row.path, row.path}
            for name in places.get(key, ())
        )
    ]


def _above(upper: Sequence[SummaryRow], lower: Iterable[SummaryRow]) -> list[SummaryRow]:
    """Both, but for rows in ``lower`` whose result or, where they have none, whose path is in ``upper`` as well."""
    names = {row.result for row in upper if row.result}
    paths = {printable(row.path) for row in upper}
    return [*upper, *(row for row in lower if not (row.result in names or (not row.result and row.path in paths)))]
