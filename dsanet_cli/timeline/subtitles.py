"""Events as subtitles: SubRip (``.srt``) and WebVTT (``.vtt``), whose cues are chapters, too, where a page says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from dsanet_cli.timeline.facts import TIME_STEP
from dsanet_cli.timeline.recorded import format_moment_of_day
from dsanet_cli.timeline.text import event_name
from dsanet_cli.timeline.timeline import Timeline

_TO_PLAIN = str.maketrans("<>{}\\", "()()/")
"""SubRip has no way to write what players take for markup."""
_TO_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def write_srt(timeline: Timeline, stream: IO[str]) -> None:
    """Write the events as SubRip subtitles: ``explosion 0.97``, and below it the time of day where it is known."""
    for number, (start, end, text) in enumerate(_cues(timeline), 1):
        span = f"{_stamp(start, ',')} --> {_stamp(end, ',')}"
        stream.write(f"{number}\n{span}\n{text.translate(_TO_PLAIN)}\n\n")


def write_vtt(timeline: Timeline, stream: IO[str]) -> None:
    """Write the events as WebVTT cues, which say what SubRip subtitles say."""
    stream.write("WEBVTT\n")
    for number, (start, end, text) in enumerate(_cues(timeline), 1):
        span = f"{_stamp(start, '.')} --> {_stamp(end, '.')}"
        stream.write(f"\n{number}\n{span}\n{text.translate(_TO_ESCAPED)}\n")


def _cues(timeline: Timeline) -> Iterator[tuple[float, float, str]]:
    for event in timeline.events:
        text = event_name(event)
        if timeline.video.recorded is not None:
            text += f"\n{format_moment_of_day(timeline.video.recorded, event.start)}"
        yield event.start, max(event.end, event.start + TIME_STEP), text


def _stamp(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(max(seconds, 0.0) * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"
