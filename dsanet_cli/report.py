"""A timeline as files and lines: JSON, CSV, the summary of several videos, and what the console shows."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, NoReturn

import numpy as np

from dsanet_cli.config import EventRule, from_json
from dsanet_cli.errors import DsanetError, OutputError
from dsanet_cli.timeline import Coverage, Event, ModelFacts, Sampling, Timeline, Verdict, VideoFacts

TIMELINE_SCHEMA = 1
_NOT_JSON = "not whole JSON"
_KEYS = ("schema", "video", "model", "sampling", "coverage", "snippets", "events", "verdict")
_SNIPPET_KEYS = {"start", "end", "score", "label", "probabilities"}
_EVENT_KEYS = {"start", "end", "peak_time", "peak_score", "label", "probabilities"}


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


def format_time(seconds: float) -> str:
    """``00:12.80``, from an hour on ``01:02:03.40``."""
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"
    return f"{hours:02}:{clock}" if hours else clock


def format_clock(seconds: float, decimals: int = 0, hours: bool = False) -> str:
    """``1:05``, from an hour on ``1:01:05``, with ``decimals`` digits of the second."""
    whole, part = divmod(round(seconds * 10**decimals), 10**decimals)
    minutes, whole = divmod(whole, 60)
    fraction = f".{part:0{decimals}}" if decimals else ""
    if hours or minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02}:{whole:02}{fraction}"
    return f"{minutes}:{whole:02}{fraction}"


def format_event(event: Event) -> str:
    """``[00:12.80 -> 00:19.20] explosion 0.97``; not rich markup."""
    return f"[{format_time(event.start)} -> {format_time(event.end)}] {event.label} {event.peak_score:.2f}"


def format_moment(seconds: float, timeline: Timeline) -> str:
    """Write a time as precisely as the length of the video asks for: ``1:05.3`` or ``0:01:05``."""
    hours = timeline.video.duration >= 3600
    return format_clock(seconds, 0 if hours else 1, hours)


def format_verdict(timeline: Timeline) -> str:
    """Say why the verdict is what it is: ``peak 0.97 at 0:15.7 · 2 events, 15.4 s in all``."""
    events, rule, score = timeline.events, timeline.rule, timeline.verdict.score
    if not events:
        why = f"threshold {rule.threshold:.2f}" if score < rule.threshold else "too short for an event"
        return f"no event · highest score {score:.2f} · {why}"
    highest = max(events, key=lambda e: e.peak_score)
    total = sum(e.end - e.start for e in events)
    length = f"{total:.1f} s" if total < 60 else format_clock(total)
    count = f"1 event, {length}" if len(events) == 1 else f"{len(events)} events, {length} in all"
    return f"peak {highest.peak_score:.2f} at {format_moment(highest.peak_time, timeline)} · {count}"


def format_coverage(timeline: Timeline) -> str:
    """Say what could not be decoded: ``96.0 % analysed, not 0:10.2 to 0:11.8``."""
    holes = (
        f"{format_moment(start, timeline)} to {format_moment(end, timeline)}" for start, end in timeline.coverage.holes
    )
    return f"{100 * timeline.coverage.analysed:.1f} % analysed, not {', '.join(holes)}"


def write_json(timeline: Timeline, stream: IO[str]) -> None:
    """Write a timeline as JSON (schema 1), one snippet and one event a line.

    Times are seconds rounded to milliseconds; scores and probabilities have six significant digits.
    """
    facts = timeline.video
    video = {
        "path": facts.path,
        "frames": facts.frames,
        "fps": None if facts.fps is None else f"{facts.fps.numerator}/{facts.fps.denominator}",
        "duration": round(facts.duration, 3),
        "width": facts.width,
        "height": facts.height,
        "codec": facts.codec,
        "bytes": facts.bytes,
    }
    coverage = {
        "analysed": _six(timeline.coverage.analysed),
        "holes": _spans(timeline.coverage.holes),
        "scanned": _spans(timeline.coverage.scanned),
    }
    sampling = dataclasses.asdict(timeline.sampling) | {"event_rule": dataclasses.asdict(timeline.rule)}
    stream.write(f'{{\n  "schema": {TIMELINE_SCHEMA},\n')
    stream.write(f'  "video": {_dump(video)},\n')
    stream.write(f'  "model": {_dump(dataclasses.asdict(timeline.model))},\n')
    stream.write(f'  "sampling": {_dump(sampling)},\n')
    stream.write(f'  "coverage": {_dump(coverage)},\n')
    _write_array(stream, "snippets", _snippet_lines(timeline))
    _write_array(stream, "events", (_event_line(e, timeline.class_names) for e in timeline.events))
    verdict = dataclasses.asdict(timeline.verdict) | {"score": _six(timeline.verdict.score)}
    stream.write(f'  "verdict": {_dump(verdict)}\n}}\n')


def write_csv(timeline: Timeline, stream: IO[str]) -> None:
    """Write one row per snippet: ``start,end,score,label`` and a column per class probability."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["start", "end", "score", "label", *timeline.class_names])
    for start, end, score, label, probabilities in _rows(timeline):
        numbers = (f"{p:.6g}" for p in probabilities)
        writer.writerow([f"{start:.3f}", f"{end:.3f}", f"{score:.6g}", label, *numbers])


def write_summary(rows: Iterable[SummaryRow], stream: IO[str]) -> None:
    """Write ``summary.csv``: one row per video, those that failed with their error."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(SummaryRow))
    for row in rows:
        cells = dataclasses.asdict(row)
        for name, digits in (("score", ".6g"), ("first_event", ".3f"), ("duration", ".3f"), ("analysed", ".4g")):
            if cells[name] is not None:
                cells[name] = format(cells[name], digits)
        writer.writerow("" if cell is None else _utf8(str(cell)) for cell in cells.values())


def read_timeline(path: Path) -> Timeline:
    """Read a timeline that :func:`write_json` wrote, and make sure that it is whole.

    Raises:
        OutputError: it cannot be opened, is cut off, is not a timeline, or is of another schema.
    """
    try:
        return parse_timeline(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise _incomplete(str(path), error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _incomplete(str(path), _NOT_JSON) from error


def parse_timeline(text: str, name: str) -> Timeline:
    """As ``read_timeline``, from the text of the file called ``name``.

    Raises:
        OutputError: it is cut off, is not a timeline, or is of another schema.
    """
    try:
        return _parse(json.loads(text, parse_constant=_refuse))
    except (json.JSONDecodeError, RecursionError):
        reason = _NOT_JSON
    except KeyError as error:
        reason = f"entry {error} is missing"
    except (TypeError, AttributeError):
        reason = "an entry is of another type"
    except (DsanetError, ValueError, ZeroDivisionError) as error:
        reason = str(error)
    raise _incomplete(name, reason)


def _incomplete(name: str, reason: str) -> OutputError:
    return OutputError(f"{name}: not a complete dsanet result: {reason}; write it again with --overwrite")


def _parse(data: Any) -> Timeline:
    schema = data["schema"]
    if schema != TIMELINE_SCHEMA:
        raise ValueError(f"schema {schema!r}, this version reads {TIMELINE_SCHEMA}")
    _expect(data, set(_KEYS), "result")
    fps = data["video"].pop("fps")
    video = dataclasses.replace(
        from_json(VideoFacts, data["video"], "video"), fps=None if fps is None else Fraction(fps)
    )
    rule = from_json(EventRule, data["sampling"].pop("event_rule"), "event_rule")
    snippets = data["snippets"]
    if not snippets:
        raise ValueError("no snippets")
    names = tuple(snippets[0]["probabilities"])
    for snippet in snippets:
        _expect(snippet, _SNIPPET_KEYS, "snippet")
        _expect(snippet["probabilities"], set(names), "probabilities")
    timeline = Timeline(
        video=video,
        model=from_json(ModelFacts, data["model"], "model"),
        class_names=names,
        sampling=from_json(Sampling, data["sampling"], "sampling"),
        coverage=from_json(Coverage, data["coverage"], "coverage"),
        starts=np.array([s["start"] for s in snippets], np.float64),
        ends=np.array([s["end"] for s in snippets], np.float64),
        scores=np.array([s["score"] for s in snippets], np.float32),
        probabilities=np.array([[s["probabilities"][n] for n in names] for s in snippets], np.float32),
        rule=rule,
        events=tuple(_parse_event(event, names) for event in data["events"]),
        verdict=from_json(Verdict, data["verdict"], "verdict"),
    )
    labels = {snippet["label"] for snippet in snippets} | {timeline.verdict.label}
    if strange := (labels | {event.label for event in timeline.events}) - set(names):
        raise ValueError(f"label {strange.pop()!r} is no class of it")
    if timeline.verdict.anomalous != bool(timeline.events):
        raise ValueError("the verdict does not fit the events")
    return timeline


def _parse_event(data: dict[str, Any], names: tuple[str, ...]) -> Event:
    _expect(data, _EVENT_KEYS, "event")
    _expect(data["probabilities"], set(names), "probabilities")
    return from_json(Event, data | {"probabilities": [data["probabilities"][n] for n in names]}, "event")


def _expect(data: dict[str, Any], keys: set[str], what: str) -> None:
    if data.keys() != keys:
        raise ValueError(f"{what}: entries {sorted(data.keys() ^ keys)} are missing or unknown")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _rows(timeline: Timeline) -> Iterator[tuple[float, float, float, str, list[float]]]:
    times = timeline.starts.tolist(), timeline.ends.tolist()
    labels = (timeline.class_names[label] for label in timeline.labels)
    rows = zip(*times, timeline.scores.tolist(), labels, timeline.probabilities, strict=True)
    for start, end, score, label, probabilities in rows:
        yield start, end, score, label, probabilities.tolist()


def _snippet_lines(timeline: Timeline) -> Iterator[str]:
    labels = {name: _dump(name) for name in timeline.class_names}
    classes = ", ".join(f"{_dump(n)}: ".replace("%", "%%") + "%.6g" for n in timeline.class_names)
    line = f'{{"start": %.3f, "end": %.3f, "score": %.6g, "label": %s, "probabilities": {{{classes}}}}}'
    for start, end, score, label, probabilities in _rows(timeline):
        yield line % (start, end, score, labels[label], *probabilities)


def _event_line(event: Event, names: tuple[str, ...]) -> str:
    entries: dict[str, Any] = dataclasses.asdict(event)
    entries |= {key: round(entries[key], 3) for key in ("start", "end", "peak_time")}
    probabilities = {n: _six(p) for n, p in zip(names, event.probabilities, strict=True)}
    return _dump(entries | {"peak_score": _six(event.peak_score), "probabilities": probabilities})


def _write_array(stream: IO[str], key: str, lines: Iterable[str]) -> None:
    separator = "\n    "
    stream.write(f'  "{key}": [')
    for line in lines:
        stream.write(separator + line)
        separator = ",\n    "
    stream.write("],\n" if separator == "\n    " else "\n  ],\n")


def _dump(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if _utf8(text) == text else json.dumps(value, allow_nan=False)


def _utf8(text: str) -> str:
    """File names may hold bytes that are no characters; they are written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _spans(spans: Iterable[tuple[float, float]]) -> list[list[float]]:
    return [[round(float(start), 3), round(float(end), 3)] for start, end in spans]


def _six(value: float) -> float:
    return float(f"{value:.6g}")
