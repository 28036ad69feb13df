"""A timeline in lines of text, for the console and the plot."""

from __future__ import annotations

from collections.abc import Iterator

from dsanet_cli.text import format_clock, format_time
from dsanet_cli.timeline.facts import Recorded, seen_size
from dsanet_cli.timeline.recorded import format_moment_of_day
from dsanet_cli.timeline.said import MissedEvent
from dsanet_cli.timeline.timeline import Event, Timeline

SMALL_SIDE = 64
"""Pixels; the encoders look at 160 to 224."""
DEMONSTRATION = (
    "This model is a demonstration: it has learnt from little, mostly computer-drawn scenes, and misses most of what "
    "happens in real footage. A real model: dsanet models pull ucf-crime"
)
"""For results of a model whose configuration says so."""


def event_name(event: Event) -> str:
    """``explosion 0.97``."""
    return f"{event.label} {event.peak_score:.2f}"


def format_event(event: Event, recorded: Recorded | None = None) -> str:
    """``[00:12.80 -> 00:19.20] explosion 0.97``, where it is known the time of day, and the review; not rich markup."""
    line = f"[{format_time(event.start)} -> {format_time(event.end)}] {event_name(event)}"
    line = line if recorded is None else f"{line} ({format_moment_of_day(recorded, event.start)})"
    if event.review is None:
        return line
    verdict = f"relabelled {event.review.label}" if event.review.label else event.review.verdict
    return ", ".join(filter(None, (line, verdict, event.review.note)))


def format_missed(missed: MissedEvent) -> str:
    """``[00:12.80 -> 00:19.20] explosion, missed``, and what else was said of it."""
    span = f"[{format_time(missed.start)} -> {format_time(missed.end)}] {missed.label}"
    return ", ".join(filter(None, (span, "missed", missed.note)))


def format_moment(seconds: float, timeline: Timeline) -> str:
    """A time, with decimals where the video is short: ``1:05.3`` or ``0:01:05``."""
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
    """Say what could not be analysed: ``96.0 % analysed, not 0:10.2 to 0:11.8 (frames are missing)``."""
    coverage = timeline.coverage
    reasons = coverage.hole_reasons or ("",) * len(coverage.holes)
    holes = (
        _format_span(hole, timeline) + (f" ({reason})" if reason else "")
        for hole, reason in zip(coverage.holes, reasons, strict=False)
    )
    return f"{100 * coverage.analysed:.1f} % analysed, not {', '.join(holes)}"


def format_remarks(timeline: Timeline) -> Iterator[str]:
    """Lines about what was decided where a video leaves room for doubt, or was not to be analysed as a whole."""
    video, coverage = timeline.video, timeline.coverage
    seen = seen_size(video, timeline.sampling)
    if timeline.sampling.region is not None and seen is not None and (remark := small_region(*seen)):
        yield remark
    if coverage.part is not None:
        yield f"analysed from {_format_span(coverage.part, timeline)}"
    if video.streams is not None:
        yield f"has {video.streams} video streams, of which number {video.stream} was analysed; --stream takes another"
    if video.fps_from == "assumed" and video.fps is not None:
        yield f"gives no frame rate, {float(video.fps):g} frames/s assumed; --fps sets another"
    if coverage.unsure:
        spans = ", ".join(_format_span(span, timeline) for span in coverage.unsure)
        yield f"has no frames from {spans}; perhaps there was nothing to record"


def small_region(height: int, width: int) -> str | None:
    """A line on a region that leaves few pixels of a picture; None where it leaves enough."""
    if min(height, width) >= SMALL_SIDE:
        return None
    return f"the region is only {width} x {height} pixels of the picture, in which little can be told"


def _format_span(span: tuple[float, float], timeline: Timeline) -> str:
    return f"{format_moment(span[0], timeline)} to {format_moment(span[1], timeline)}"
