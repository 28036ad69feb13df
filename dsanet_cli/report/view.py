"""What a page shows of a result, in the form in which its script takes it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import EventRule
from dsanet_cli.names import printable
from dsanet_cli.report.place import VideoPlace, file_facts, plays_everywhere
from dsanet_cli.text import format_clock
from dsanet_cli.timeline.colors import class_colors, ink_on, on_dark
from dsanet_cli.timeline.facts import Sampling, VideoFacts
from dsanet_cli.timeline.review import Review
from dsanet_cli.timeline.text import format_coverage, format_remarks
from dsanet_cli.timeline.timeline import Timeline


@dataclass(frozen=True)
class Paint:
    """The colours of a class on a light and on a dark ground, and of text on each."""

    light: str
    light_ink: str
    dark: str
    dark_ink: str

    @classmethod
    def of(cls, color: str) -> Paint:
        """The colour itself on light ground, a lighter one where it would be lost on dark ground."""
        return cls(color, ink_on(color), on_dark(color), ink_on(on_dark(color)))


@dataclass(frozen=True)
class Curve:
    """The score curve, as base64 of little-endian numbers: times in float64 seconds, the rest in float32."""

    starts: str
    ends: str
    scores: str
    probabilities: str
    """Row by row, one number for each class."""


@dataclass(frozen=True)
class Hole:
    """A span without pictures, in seconds."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True)
class Thumbnail:
    """A picture of the video: the middle of its snippet in seconds, and a ``data:`` URL."""

    time: float
    src: str


@dataclass(frozen=True)
class PlayedFile:
    """A file of a camera's day."""

    start: float
    """Where it lies in the day, in seconds, as ``end``."""
    end: float
    sources: tuple[str, ...]
    """As those of ``PageData``."""
    place: str
    name: str


@dataclass(frozen=True)
class Start:
    """When the recording began."""

    milliseconds: float
    """Since 1970, UTC."""
    timezone: str
    """IANA name; times of day are in it."""


@dataclass(frozen=True)
class PageData:
    """All that the script of a page knows; texts are one printable line each."""

    name: str
    """Of the video."""
    stem: str
    """Of the files beside the result."""
    sha256: str
    """Of the result, by which reviews find it."""
    sources: tuple[str, ...]
    """URLs of the video, to be tried in this order."""
    place: str
    """Where the video was, or why there is none."""
    files: tuple[PlayedFile, ...]
    """Of a camera's day, in order of time; then ``sources`` are empty, and ``place`` is said between the files."""
    proxied: bool
    """Whether the first of ``sources`` is a small copy."""
    format: str
    """What there is to say of its format where not all browsers play it; empty where they do."""
    recorded: Start | None
    duration: float
    width: int
    height: int
    classes: tuple[str, ...]
    curve: Curve
    rule: EventRule
    holes: tuple[Hole, ...]
    scanned: tuple[tuple[float, float], ...]
    unsure: tuple[tuple[float, float], ...]
    thumbnails: tuple[Thumbnail, ...]
    review: Review | None
    program: str


def page_data(
    timeline: Timeline,
    stem: str,
    sha256: str,
    place: VideoPlace,
    files: Sequence[VideoPlace],
    proxy: str | None,
    thumbnails: Mapping[float, bytes],
    review: Review | None,
    program: str,
) -> PageData:
    """Gather what a page's script needs.

    Args:
        timeline: What to show.
        stem: Name of the result's files, without what they end with.
        sha256: Of the result's JSON file (hex).
        place: Where its video is.
        files: Where the files of a camera's day are.
        proxy: URL of a small copy of the video, relative to the page.
        thumbnails: JPEG files by the middle of their snippets in seconds.
        review: What was said of the events before.
        program: Name and version of what makes the page.
    """
    video, coverage = timeline.video, timeline.coverage
    reasons = (*coverage.hole_reasons, *[""] * len(coverage.holes))
    width, height = _shape(video)
    return PageData(
        name=video_name(video),
        stem=printable(stem),
        sha256=sha256,
        sources=place.sources if proxy is None else (proxy, *place.sources),
        place=place.said,
        files=tuple(
            PlayedFile(part.start, part.end, found.sources, found.said, printable(Path(part.path).name))
            for part, found in zip(video.files, files, strict=True)
            if part.end > part.start
        ),
        proxied=proxy is not None,
        format=""
        if all(map(plays_everywhere, file_facts(video) or [video]))
        else f"{video.codec} in {Path(video.files[0].path if video.files else video.path).suffix or 'a file'}",
        recorded=_start(video),
        duration=max(video.duration, float(timeline.ends[-1]), 1e-3),
        width=width,
        height=height,
        classes=timeline.class_names,
        curve=Curve(
            _base64(timeline.starts, "<f8"),
            _base64(timeline.ends, "<f8"),
            _base64(timeline.scores, "<f4"),
            _base64(timeline.probabilities, "<f4"),
        ),
        rule=timeline.rule,
        holes=tuple(Hole(*span, reason) for span, reason in zip(coverage.holes, reasons, strict=False)),
        scanned=coverage.scanned,
        unsure=coverage.unsure,
        thumbnails=tuple(Thumbnail(time, _jpeg_url(jpeg)) for time, jpeg in sorted(thumbnails.items())),
        review=review,
        program=program,
    )


def plain(data: PageData) -> dict[str, Any]:
    """The same in JSON's types."""
    return asdict(data)


def paints(classes: int) -> list[Paint]:
    """The colours of C classes, the normal one first."""
    return [Paint.of(color) for color in class_colors(classes)]


def video_name(video: VideoFacts) -> str:
    """What a person calls the video."""
    return printable(video.name)


def headline(timeline: Timeline) -> str:
    """The video in a line: ``0:24.0 · 320 × 240 · 25 fps · h264``."""
    video = timeline.video
    facts = [f"{video.recorded.start:%Y-%m-%d %H:%M:%S}"] if video.recorded else []
    facts += [format_clock(video.duration, 1 if video.duration < 60 else 0)]
    facts += [f"{video.width} × {video.height}"] if video.width and video.height else []
    facts += [f"{float(video.fps):.4g} frames/s"] if video.fps else []
    facts += [video.codec] if video.codec else []
    return " · ".join(facts)


def missed(timeline: Timeline) -> list[str]:
    """What was not analysed, and where that is not certain, in lines."""
    lines = [format_coverage(timeline)] if timeline.coverage.holes else []
    if timeline.coverage.scanned:
        lines.append(f"only key frames were looked at in {spans_line(timeline.coverage.scanned)}")
    return [*lines, *format_remarks(timeline)]


def _frames_line(sampling: Sampling) -> str:
    """How many frames of a snippet were encoded, and how long a snippet is."""
    encoded = sampling.sampled_frames
    if sampling.snippet_seconds is None:
        return f"{'' if encoded is None else f'{encoded} of '}{sampling.snippet_frames} a snippet"
    length = f"{sampling.snippet_seconds:.3g} s"
    return f"snippets of {length}" if encoded is None else f"{encoded} a snippet of {length}"


def _still_line(sampling: Sampling) -> str:
    """How many pictures were not encoded, and up to which difference; nothing where all were."""
    if sampling.reuse_still is None:
        return ""
    share = "" if sampling.reused is None else f"{sampling.reused:.0%} "
    return f"{share}not encoded, within {sampling.reuse_still:g} grey levels of the last one that was"


def settings(timeline: Timeline) -> list[tuple[str, str]]:
    """By what the result was made, as pairs of a term and what there is to say."""
    model, sampling, rule = timeline.model, timeline.sampling, timeline.rule
    pairs = [
        ("Video", printable(timeline.video.real_path or timeline.video.path)),
        ("Files", _files_line(timeline.video)),
        ("Model", f"{model.name} ({model.sha256[:12]}…)"),
        ("Frames looked at", _frames_line(sampling)),
        ("Still pictures", _still_line(sampling)),
        ("Numbers", " on ".join(filter(None, (sampling.precision, sampling.device)))),
        ("Events", _rule_line(rule)),
        ("Left out", ", ".join(rule.drop)),
        ("Scan", "" if sampling.scan_level is None else f"key frames first, all from {sampling.scan_level:g} on"),
        ("Written by", timeline.program or ""),
    ]
    return [(term, said) for term, said in pairs if said]


def _files_line(video: VideoFacts) -> str:
    """``144, from 00-00-00.mp4 to 23-50-00.mp4``; nothing of a video that is one file."""
    names = [printable(Path(part.path).name) for part in video.files]
    return f"{len(names)}, from {names[0]} to {names[-1]}" if len(names) > 1 else "".join(names)


def _rule_line(rule: EventRule) -> str:
    return (
        f"from {rule.threshold:g} to below {rule.release:g}, {rule.merge_gap:g} s apart, {rule.min_length:g} s at least"
    )


def _start(video: VideoFacts) -> Start | None:
    recorded = video.recorded
    return None if recorded is None else Start(1000 * recorded.start.timestamp(), recorded.timezone)


def _shape(video: VideoFacts) -> tuple[int, int]:
    """(width, height) that pictures of the video have, to scale; 16:9 where it is not known."""
    return (video.width, video.height) if video.width and video.height else (16, 9)


def _base64(values: NDArray[np.floating], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()


def _jpeg_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def spans_line(spans: Sequence[tuple[float, float]]) -> str:
    """Spans in a line: ``0:10 to 0:12, 1:00 to 1:05``."""
    return ", ".join(f"{format_clock(start)} to {format_clock(end)}" for start, end in spans)
