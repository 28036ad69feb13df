"""Events for editing programs: an edit decision list (CMX 3600, ``.edl``), and OpenTimelineIO (``.otio``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

from dsanet_cli.errors import UsageError
from dsanet_cli.files.typed import scheme_of
from dsanet_cli.names import printable
from dsanet_cli.timeline.text import event_name
from dsanet_cli.timeline.timecode import Counting, counting, first_frame
from dsanet_cli.timeline.timeline import Event, Timeline

if TYPE_CHECKING:
    import opentimelineio as otio

LONGEST_LINE = 70
"""Characters of a text in an edit decision list; old programs read no more."""
OTIO_MARK = b'"OTIO_SCHEMA"'


def write_edl(timeline: Timeline, stream: IO[str]) -> None:
    """Write each event as an edit, one after the other: from where in the video, and where it comes to lie."""
    count = counting(timeline.video)
    first, recorded = first_frame(timeline.video, count), 0
    name = _name(timeline)
    stream.write(f"TITLE: {_ascii(PurePath(name).stem)}\nFCM: {'DROP FRAME' if count.drop else 'NON-DROP FRAME'}\n")
    for number, event in enumerate(timeline.events, 1):
        start, length = _frames(event, count)
        codes = first + start, first + start + length, recorded, recorded + length
        times = " ".join(map(count.code, codes))
        stream.write(f"\n{number:03}  AX       V     C        {times}\n")
        stream.write(f"* FROM CLIP NAME: {_ascii(name)}\n* COMMENT: {_ascii(event_name(event))}\n")
        recorded += length


def check_otio() -> None:
    """Make sure that OpenTimelineIO is there.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec("opentimelineio") is None:
        raise UsageError("--format otio: OpenTimelineIO is not installed; pip install 'dsanet-cli[otio]'")


def write_otio(timeline: Timeline, stream: IO[str]) -> None:
    """Write a timeline of two tracks: the video with a marker for each event, and above it each event as a clip."""
    import opentimelineio as otio  # noqa: PLC0415  (an extra)

    count, video, name = counting(timeline.video), timeline.video, _name(timeline)
    first = first_frame(video, count)

    def span(start: int, length: int) -> otio.opentime.TimeRange:
        rate = float(count.rate)
        return otio.opentime.TimeRange(
            otio.opentime.RationalTime(start, rate), otio.opentime.RationalTime(length, rate)
        )

    def clip(label: str, start: int, length: int, **more: Any) -> otio.schema.Clip:
        media = otio.schema.ExternalReference(_url(timeline), span(first, max(1, count.frame(video.duration))))
        return otio.schema.Clip(label, media, span(first + start, length), **more)

    whole = clip(name, 0, max(1, count.frame(video.duration)))
    events = otio.schema.Track("events", kind=otio.schema.TrackKind.Video)
    at = 0
    for event in timeline.events:
        start, length = _frames(event, count)
        said = {"dsanet": {"label": event.label, "score": round(event.peak_score, 6)}}
        whole.markers.append(
            otio.schema.Marker(event_name(event), span(first + start, length), otio.schema.MarkerColor.RED, said)
        )
        if start > at:
            events.append(otio.schema.Gap(source_range=span(0, start - at)))
        events.append(clip(event_name(event), start, length, metadata=said))
        at = start + length
    recording = otio.schema.Track("video", [whole], kind=otio.schema.TrackKind.Video)
    made = otio.schema.Timeline(name, [recording, events], global_start_time=span(first, 0).start_time)
    stream.write(otio.adapters.write_to_string(made, "otio_json") + "\n")


def _frames(event: Event, count: Counting) -> tuple[int, int]:
    """The first frame of an event, and how many it has."""
    start = count.frame(max(event.start, 0.0))
    return start, max(1, count.frame(event.end) - start)


def _name(timeline: Timeline) -> str:
    path = timeline.video.path
    return printable(PurePath(path.replace("\\", "/")).name or path)


def _url(timeline: Timeline) -> str:
    path = timeline.video.real_path or timeline.video.path
    return path if scheme_of(path) else Path(path).absolute().as_uri()


def _ascii(text: str) -> str:
    """What programs of any age can read, on one line."""
    return text.encode("ascii", "replace").decode("ascii")[:LONGEST_LINE]
