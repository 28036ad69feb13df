"""``summary.csv``: one row per video, those that failed with their error."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Literal

from dsanet_cli.names import utf8_text
from dsanet_cli.timeline.timeline import Timeline


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

    @classmethod
    def of(cls, timeline: Timeline) -> SummaryRow:
        """Summarise a video that was analysed."""
        return cls(
            path=timeline.video.path,
            status="ok",
            label=timeline.verdict.label,
            score=timeline.verdict.score,
            events=len(timeline.events),
            first_event=timeline.events[0].start if timeline.events else None,
            duration=timeline.video.duration,
            analysed=timeline.coverage.analysed,
        )

    @classmethod
    def failed(cls, path: str, error: str) -> SummaryRow:
        """Keep the one line that says why a video was not analysed."""
        return cls(path=path, status="failed", error=error)


def write_summary(rows: Iterable[SummaryRow], stream: IO[str]) -> None:
    """Write ``summary.csv``: one row per video, those that failed with their error."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(SummaryRow))
    for row in rows:
        cells = dataclasses.asdict(row)
        for name, digits in (("score", ".6g"), ("first_event", ".3f"), ("duration", ".3f"), ("analysed", ".4g")):
            if cells[name] is not None:
                cells[name] = format(cells[name], digits)
        writer.writerow("" if cell is None else utf8_text(str(cell)) for cell in cells.values())
