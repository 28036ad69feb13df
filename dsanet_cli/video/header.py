"""What a file's header says: frame rate, start and end."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

DEFAULT_RATE = Fraction(25)
"""Frames per second where neither the file nor the user says."""
LARGEST_DENOMINATOR = 1001
"""Of frame rates: those of television are multiples of 1 / 1001."""
SAME_RATE = 0.02
"""Share by which a file's frame rate may differ from that of its time stamps."""
RATELESS_FORMATS = ("h264", "hevc", "vvc", "mjpeg", "m4v", "obu")
"""Formats without a container: if there is a frame rate, it is in the compressed frames."""
ABSOLUTE_FORMATS = ("matroska,webm", "asf", "flv")
"""Formats whose header has the last time stamp or the length, depending on the program that wrote it."""
COUNTED_FORMATS = ("avi",)
"""Formats whose header has the number of frames."""
ESTIMATED_FORMATS = ("mpegts", "mpeg", "ogg")
"""Formats without a length in the header; ffmpeg estimates it from the end of the file."""
LONGEST_GAP = 3600.0
"""Seconds from a frame to the next that are believed where no length says more: beyond that, recordings were joined,
or the 33 bits of a time stamp have run over."""
MISSING_SECONDS, MISSING_SHARE = 1.0, 0.01
"""A video is cut off if it ends earlier than its header says by more than the larger of these."""
LONGEST_TAG = 40
"""Characters of a time in the metadata."""
MATROSKA_LENGTH = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


class Header:
    """The header's entries for one video stream of an open file.

    Args:
        container: The file.
        stream: The stream.
        fps: Frames per second, given by the user, of a file without a rate.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, fps: Fraction | None) -> None:
        self._container = container
        self._stream = stream
        self._format = container.format.name
        coded = _positive(stream.codec_context.framerate)
        self.names_rate = self._format not in RATELESS_FORMATS or coded is not None
        """Whether the file gives a frame rate, by time stamps or otherwise."""
        candidates = (stream.average_rate, stream.guessed_rate, coded)
        self.rates = tuple(rate for rate in map(_positive, candidates) if rate is not None)
        """Frames per second from several sources, the most reliable first."""
        if self._format in RATELESS_FORMATS:
            self.rates = (coded or fps or DEFAULT_RATE,)
        self.timecode = self._tag("timecode")
        """Of the first frame, as the file has it; None where it has none."""
        self.created = self._tag("com.apple.quicktime.creationdate", "creation_time")
        """When it was recorded, as the file says, or encoded: in ISO 8601."""
        self.rate = self.rates[0] if self.rates else DEFAULT_RATE
        self.zero = self._find_zero()
        """The stamp of the stream at the start of the file: players count from the earliest of sound and picture."""
        self.end = self.end_from(self.zero)
        """Seconds from the start of the file at which the picture ends; 0 where that is unknown."""

    @property
    def longest_gap(self) -> float:
        """Seconds from a frame to the next that are still believed: no pause is longer than the whole video."""
        return (0.0 if self._format in ESTIMATED_FORMATS else self.end) or LONGEST_GAP

    def end_from(self, zero: int | None) -> float:
        """As ``end``, given the stamp at the start of the file, which only shows when it is read at times."""
        base = self._stream.time_base
        if base is not None and self._format in COUNTED_FORMATS and self._stream.frames:
            return float(self._stream.frames * base)
        length = self._length()
        if base is None or zero is None or not length:
            return length
        if self._format in ABSOLUTE_FORMATS:
            return length - float(zero * base) if length > zero * base else length
        start = self._stream.start_time
        return length if start is None else length + max(0.0, float((start - zero) * base))

    def missing(self, end: float, zero: int | None, latest_stray: float) -> float | None:
        """Seconds from the start of the file at which a video ends of which less could be read; None if it is whole.

        Args:
            end: Seconds from the start of the file up to which it could be read.
            zero: The stamp at the start of the file.
            latest_stray: The latest time stamp that was not believed. Programs that write headers believe all of them.
        """
        if self._format in ESTIMATED_FORMATS:
            return None
        promised = self.end_from(zero)
        known = end
        if self._format not in COUNTED_FORMATS and self._stream.time_base is not None:
            known = max(end, (latest_stray - (zero or 0)) * float(self._stream.time_base))
        return promised if is_cut_off(known, promised) else None

    def true_rate(self, measured: Fraction | None) -> Fraction:
        """The file's rate if its time stamps agree with it, else the ``measured`` one."""
        if measured is None:
            return self.rate
        best = min(self.rates, key=lambda rate: abs(rate - measured), default=measured)
        if abs(best - measured) <= SAME_RATE * measured:
            return best
        return measured.limit_denominator(LARGEST_DENOMINATOR) or measured  # some files give the rate of their clock

    def _tag(self, *names: str) -> str | None:
        """The first of some entries of the metadata, if it is a line that can be printed."""
        for name in names:
            for metadata in (self._container.metadata, self._stream.metadata):
                if 0 < len(text := metadata.get(name, "").strip()) <= LONGEST_TAG and text.isprintable():
                    return text
        return None

    def _find_zero(self) -> int | None:
        base = self._stream.time_base
        if self._format in COUNTED_FORMATS or base is None or self._stream.start_time is None:
            return None
        starts = [
            stream.start_time * stream.time_base
            for stream in self._container.streams
            if stream.type in ("audio", "video")
            and stream.start_time is not None
            and stream.time_base
            and not stream.disposition & Disposition.attached_pic
        ]
        return math.floor(min(starts) / base)

    def _length(self) -> float:
        if tag := MATROSKA_LENGTH.fullmatch(self._stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = (float(part) for part in tag.groups())
            return hours * 3600 + minutes * 60 + seconds
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if len(self._container.streams) == 1 and self._container.duration:
            return self._container.duration / av.time_base
        return 0.0


def is_cut_off(end: float, promised: float) -> bool:
    """Whether a video that ends at ``end`` should go on to ``promised``, both in seconds from the start of the file."""
    return promised - end > max(MISSING_SECONDS, MISSING_SHARE * promised)


def _positive(rate: Fraction | None) -> Fraction | None:
    return rate if rate is not None and rate > 0 else None
