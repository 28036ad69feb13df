"""A whole video with its score, the time and the label of each event burnt into the picture."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

import av
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dsanet_cli.files.folders import Folder, open_folder
from dsanet_cli.report.encoding import PictureTrack, Planes, SoundTrack, is_about_room
from dsanet_cli.report.packets import Alive, Sound, pictures
from dsanet_cli.text import format_clock
from dsanet_cli.timeline.colors import class_colors
from dsanet_cli.timeline.recorded import format_moment_of_day
from dsanet_cli.timeline.timeline import Event, Timeline
from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.options import ReadOptions

STRIP = 1 / 14
"""Height of the strip at the lower edge, as a share of the picture's."""
LEAST_STRIP, MOST_STRIP = 16, 80
"""Pixels."""
DIMMED = 0.3
"""Of the brightness of the picture, in the strip."""
TIME_SHARE, CLOCK_SHARE, BAR_SHARE = 0.16, 0.34, 0.4
"""Of the width: for the time, with the time of day, and for the bar; the label gets the rest."""
WHITE, GREY, MARK = 235, 90, 16
"""Brightness of text and score, of the empty bar, and of the threshold in it."""


def burn(video: Path, options: ReadOptions, output: str, name: PurePath, timeline: Timeline, alive: Alive) -> None:
    """Write the video with its scores as MP4: H.264, with its sound.

    Args:
        video: Any that ``detect`` reads.
        options: How it was read.
        output: The folder of results, a path or URL.
        name: Of the file below it.
        timeline: Of the video.
        alive: Is called all the time.

    Raises:
        VideoError: it cannot be decoded.
        OutputError: the file cannot be written.
    """
    folder: Folder = open_folder(output)
    pen = Pen(timeline)
    with Demuxer(video, options) as demuxer, folder.write(name, "wb") as stream:
        found = pictures(demuxer, alive, lambda _: True)
        first = next(found, None)
        if first is None:
            raise video_error(video, f"no frame can be decoded; {COPY_AGAIN}")
        zero = float((demuxer.clock.zero or 0) * demuxer.time_base)
        try:
            with Sound(video, zero) as sound, av.open(stream, "w", format="mp4") as out:
                track, heard = PictureTrack(out, demuxer.header.rate, first[1]), SoundTrack(out, sound)
                last = 0.0
                for last, frame in itertools.chain([first], found):
                    if not demuxer.restamped:
                        heard.write(0.0, last)
                    track.add(frame, last, pen.at(last))
                if not demuxer.restamped:
                    heard.write(0.0, max(last, timeline.video.duration))
                track.finish()
                heard.finish()
        except (av.FFmpegError, ValueError) as error:
            if is_about_room(error):
                raise
            raise video_error(video, f"cannot be encoded ({error})") from error


@dataclass(frozen=True)
class _Ink:
    """A colour as brightness and two differences, each 0..255 (BT.601)."""

    luma: int
    blue: int
    red: int

    @classmethod
    def of(cls, color: str) -> _Ink:
        """The colour ``#rrggbb``."""
        r, g, b = (int(color[at : at + 2], 16) for at in (1, 3, 5))
        luma = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
        blue = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
        red = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
        return cls(round(luma), round(blue), round(red))


class Pen:
    """Draws what a timeline says of a moment."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        names = timeline.class_names
        self._inks = {name: _Ink.of(color) for name, color in zip(names, class_colors(len(names)), strict=True)}

    def at(self, seconds: float) -> Drawing:
        """What to draw into the picture that is shown at a time."""
        timeline = self._timeline
        number = int(np.searchsorted(timeline.starts, seconds + 1e-6, side="right")) - 1
        known = number >= 0 and seconds < timeline.ends[number] + 1e-6
        event = next((e for e in timeline.events if e.start <= seconds < e.end), None)
        clock = format_clock(seconds, 0, timeline.video.duration >= 3600)
        if timeline.video.recorded is not None:
            clock = f"{clock}  {format_moment_of_day(timeline.video.recorded, seconds)}"
        return Drawing(
            clock,
            float(timeline.scores[number]) if known else None,
            timeline.rule.threshold,
            event,
            None if event is None else self._inks[event.label],
            CLOCK_SHARE if timeline.video.recorded is not None else TIME_SHARE,
        )


@dataclass(frozen=True)
class Drawing:
    """A strip at the lower edge: the time, a bar as long as the score with a mark at the threshold, and the label."""

    clock: str
    score: float | None
    """None where nothing was analysed."""
    threshold: float
    event: Event | None
    ink: _Ink | None
    clock_share: float

    def __call__(self, planes: Planes) -> None:
        """Draw into a picture."""
        luma, *colors = planes
        height, width = luma.shape
        strip = min(max(LEAST_STRIP, round(height * STRIP) // 2 * 2), MOST_STRIP, height // 2 * 2)
        top = height - strip
        luma[top:] = (luma[top:] * DIMMED).astype(np.uint8)
        for plane in colors:
            plane[top // 2 :] = 128
        margin = strip // 4
        size = strip - 2 * margin
        left = round(width * self.clock_share)
        right = left + round(width * BAR_SHARE)
        self._write(planes, self.clock, margin, top, size, left - 2 * margin)
        self._bar(planes, (left, right), (top + margin, top + strip - margin))
        if self.event is not None:
            text = f"{self.event.label} {self.event.peak_score:.2f}"
            self._write(planes, text, right + margin, top, size, width - right - 2 * margin)

    def _bar(self, planes: Planes, across: tuple[int, int], down: tuple[int, int]) -> None:
        luma, *colors = planes
        (left, right), rows = across, slice(*down)
        luma[rows, left:right] = GREY
        if self.score is not None:
            end = left + round((right - left) * self.score)
            luma[rows, left:end] = WHITE if self.ink is None else self.ink.luma
            if self.ink is not None:
                for plane, value in zip(colors, (self.ink.blue, self.ink.red), strict=True):
                    plane[down[0] // 2 : down[1] // 2, left // 2 : end // 2] = value
        mark = left + round((right - left) * self.threshold)
        luma[rows, max(left, mark - 1) : mark + 1] = MARK

    def _write(self, planes: Planes, text: str, left: int, top: int, size: int, room: int) -> None:
        mask = _mask(text, size)[:, : max(0, room)]
        part = planes[0][top : top + mask.shape[0], left : left + mask.shape[1]]
        inked = mask[: part.shape[0], : part.shape[1]]
        part[:] = (part + (WHITE - part.astype(np.float32)) * inked).astype(np.uint8)


@lru_cache(maxsize=256)
def _mask(text: str, size: int) -> NDArray[np.float32]:
    """A line of text, as the share of ink of each pixel (H, W); ``size`` is the height of letters, about."""
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
    width = max(1, round(font.getlength(text)))
    image = Image.new("L", (width, 2 * size))
    ImageDraw.Draw(image).text((0, size), text, fill=255, font=font, anchor="lm")
    return np.asarray(image, np.float32) / np.float32(255)
