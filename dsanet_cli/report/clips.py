"""Each event of a video cut out into a file of its own, ``NAME.clips/``, and a list of them, ``NAME.clips.csv``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from dsanet_cli.errors import DsanetError, OutputError, VideoError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.result_names import CLIPS_FOLDER
from dsanet_cli.names import cell, text_of
from dsanet_cli.report.film_process import run_apart, stop
from dsanet_cli.timeline.recorded import moment
from dsanet_cli.timeline.timeline import Event, Timeline
from dsanet_cli.video.options import ReadOptions

PAD = 2.0
"""Seconds before and after an event."""
COLUMNS = ("file", "start", "end", "label", "score", "pad", "exact", "error")
LONGEST_STEM, LONGEST_LABEL = 100, 40
"""Bytes of the parts of a clip's name."""


@dataclass(frozen=True)
class Span:
    """What a clip is to show, in seconds of the timeline."""

    name: str
    """Of its file, without a suffix."""
    start: float
    end: float


@dataclass(frozen=True)
class ClipFilm:
    """Clips as a format of results; see ``dsanet_cli.detect.films``."""

    pad: float = PAD
    exact: bool = False
    """Encode anew, so that a clip begins where it should, and not at the key frame before."""
    kind: str = "clips"

    def sign(self, stem: PurePath) -> PurePath:
        """The list of the clips."""
        return stem.with_name(f"{stem.name}{CLIPS_FOLDER}.csv")

    def is_whole(self, folder: Folder, stem: PurePath, timeline: Timeline) -> bool:
        """Whether all events have their clip, or there is a reason why not."""
        try:
            text = folder.read(self.sign(stem)).decode("utf-8", "replace")
            rows = list(csv.DictReader(io.StringIO(text)))
            if len(rows) != len(timeline.events):
                return False
            for row, span in zip(rows, self.spans(stem, timeline), strict=True):
                file = text_of(row["file"] or "")
                alike = (row["pad"], row["exact"]) == (f"{self.pad:g}", str(self.exact).lower())
                there = bool(row["error"]) or folder.exists(
                    stem.with_name(f"{stem.name}{CLIPS_FOLDER}") / PurePath(file).name
                )
                if not (alike and there) or (file and PurePath(file).stem != span.name):
                    return False
        except (OutputError, KeyError, csv.Error):
            return False
        return True

    def write(self, folder: Folder, stem: PurePath, timeline: Timeline, video: Path) -> None:
        """Cut the clips, take away those of earlier runs, and write the list.

        Raises:
            VideoError: the video cannot be read, or not be copied as it is; the list says so.
            OutputError: a file cannot be written.
        """
        from dsanet_cli.report.cutting import cut  # noqa: PLC0415  (PyAV, which those who only read do without)

        spans = self.spans(stem, timeline)
        place = stem.with_name(f"{stem.name}{CLIPS_FOLDER}")
        files: Sequence[str] = []
        error: DsanetError | None = None
        if spans:
            try:
                work = video, read_options(timeline), str(folder), place, spans, self.exact
                files = run_apart(video, place / "clip", folder, cut, *work)
            except VideoError as fault:
                error = fault
        self._remove(folder, stem, files)
        with folder.write(self.sign(stem), "w") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for at, (event, span) in enumerate(zip(timeline.events, spans, strict=True)):
                file = f"{place.name}/{files[at]}" if files else ""
                times = f"{span.start:.3f}", f"{span.end:.3f}"
                made = f"{self.pad:g}", str(self.exact).lower(), "" if error is None else str(error)
                writer.writerow([cell(file), *times, cell(event.label), f"{event.peak_score:.6g}", *map(cell, made)])
        if error is not None:
            raise error

    def remove(self, folder: Folder, stem: PurePath) -> None:
        """Take away the clips and their list.

        Raises:
            OutputError: a file cannot be deleted.
        """
        self._remove(folder, stem, ())
        if folder.exists(self.sign(stem)):
            folder.remove(self.sign(stem))

    def _remove(self, folder: Folder, stem: PurePath, kept: Sequence[str]) -> None:
        """Take away the clips of a result that has a list of them, but for those that are ``kept``.

        Whatever else lies among them, somebody else has put there.
        """
        place = stem.with_name(f"{stem.name}{CLIPS_FOLDER}")
        clip = re.compile(rf"{re.escape(_camera(stem))}_[0-9]{{4,}}_.*\.(mp4|mkv)")
        for name in folder.names() if folder.exists(self.sign(stem)) else []:
            if name.parent == place and name.name not in kept and clip.fullmatch(name.name):
                folder.remove(name)

    def stop(self) -> None:
        """Give up what is being made."""
        stop()

    def spans(self, stem: PurePath, timeline: Timeline) -> list[Span]:
        """What each event's clip shows, and what it is called."""
        names = _names(stem, timeline)
        duration = max(timeline.video.duration, float(timeline.ends[-1]))
        return [
            Span(name, max(0.0, event.start - self.pad), min(duration, event.end + self.pad))
            for name, event in zip(names, timeline.events, strict=True)
        ]


def read_options(timeline: Timeline) -> ReadOptions:
    """How the video was read."""
    facts = timeline.video
    return ReadOptions(facts.stream, None if facts.fps_from is None else facts.fps)


def _names(stem: PurePath, timeline: Timeline) -> Iterator[str]:
    """``yard_cam3_0001_00h12m34s_fighting``: camera and video, number, time, class."""
    camera = _camera(stem)
    for number, event in enumerate(timeline.events, 1):
        yield f"{camera}_{number:04}_{_time(event, timeline)}_{_plain(event.label, LONGEST_LABEL)}"


def _camera(stem: PurePath) -> str:
    """With what the names of a result's clips begin."""
    folder = [stem.parent.name] if stem.parent.name else []
    return _plain("_".join([*folder, stem.name]), LONGEST_STEM)


def _time(event: Event, timeline: Timeline) -> str:
    if timeline.video.recorded is not None:
        return f"{moment(timeline.video.recorded, event.start):%Y%m%d_%H%M%S}"
    seconds = int(max(0.0, event.start))
    return f"{seconds // 3600:02}h{seconds // 60 % 60:02}m{seconds % 60:02}s"


def _plain(text: str, longest: int) -> str:
    """Letters and digits of any script; all else is one hyphen."""
    plain = re.sub(r"[^\w]+", "-", text.encode("utf-8", "replace").decode()).strip("-") or "x"
    while len(plain.encode()) > longest:
        plain = plain[:-1]
    return plain
