"""A timeline as files: JSON, which can be read again, and CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
from msgspec import convert

from dsanet_cli.errors import DsanetError, OutputError
from dsanet_cli.files.regular import read_regular
from dsanet_cli.names import cell, utf8_text
from dsanet_cli.records import SchemaError, decode
from dsanet_cli.timeline.facts import Coverage, FilePart, Sampling
from dsanet_cli.timeline.recorded import iso, moment
from dsanet_cli.timeline.said import ReviewFacts
from dsanet_cli.timeline.schema import TIMELINE_SCHEMA, AnyVersion, EventEntry, TimelineFile
from dsanet_cli.timeline.timeline import Event, Timeline

OPTIONAL_FACTS = ("mtime", "etag", "real_path", "stream", "streams", "fps_from", "timecode", "created", "camera")
OPTIONAL_SAMPLING = ("batch_size", "stream", "part", "snippet_seconds", "region", "mask", "reuse_still", "reused")
"""Entries that are left out where there is nothing to say."""
LARGEST_RESULT = 2**31
"""Bytes; a month of video."""


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
    video |= {key: value for key in OPTIONAL_FACTS if (value := getattr(facts, key)) is not None}
    if facts.recorded is not None:
        video["recorded"] = dataclasses.asdict(facts.recorded) | {"start": iso(facts.recorded.start)}
    if facts.files:
        video["files"] = [_file(part) for part in facts.files]
    model = {key: value for key, value in dataclasses.asdict(timeline.model).items() if value is not None}
    coverage = {
        "analysed": _six(timeline.coverage.analysed),
        "holes": _spans(timeline.coverage.holes),
        "scanned": _spans(timeline.coverage.scanned),
    }
    coverage |= _found(timeline.coverage)
    sampling = {
        key: value
        for key, value in dataclasses.asdict(timeline.sampling).items()
        if key not in OPTIONAL_SAMPLING or value is not None
    }
    sampling |= {"event_rule": dataclasses.asdict(timeline.rule)}
    stream.write(f'{{\n  "schema": {TIMELINE_SCHEMA},\n')
    if timeline.program is not None:
        stream.write(f'  "program": {_dump(timeline.program)},\n')
    stream.write(f'  "video": {_dump(video)},\n')
    stream.write(f'  "model": {_dump(model)},\n')
    stream.write(f'  "sampling": {_dump(sampling)},\n')
    stream.write(f'  "coverage": {_dump(coverage)},\n')
    if timeline.review is not None:
        stream.write(f'  "review": {_dump(_review(timeline.review))},\n')
    _write_array(stream, "snippets", _snippet_lines(timeline))
    _write_array(stream, "events", (_event_line(e, timeline) for e in timeline.events))
    verdict = dataclasses.asdict(timeline.verdict) | {"score": _six(timeline.verdict.score)}
    stream.write(f'  "verdict": {_dump(verdict)}\n}}\n')


def write_csv(timeline: Timeline, stream: IO[str]) -> None:
    """Write one row per snippet: ``start,end,score,label``, a column per class probability, time of day and review.

    ``clock`` is there only where it is known when the video was recorded; ``review,true_label,note`` only where there
    is a review: what was said of the event in which the middle of the snippet lies. A name that a spreadsheet would
    take for a formula is written as a text (``names.cell``).
    """
    recorded, names = timeline.video.recorded, timeline.class_names
    cells = {name: _csv_cell(cell(name)) for name in names}
    more = [*(["clock"] if recorded else []), *(["review,true_label,note"] if timeline.review else [])]
    stream.write(",".join(["start,end,score,label", *cells.values(), *more]) + "\n")
    line = "%.3f,%.3f,%.6g,%s" + len(names) * ",%.6g" + len(more) * ",%s" + "\n"
    said = _said(timeline) if timeline.review else itertools.repeat(None)
    for (start, end, score, label, probabilities), words in zip(_rows(timeline), said, strict=False):
        clock = () if recorded is None else (iso(moment(recorded, start)),)
        stream.write(
            line % (start, end, score, cells[label], *probabilities, *clock, *(() if words is None else (words,)))
        )


def _said(timeline: Timeline) -> list[str]:
    """What was said of each snippet, as the cells ``review,true_label,note``."""
    assert timeline.review is not None
    spans = [(event.start, event.end, *_words(event)) for event in timeline.events]
    spans += [(missed.start, missed.end, "missed", missed.label, missed.note) for missed in timeline.review.missed]
    middles = (timeline.starts + timeline.ends) / 2
    said = np.full(len(middles), ",,", object)
    for start, end, *words in spans:
        said[(middles >= start) & (middles < end)] = ",".join(_csv_cell(cell(word)) for word in words)
    return said.tolist()


def _words(event: Event) -> tuple[str, str, str]:
    review = event.review
    if review is None:
        return "", "", ""
    return review.verdict or "", (review.label or event.label) if review.is_true else "", review.note


def _csv_cell(text: str) -> str:
    """A text as it stands between commas."""
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow([text])
    return written.getvalue()


def read_timeline(path: str | os.PathLike[str]) -> Timeline:
    """Read a timeline that :func:`write_json` wrote, and make sure that it is whole.

    Raises:
        OutputError: it cannot be opened, is cut off, is not a timeline, or is of another schema.
    """
    try:
        return parse_timeline(read_regular(path, LARGEST_RESULT), os.fspath(path))
    except OSError as error:
        raise _incomplete(os.fspath(path), error.strerror or str(error)) from error


def parse_timeline(text: str | bytes, name: str) -> Timeline:
    """As ``read_timeline``, from what the file called ``name`` holds.

    Raises:
        OutputError: it is cut off, is not a timeline, or is of another schema.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        return _timeline(_decode(data))
    except (DsanetError, ValueError) as error:
        raise _incomplete(name, str(error)) from error


def _incomplete(name: str, reason: str) -> OutputError:
    return OutputError(f"{name}: not a complete dsanet result: {reason}; write it again with --overwrite")


def _decode(data: bytes) -> TimelineFile:
    try:
        return decode(TimelineFile, data)
    except SchemaError:
        if (schema := decode(AnyVersion, data).schema) != TIMELINE_SCHEMA:
            raise SchemaError(f"schema {schema}, this version reads {TIMELINE_SCHEMA}") from None
        raise


def _timeline(file: TimelineFile) -> Timeline:
    snippets, names = file.snippets, tuple(file.snippets[0].probabilities)
    timeline = Timeline(
        video=file.video,
        model=file.model,
        class_names=names,
        sampling=convert(file.sampling, Sampling, from_attributes=True),
        coverage=file.coverage,
        starts=np.array([snippet.start for snippet in snippets], np.float64),
        ends=np.array([snippet.end for snippet in snippets], np.float64),
        scores=np.array([snippet.score for snippet in snippets], np.float32),
        probabilities=np.array([_in_order(snippet.probabilities, names) for snippet in snippets], np.float32),
        rule=file.sampling.event_rule,
        events=tuple(_event(event, names) for event in file.events),
        verdict=file.verdict,
        program=file.program,
        review=file.review,
    )
    labels = {snippet.label for snippet in snippets} | {event.label for event in file.events} | {file.verdict.label}
    if strange := labels - set(names):
        raise ValueError(f"label {strange.pop()!r} is no class of it")
    if timeline.verdict.anomalous != bool(timeline.events):
        raise ValueError("the verdict does not fit the events")
    return timeline


def _event(entry: EventEntry, names: tuple[str, ...]) -> Event:
    probabilities = tuple(_in_order(entry.probabilities, names))
    return Event(entry.start, entry.end, entry.peak_time, entry.peak_score, entry.label, probabilities, entry.review)


def _in_order(probabilities: dict[str, float], names: tuple[str, ...]) -> list[float]:
    if tuple(probabilities) == names:
        return list(probabilities.values())
    if different := probabilities.keys() ^ set(names):
        raise ValueError(f"probabilities: class {different.pop()!r} is not in all of them")
    return [probabilities[name] for name in names]


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


def _found(coverage: Coverage) -> dict[str, Any]:
    """What is said of holes and of the part analysed only where there is any."""
    entries: dict[str, Any] = {}
    if coverage.hole_reasons:
        entries["hole_reasons"] = coverage.hole_reasons
    if coverage.unsure:
        entries["unsure"] = _spans(coverage.unsure)
    if coverage.part is not None:
        (entries["part"],) = _spans([coverage.part])
    return entries


def _event_line(event: Event, timeline: Timeline) -> str:
    entries: dict[str, Any] = dict(vars(event))  # in a fraction of the time that ``asdict`` takes
    entries |= {key: round(entries[key], 3) for key in ("start", "end", "peak_time")}
    probabilities = {n: _six(p) for n, p in zip(timeline.class_names, event.probabilities, strict=True)}
    if timeline.video.recorded is not None:
        entries["clock"] = iso(moment(timeline.video.recorded, event.start))
    review = entries.pop("review")
    if review is not None:
        entries["review"] = dataclasses.asdict(review)
    return _dump(entries | {"peak_score": _six(event.peak_score), "probabilities": probabilities})


def _review(facts: ReviewFacts) -> dict[str, Any]:
    entries = dataclasses.asdict(facts)
    for missed in entries["missed"]:
        missed |= {key: round(missed[key], 3) for key in ("start", "end")}
    return entries


def _file(part: FilePart) -> dict[str, Any]:
    entries = {key: value for key, value in dataclasses.asdict(part).items() if value is not None}
    return entries | {"start": round(part.start, 3), "end": round(part.end, 3)}


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
