"""The index of many pages: a row for each video, with its curve in small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

import numpy as np

from dsanet_cli.names import natural_key, printable
from dsanet_cli.report.page import INDEX_SCRIPTS, read_part, render
from dsanet_cli.report.results import Result
from dsanet_cli.report.view import Paint, video_name
from dsanet_cli.text import format_clock
from dsanet_cli.timeline.colors import class_colors
from dsanet_cli.timeline.timeline import Timeline, column_maxima

COLUMNS, HEIGHT = 120, 24
"""Of the small curves."""


@dataclass(frozen=True)
class IndexRow:
    """One video of an index, as its row shows it."""

    page: str | None
    """URL of its page relative to the index; None where there is none."""
    name: str
    camera: str
    label: str
    color: str
    anomalous: bool
    score: float
    events: int
    reviewed: str
    """How many events are said to be true, false and missed; empty where nobody looked."""
    first: float | None
    """Seconds at which the first event starts."""
    recorded: str
    """Date and time at which it began; empty where nobody knows."""
    duration: float
    """Seconds."""
    analysed: float
    """Share of the duration, 0..1."""
    curve: str
    """Path of the score, in an SVG of 120 x 24."""
    spans: tuple[tuple[float, float, str], ...]
    """Start, width and colour of each event in it."""
    demonstration: str | None


def index_row(result: Result, page: PurePath, is_there: bool, name: PurePath) -> IndexRow:
    """The row of a result.

    Args:
        result: What it shows.
        page: Of the result, below the folder of the index.
        is_there: Whether there is that page.
        name: Of the result, below the same folder.
    """
    timeline = result.timeline
    colors = dict(zip(timeline.class_names, class_colors(len(timeline.class_names)), strict=True))
    duration = max(timeline.video.duration, float(timeline.ends[-1]), 1e-3)
    scale = COLUMNS / duration
    spans = ((e.start * scale, max((e.end - e.start) * scale, 1.0), colors[e.label]) for e in timeline.events)
    return IndexRow(
        page=quote(bytes(page)) if is_there else None,
        name=video_name(timeline.video),
        camera=camera_of(timeline, name),
        label=timeline.verdict.label,
        color=colors[timeline.verdict.label],
        anomalous=timeline.verdict.anomalous,
        score=timeline.verdict.score,
        events=len(timeline.events),
        reviewed=_reviewed(result),
        first=timeline.events[0].start if timeline.events else None,
        recorded="" if timeline.video.recorded is None else f"{timeline.video.recorded.start:%Y-%m-%d %H:%M:%S}",
        duration=duration,
        analysed=timeline.coverage.analysed,
        curve=_curve(timeline, duration),
        spans=tuple((round(x, 1), round(width, 1), color) for x, width, color in spans),
        demonstration=timeline.model.demonstration,
    )


def camera_of(timeline: Timeline, name: PurePath) -> str:
    """Which camera a video is from: the folder that it lies in, below that of all results or else on its own disk."""
    if timeline.video.camera is not None:
        return printable(timeline.video.camera)
    below = name.parent.as_posix()
    return printable(below if below != "." else Path(timeline.video.path).parent.name)


def render_index(rows: Sequence[IndexRow], program: str) -> str:
    """The index as HTML; the videos with the highest scores first."""
    colors = sorted({color for row in rows for color in (row.color, *(span[2] for span in row.spans))})
    kinds = {color: f"k{at}" for at, color in enumerate(colors)}
    ordered = sorted(rows, key=lambda row: (-row.score, natural_key(row.name)))
    cameras = sorted({row.camera for row in rows}, key=natural_key)
    anomalous = sum(row.anomalous for row in rows)
    return render(
        "index.html",
        INDEX_SCRIPTS,
        [Paint.of(color) for color in colors],
        read_part("index.css"),
        program=program,
        title=f"{len(rows)} video{'s' * (len(rows) != 1)}",
        summary=f"{anomalous} with events · {sum(row.events for row in rows)} events in all",
        rows=ordered,
        kinds=kinds,
        labels=sorted({row.label for row in rows}),
        cameras=cameras if len(cameras) > 1 else [],
        reviewed=any(row.reviewed for row in rows),
        recorded=any(row.recorded for row in rows),
        demonstration=next((row.demonstration for row in rows if row.demonstration), None),
        clock=_clock,
    )


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else format_clock(seconds)


def _reviewed(result: Result) -> str:
    if result.review is None:
        return ""
    verdicts = [entry.verdict for entry in result.review.events]
    false, missed = verdicts.count("false"), verdicts.count("missed")
    line = f"{len(verdicts) - false - missed - verdicts.count(None)} true, {false} false"
    return f"{line}, {missed} missed" if missed else line


def _curve(timeline: Timeline, duration: float) -> str:
    """The path of the score, from left to right; a gap where nothing was analysed."""
    edges = np.linspace(0, duration, COLUMNS + 1)
    values = column_maxima(timeline.starts, timeline.ends, timeline.scores[:, None], edges)[:, 0]
    path, level = [], None
    for column, value in enumerate(values.tolist()):
        y = None if value != value else round((1 - value) * (HEIGHT - 2)) + 1  # noqa: PLR0124  (NaN)
        if y is not None and level is None:
            path.append(f"M{column} {y}")
        elif y is not None and y != level:
            path.append(f"H{column}V{y}")
        elif y is None and level is not None:
            path.append(f"H{column}")
        level = y
    if level is not None:
        path.append(f"H{COLUMNS}")
    return "".join(path)
