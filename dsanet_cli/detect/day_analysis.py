"""The files of a camera's day, decoded side by side, on their way to one timeline.

Snippets do not span the border between two files; windows and events do. The file that is next in time is scored as it
is decoded; those that are ahead of it wait, their pictures packed.
"""

from __future__ import annotations

import dataclasses
import io
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from dsanet_cli.console import unexpected
from dsanet_cli.detect.analysis import Analysis, Detection, SnippetFeature, coverage, video_facts
from dsanet_cli.detect.day import Day, Recording
from dsanet_cli.detect.record import location
from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.sources import Source
from dsanet_cli.names import printable
from dsanet_cli.pipeline.batcher import EncodedSnippet
from dsanet_cli.pipeline.pipeline import Collector, Watch
from dsanet_cli.timeline.facts import Coverage, FilePart, VideoFacts, covered
from dsanet_cli.video.messages import Message, Notice, Opened
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

GAP = 1.5
"""Seconds between two files that follow each other, at most: names of files have whole seconds."""
NO_FILE = "no file"
LONGEST_REASON = 1000
"""Characters."""
_QUALITY = 90


class DayRun:
    """The files of some days in one pipeline.

    Args:
        days: Sources whose paths are ``Day``.
        analysis: Makes the analysis of a day.
        watch: Is told how far each day is.
    """

    def __init__(self, days: Sequence[Source], analysis: Callable[[Source], Analysis], watch: Watch) -> None:
        self._analysis = analysis
        self._watch = watch
        self._places: dict[Source, tuple[Source, int]] = {}
        """Day and number of each file."""
        self._offsets: dict[Source, float] = {}
        """Where each file begins if the headers are right, in seconds."""
        self._lengths: dict[Source, float] = {}
        self._running: dict[Source, DayAnalysis] = {}
        self._opened: set[Source] = set()
        for day in days:
            length = 0.0
            for number, recording in enumerate(_recordings(day)):
                self._places[recording.source] = day, number
                self._offsets[recording.source] = length
                length += recording.length
            self._lengths[day] = length

    @property
    def files(self) -> list[Source]:
        """All files, day by day, in order of time."""
        return list(self._places)

    def day_of(self, file: Source) -> Source:
        """The day that a file is of."""
        return self._places[file][0]

    def collector(self, file: Source) -> Collector[VideoInfo]:
        """What takes the snippets of a file."""
        return _FileCollector(*self._place(file))

    def watch(self, file: Source, message: Message) -> None:
        """Pass on what a decoder says of a file, as if it were of the day."""
        day = self.day_of(file)
        if isinstance(message, Notice):
            self._watch(day, message)
        elif isinstance(message, Opened) and day not in self._opened:
            self._opened.add(day)
            self._watch(day, Opened(self._lengths[day]))
        elif isinstance(message, Snippet):
            offset = self._offsets[file]
            self._watch(day, dataclasses.replace(message, start=offset + message.start, end=offset + message.end))

    def concluded(
        self, file: Source, outcome: VideoInfo | DsanetError
    ) -> Iterator[tuple[Source, Detection | DsanetError]]:
        """Take how a file went; its day, where it was the last one."""
        day = self.day_of(file)
        analysis, number = self._place(file)
        analysis.done(number, outcome)
        if analysis.is_complete:
            del self._running[day]
            if analysis.overlap:
                text = f"{printable(day.path)}: {analysis.overlap}"
                self._watch(day, Notice(text))
            yield day, analysis.conclude()

    def _place(self, file: Source) -> tuple[DayAnalysis, int]:
        day, number = self._places[file]
        if day not in self._running:
            self._running[day] = DayAnalysis(day, self._analysis(day))
        return self._running[day], number


class DayAnalysis:
    """One day on its way to its timeline; files may end in any order.

    Args:
        day: Its path is a ``Day``.
        analysis: Takes the snippets, at times of the day.
    """

    def __init__(self, day: Source, analysis: Analysis) -> None:
        self._day = day
        self._analysis = analysis
        self._recordings = _recordings(day)
        known = [recording.length for recording in self._recordings if recording.length > 0]
        self._usual = statistics.median(known) if known else 0.0
        self._waiting: defaultdict[int, list[tuple[SnippetFeature, bytes | None]]] = defaultdict(list)
        self._outcomes: dict[int, VideoInfo | DsanetError] = {}
        self._current = 0
        self._origin: float | None = None
        """Of the times of the day, in seconds since the epoch."""
        self._offset = self._end = 0.0
        """Of the current file, and of what was taken so far."""
        self._parts: list[FilePart] = []
        self._holes: list[tuple[float, float, str]] = []
        self._unsure: list[tuple[float, float]] = []
        self._infos: list[VideoInfo] = []
        self._error: DsanetError | None = None
        """The first of a file."""
        self._failure: DsanetError | None = None
        """Of the day as a whole."""
        self._overlaps: list[float] = []
        self._open()

    @property
    def is_complete(self) -> bool:
        """Whether all files are there."""
        return self._current == len(self._recordings)

    @property
    def overlap(self) -> str:
        """A line on files that begin before the one before them ends; empty where none does."""
        if not self._overlaps:
            return ""
        count = len(self._overlaps)
        return (
            f"{count} of {len(self._recordings)} files begin before the one before ends, by up to "
            f"{max(self._overlaps):.1f} s; each was set to begin where that ends"
        )

    def take(self, number: int, snippet: SnippetFeature) -> None:
        """Take a snippet of a file, at a time of that."""
        if number == self._current:
            self._add(snippet)
        else:
            packed = None if snippet.picture is None else _packed(snippet.picture)
            self._waiting[number].append((dataclasses.replace(snippet, picture=None), packed))

    def done(self, number: int, outcome: VideoInfo | DsanetError) -> None:
        """Take how a file went, after all of its snippets."""
        self._outcomes[number] = outcome
        while self._current in self._outcomes:
            self._close(self._outcomes.pop(self._current))
            self._current += 1
            if self.is_complete:
                return
            self._open()
            for snippet, packed in self._waiting.pop(self._current, ()):
                self._add(snippet if packed is None else dataclasses.replace(snippet, picture=_unpacked(packed)))

    def conclude(self) -> Detection | DsanetError:
        """The result of the day."""
        if self._failure is not None:
            return self._failure
        if not self._infos:
            return VideoError(
                f"{printable(self._day.path)}: none of its {len(self._recordings)} files can be analysed: {self._error}"
            )
        try:
            return self._analysis.conclude(self._facts(), self._coverage())
        except DsanetError as error:
            return error
        except Exception as error:  # one input must never end the others
            return unexpected(self._day.path, error)

    def _open(self) -> None:
        """Find the place of the file that is next."""
        start, recorded = self._end, self._recordings[self._current].start
        if recorded is not None:
            if self._origin is None:
                self._origin = recorded - start
            clock = recorded - self._origin
            if clock - start > GAP:
                self._holes.append((start, clock, NO_FILE))
                start = clock
            elif start - clock > GAP:
                self._overlaps.append(start - clock)
        self._offset = self._end = start

    def _add(self, snippet: SnippetFeature) -> None:
        if self._failure is not None:
            return
        start, end = self._offset + snippet.start, self._offset + snippet.end
        try:
            self._analysis.add(dataclasses.replace(snippet, start=start, end=end))
        except DsanetError as error:
            self._failure = error
        except Exception as error:  # one input must never end the others
            self._failure = unexpected(self._day.path, error)
        self._end = max(self._end, end)

    def _close(self, outcome: VideoInfo | DsanetError) -> None:
        """Note what became of the current file."""
        recording = self._recordings[self._current]
        reason = None
        if isinstance(outcome, DsanetError):
            self._error = self._error or outcome
            reason = printable(str(outcome))[:LONGEST_REASON]
            taken, self._end = self._end, max(self._end, self._offset + self._expected(recording))
            self._holes.append((taken, self._end, reason))
        else:
            self._infos.append(outcome)
            found = coverage(outcome)
            reasons = found.hole_reasons or ("",) * len(found.holes)
            for (start, end), why in zip(found.holes, reasons, strict=True):
                self._holes.append((self._offset + start, self._offset + end, why))
            self._unsure += [(self._offset + start, self._offset + end) for start, end in found.unsure]
            self._end = max(self._end, self._offset + outcome.duration)
        self._parts.append(_part(recording, self._offset, self._end, reason))

    def _expected(self, recording: Recording) -> float:
        """Seconds of a file that cannot be read: as its header says, or as others have, up to where the next begins."""
        if recording.length > 0:
            return recording.length
        following = self._recordings[self._current + 1 :][:1]
        if following and following[0].start is not None and self._origin is not None:
            return min(self._usual, max(0.0, following[0].start - self._origin - self._offset))
        return self._usual

    def _facts(self) -> VideoFacts:
        path = self._day.path
        assert isinstance(path, Day)
        rates = {info.fps for info in self._infos}
        return dataclasses.replace(
            video_facts(self._infos[0]),
            path=str(path),
            frames=sum(info.frames for info in self._infos),
            duration=self._end,
            fps=rates.pop() if len(rates) == 1 else None,
            bytes=sum(part.bytes or 0 for part in self._parts),
            timecode=None,
            created=None,
            camera=path.camera,
            files=tuple(self._parts),
        )

    def _coverage(self) -> Coverage:
        holes = [(start, end) for start, end, _ in self._holes]
        # Those that touch stay apart, as each has its own reason.
        return dataclasses.replace(
            covered(self._end, holes),
            holes=tuple(holes),
            hole_reasons=tuple(reason for _, _, reason in self._holes),
            unsure=tuple(self._unsure),
        )


class _FileCollector(Collector[VideoInfo]):
    """Passes the snippets of one file to its day."""

    def __init__(self, day: DayAnalysis, number: int) -> None:
        self._day = day
        self._number = number

    def take(self, snippet: EncodedSnippet) -> None:
        """Add the next snippet of the file."""
        self._day.take(self._number, SnippetFeature.of(snippet))

    def finish(self, info: VideoInfo) -> VideoInfo:
        """What is known of the file at its end."""
        return info


def _recordings(day: Source) -> tuple[Recording, ...]:
    assert isinstance(day.path, Day)
    return day.path.recordings


def _part(recording: Recording, start: float, end: float, error: str | None) -> FilePart:
    path = recording.source.path
    size = mtime = None
    try:
        status = path.stat()
        size, mtime = status.st_size, status.st_mtime
    except OSError:  # as its error says
        pass
    real = location(path)
    return FilePart(str(path), round(start, 3), round(end, 3), size, mtime, recording.created, error, real)


def _packed(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _unpacked(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        return np.asarray(image, np.uint8)
