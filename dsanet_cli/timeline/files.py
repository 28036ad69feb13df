"""A timeline as files: JSON, which can be read again, and CSV."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from dsanet_cli.config import EventRule
from dsanet_cli.errors import DsanetError, OutputError
from dsanet_cli.names import utf8_text
from dsanet_cli.records import from_json
from dsanet_cli.timeline.timeline import Coverage, Event, ModelFacts, Sampling, Timeline, Verdict, VideoFacts

TIMELINE_SCHEMA = 1
_NOT_JSON = "not whole JSON"
_KEYS = ("schema", "video", "model", "sampling", "coverage", "snippets", "events", "verdict")
_SNIPPET_KEYS = {"start", "end", "score", "label", "probabilities"}
_EVENT_KEYS = {"start", "end", "peak_time", "peak_score", "label", "probabilities"}


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
    video |= {key: value for key in ("mtime", "real_path") if (value := getattr(facts, key)) is not None}
    model = {key: value for key, value in dataclasses.asdict(timeline.model).items() if value is not None}
    coverage = {
        "analysed": _six(timeline.coverage.analysed),
        "holes": _spans(timeline.coverage.holes),
        "scanned": _spans(timeline.coverage.scanned),
    }
    sampling = dataclasses.asdict(timeline.sampling) | {"event_rule": dataclasses.asdict(timeline.rule)}
    stream.write(f'{{\n  "schema": {TIMELINE_SCHEMA},\n')
    if timeline.program is not None:
        stream.write(f'  "program": {_dump(timeline.program)},\n')
    stream.write(f'  "video": {_dump(video)},\n')
    stream.write(f'  "model": {_dump(model)},\n')
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
    program = data.pop("program", None)
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
        program=program,
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
    return text if utf8_text(text) == text else json.dumps(value, allow_nan=False)


def _spans(spans: Iterable[tuple[float, float]]) -> list[list[float]]:
    return [[round(float(start), 3), round(float(end), 3)] for start, end in spans]


def _six(value: float) -> float:
    return float(f"{value:.6g}")
