"""Result files: where they go, whose they are, whether they are there already, and writing them."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePath
from typing import IO

from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.record import Owner, location, read_abridged, read_owner
from dsanet_cli.errors import DsanetError, FeatureError, OutputError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.paths import Pictures
from dsanet_cli.files.result_names import PLOT_MARK, folded
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.names import printable
from dsanet_cli.timeline.files import write_csv, write_json
from dsanet_cli.timeline.thumbnails import THUMBNAILS, THUMBNAILS_MARK, write_thumbnails
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.version import __version__
from dsanet_cli.video.header import DEFAULT_RATE

RECORD = "json"
"""The format that is always written: it says of what, by what and how the others were made, too. It is written last, so
that where it fits, the others do."""
FORMATS = (RECORD, "csv", "png")
PROGRAM = f"dsanet {__version__}"
_MARKS = {RECORD: b'"schema"', "csv": b"start,end,score,label", "png": PLOT_MARK, THUMBNAILS: THUMBNAILS_MARK}
"""What the beginning of a file of each format holds that this program wrote."""
_BEGINNING = 1024
"""Bytes."""


class TakenError(OutputError):
    """The place of a result holds something else; nothing was touched."""


class ResultFolder:
    """The results of a run below one folder: a record for each video, and what else ``formats`` says.

    Args:
        folder: Where they go.
        formats: To be written; others of the same video that are there already are written anew, too.
        detector: What they are made with.
        encoder_sha256: Of the encoder weights that were given beside the model.
        overwrite: Replace what belongs to other videos.
        thumbnails: Keep pictures of the highest scores beside each record.
    """

    def __init__(
        self,
        folder: Folder,
        formats: tuple[str, ...],
        detector: Detector,
        encoder_sha256: str | None,
        overwrite: bool,
        thumbnails: bool = False,
    ) -> None:
        self._folder = folder
        self._formats = {RECORD, *formats}
        self._kept = self._formats | ({THUMBNAILS} if thumbnails else set())
        self._detector = detector
        self._encoder_sha256 = encoder_sha256
        self._overwrite = overwrite
        self._there: defaultdict[str, set[PurePath]] = defaultdict(set)
        """The files in the folder, by their names in a form that ignores case."""
        for name in folder.names():
            self._there[folded(name)].add(name)
        self._statuses: dict[Source, os.stat_result] = {}
        """Of the sources before they are analysed."""
        self.outdated = 0
        """Results met that another version of the program wrote, and nothing else is wrong with."""

    def settled(self, source: Source, skip_done: bool) -> Timeline | DsanetError | None:
        """What is known of a source before it is analysed, which it has to pass through.

        Returns:
            The result of an earlier run, if ``skip_done`` and it is whole, of the same video as it is now, and made the
            same way; an error, if the place of its result is taken; else None, and the source is to be analysed.
        """
        try:
            status = source.path.stat()
        except (OSError, ValueError):  # its analysis says what is wrong with it
            return None
        self._statuses[source] = status
        try:
            self._check_place(source)
            return self._finished(source, status) if skip_done else None
        except (OutputError, FeatureError) as error:
            return error

    def _finished(self, source: Source, status: os.stat_result) -> Timeline | None:
        names = {kind: result_name(source, kind) for kind in self._formats}
        if not all(self._is_there(name) for name in names.values()):
            return None
        try:
            # The others are older, unless a run with other settings was stopped before it wrote the record.
            made = {kind: self._folder.modified(name) for kind, name in names.items()}
            timeline = read_abridged(self._folder, names[RECORD])
        except OutputError:
            return None
        owner = Owner.of(dataclasses.asdict(timeline.video))
        stands = owner is not None and owner.is_unchanged(status) and max(made.values()) <= made[RECORD]
        if not stands or not self._is_made_alike(timeline, source):
            return None
        if timeline.program != PROGRAM:
            self.outdated += 1
            return None
        return dataclasses.replace(timeline, video=dataclasses.replace(timeline.video, path=str(source.path)))

    def _is_made_alike(self, timeline: Timeline, source: Source) -> bool:
        detector = self._detector
        return (
            _has_rate(timeline, source, detector)
            and timeline.model.sha256 == detector.model.sha256
            and timeline.model.encoder_sha256 == self._encoder_of(source)
            and timeline.sampling == detector.sampling(source.path)
            and timeline.rule == detector.rule_of(source)
            and (not isinstance(source.path, Pictures) or timeline.video.fps == source.path.fps)
        )

    def _encoder_of(self, source: Source) -> str | None:
        return None if is_feature_file(source.path) else self._encoder_sha256

    def write(self, source: Source, detection: Detection) -> Timeline:
        """Write all formats, each whole or not at all; the timeline as it is on record.

        Raises:
            OutputError: a file cannot be written.
            TakenError: meanwhile another run has written the result of another video there.
        """
        status = self._statuses.get(source) or source.path.stat()
        timeline = on_record(source, detection.timeline, status, self._encoder_of(source))
        complete = dataclasses.replace(detection, timeline=timeline)
        kinds = self._kept | {kind for kind in _MARKS if self._is_there(result_name(source, kind))}
        contents = {kind: _content(kind, complete) for kind in sorted(kinds, key=RECORD.__eq__)}
        with self._folder.lock():
            self._notice_others(source)
            self._check_place(source)
            for kind, content in contents.items():
                name = result_name(source, kind)
                for twin in self._twins(name):
                    self._folder.remove(twin)
                if content is not None:
                    with self._folder.write(name, "wb") as stream:
                        stream.write(content)
                    self._there[folded(name)] = {name}
                elif self._is_there(name):  # of an earlier analysis
                    self._folder.remove(name)
                    del self._there[folded(name)]
        return timeline

    def _check_place(self, source: Source) -> None:
        """Make sure that what lies where the result of ``source`` goes is of the same video, or may be replaced.

        Raises:
            TakenError: it is another's; names both.
        """
        if self._overwrite:
            return
        owned = self._is_owned(source)
        for kind in _MARKS:
            name = result_name(source, kind)
            for twin in self._twins(name):
                raise self._taken(source, twin, "has a name that some systems take for the same")
            if not owned and self._is_there(name) and not self._is_ours(kind, name):
                raise self._taken(source, name, "is there and was not written by dsanet")

    def _is_owned(self, source: Source) -> bool:
        """Whether there is a record, and ``source`` is its video."""
        record = result_name(source, RECORD)
        owner = read_owner(self._folder, record) if self._is_there(record) else None
        if owner is None:
            return False
        status = self._statuses.get(source)
        if not owner.is_at(source.path) and not (status and owner.is_moved_to(source.path, status)):
            raise self._taken(source, record, f"holds the result of another video, {printable(owner.path)}")
        return True

    def _is_ours(self, kind: str, name: PurePath) -> bool:
        beginning, _ = self._folder.read_ends(name, _BEGINNING)
        return not beginning or _MARKS[kind] in beginning

    def _taken(self, source: Source, name: PurePath, why: str) -> TakenError:
        way_out = "choose another --output, or replace it with --overwrite"
        return TakenError(f"{source.path}: not analysed, {self._folder}{name} {why}; {way_out}")

    def _notice_others(self, source: Source) -> None:
        """Take into account what other runs wrote since this one began."""
        for name in (result_name(source, kind) for kind in _MARKS):
            if self._folder.exists(name):
                self._there[folded(name)].add(name)

    def _is_there(self, name: PurePath) -> bool:
        return name in self._there.get(folded(name), ())

    def _twins(self, name: PurePath) -> set[PurePath]:
        """Files whose names differ from ``name`` in nothing but what some file systems ignore."""
        return self._there.get(folded(name), set()) - {name}


def _has_rate(timeline: Timeline, source: Source, detector: Detector) -> bool:
    """Whether a timeline has the frame rate that was asked for, where the source leaves that open."""
    if is_feature_file(source.path):
        return timeline.video.fps == detector.feature_rate(source.path)
    if isinstance(source.path, Pictures):
        return timeline.video.fps == source.path.fps
    return timeline.video.fps_from is None or timeline.video.fps == (detector.settings.reading.fps or DEFAULT_RATE)


def result_name(source: Source, kind: str = RECORD) -> PurePath:
    """Where the result of a source goes, below the output folder."""
    return source.relative.with_name(f"{source.relative.name}.{kind}")


def check_writable(folder: Folder) -> None:
    """Find out before the work begins whether results can be written.

    Raises:
        OutputError: they cannot.
    """
    probe = PurePath(f".{secrets.token_hex(8)}.probe")
    with folder.write(probe, "wb"):
        pass
    folder.remove(probe)


def on_record(source: Source, timeline: Timeline, status: os.stat_result, encoder_sha256: str | None) -> Timeline:
    """A timeline with what its record says of how it came about, by which later runs know whether it stands.

    Args:
        source: What was analysed.
        timeline: What was found.
        status: Of the file before.
        encoder_sha256: Of the encoder weights that were given beside the model.
    """
    video = dataclasses.replace(timeline.video, mtime=status.st_mtime, real_path=location(source.path))
    model = dataclasses.replace(timeline.model, encoder_sha256=encoder_sha256)
    return dataclasses.replace(timeline, video=video, model=model, program=PROGRAM)


def write_stdout(kind: str, detection: Detection) -> None:
    """Write one result in one format to stdout; a reader who has seen enough may leave.

    Raises:
        OutputError: it cannot be written.
    """
    content = _content(kind, detection) or b""
    try:
        sys.stdout.flush()
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            stream.write(content)
    except BrokenPipeError:
        return
    except OSError as error:
        if error.errno != errno.EINVAL or sys.platform != "win32":  # which says this of a pipe whose reader has left
            raise OutputError(f"the result cannot be written to stdout: {error.strerror}") from error


def _content(kind: str, detection: Detection) -> bytes | None:
    """What a file of a result holds; None where there is to be no such file."""
    if kind == "png":
        return _plot(detection)
    if kind == THUMBNAILS:
        width, height = detection.timeline.video.width, detection.timeline.video.height
        aspect = width / height if width and height else None
        return write_thumbnails(detection.peaks, aspect) if detection.peaks else None
    text = io.StringIO()
    write: Callable[[Timeline, IO[str]], None] = write_json if kind == RECORD else write_csv
    write(detection.timeline, text)
    return text.getvalue().encode()


def _plot(detection: Detection) -> bytes:
    from dsanet_cli.timeline.plot import save_plot  # noqa: PLC0415  (matplotlib loads while the first video is analysed)

    image = io.BytesIO()
    save_plot(detection.timeline, image, detection.thumbnails)
    return image.getvalue()
