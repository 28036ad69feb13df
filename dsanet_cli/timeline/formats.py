"""The files that can be made of a timeline alone, by the names that ``--format`` has for them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.files.result_names import PLOT_MARK
from dsanet_cli.timeline.edit_lists import OTIO_MARK, check_otio, write_edl, write_otio
from dsanet_cli.timeline.files import write_csv, write_json
from dsanet_cli.timeline.subtitles import write_srt, write_vtt
from dsanet_cli.timeline.thumbnails import THUMBNAILS, THUMBNAILS_MARK, event_thumbnails, write_thumbnails
from dsanet_cli.timeline.timeline import Timeline

RECORD = "json"
"""The format that is always written: it says of what, by what and how the others were made, too. It is written last, so
that where it fits, the others do."""
DEFAULT_FORMATS = (RECORD, "csv", "png")

Peaks = Mapping[float, NDArray[np.uint8]]
"""Pictures (H, W, 3) uint8 RGB by the middle of their snippet in seconds."""


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    content: Callable[[Timeline, Peaks], bytes | None]
    """All of it; None where there is to be none."""
    mark: bytes
    """What the beginning of one holds that this program wrote."""
    has_pictures: bool = False
    """Whether the pictures are needed for it."""


def _text(write: Callable[[Timeline, IO[str]], None]) -> Callable[[Timeline, Peaks], bytes]:
    def content(timeline: Timeline, _: Peaks) -> bytes:
        text = io.StringIO()
        write(timeline, text)
        return text.getvalue().encode()

    return content


def _plot(timeline: Timeline, peaks: Peaks) -> bytes:
    from dsanet_cli.timeline.plot import save_plot  # noqa: PLC0415  (matplotlib takes its time to load)

    image = io.BytesIO()
    shown = event_thumbnails(timeline, list(peaks))
    save_plot(timeline, image, {number: peaks[time] for number, time in shown.items()})
    return image.getvalue()


def _thumbnails(timeline: Timeline, peaks: Peaks) -> bytes | None:
    width, height = timeline.video.width, timeline.video.height
    return write_thumbnails(peaks, width / height if width and height else None) if peaks else None


def check_formats(names: Iterable[str]) -> None:
    """Make sure that what formats need is installed.

    Raises:
        UsageError: it is not.
    """
    if "otio" in names:
        check_otio()


FORMATS = {
    RECORD: Format(_text(write_json), b'"schema"'),
    "csv": Format(_text(write_csv), b"start,end,score,label"),
    "png": Format(_plot, PLOT_MARK, has_pictures=True),
    "srt": Format(_text(write_srt), b" --> "),
    "vtt": Format(_text(write_vtt), b"WEBVTT"),
    "edl": Format(_text(write_edl), b"TITLE: "),
    "otio": Format(_text(write_otio), OTIO_MARK),
    THUMBNAILS: Format(_thumbnails, THUMBNAILS_MARK, has_pictures=True),
}
"""By the name of the format, which is the suffix of its files, too."""
HANDED_ON = frozenset({"srt", "vtt", "edl", "otio"})
"""Formats for other programs, which get the events as a person has put them right."""
