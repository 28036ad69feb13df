"""What lies in a folder of results, whose it is, and writing the files of one result."""

from __future__ import annotations

import errno
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Protocol

from dsanet_cli.detect.films import Film
from dsanet_cli.detect.record import Owner, read_abridged, read_owner
from dsanet_cli.errors import DsanetError, OutputError, VideoError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.result_names import folded
from dsanet_cli.names import printable
from dsanet_cli.timeline.formats import FORMATS, RECORD
from dsanet_cli.timeline.timeline import Timeline

_BEGINNING = 1024
"""Bytes."""


class TakenError(OutputError):
    """The place of a result holds something else; nothing was touched."""


class Claim(Protocol):
    """A result that wants a place."""

    @property
    def stem(self) -> PurePath:
        """Where it goes below the folder, without suffixes."""

    @property
    def refusal(self) -> str:
        """``a.mp4: not analysed``; how a message begins that says why it does not get its place."""

    def is_of(self, owner: Owner) -> bool:
        """Whether a record is of the same video."""


class ResultPlaces:
    """The files in a folder of results.

    Args:
        folder: Any.
        overwrite: Replace what belongs to other videos.
    """

    def __init__(self, folder: Folder, overwrite: bool) -> None:
        self.folder = folder
        self._overwrite = overwrite
        self._there: defaultdict[str, set[PurePath]] = defaultdict(set)
        """The files in the folder, by their names in a form that ignores case."""
        for name in folder.names():
            self._there[folded(name)].add(name)

    def is_there(self, name: PurePath) -> bool:
        """Whether there is a file of exactly this name."""
        return name in self._there.get(folded(name), ())

    def kinds(self, stem: PurePath) -> set[str]:
        """The formats of which there is a file."""
        return {kind for kind in FORMATS if self.is_there(file_name(stem, kind))}

    def check(self, claim: Claim) -> None:
        """Make sure that what lies where a result goes is of the same video, or may be replaced.

        Raises:
            TakenError: it is another's; names both.
        """
        if self._overwrite:
            return
        owned = self._is_owned(claim)
        for kind in FORMATS:
            name = file_name(claim.stem, kind)
            for twin in self._twins(name):
                raise self._taken(claim, twin, "has a name that some systems take for the same")
            if not owned and self.is_there(name) and not self._is_ours(kind, name):
                raise self._taken(claim, name, "is there and was not written by dsanet")

    def write(self, claim: Claim, contents: Mapping[str, Callable[[], bytes | None]]) -> None:
        """Write the files of a result, each whole or not at all, the record last.

        Args:
            claim: The result.
            contents: What makes the content of each format's file, or None where there is to be none.

        Raises:
            OutputError: a file cannot be written.
            TakenError: meanwhile another run has written the result of another video there.
        """
        made = {kind: contents[kind]() for kind in sorted(contents, key=RECORD.__eq__)}
        with self.folder.lock():
            self._notice_others(claim.stem)
            self.check(claim)
            for kind, content in made.items():
                name = file_name(claim.stem, kind)
                for twin in self._twins(name):
                    self.folder.remove(twin)
                if content is not None:
                    with self.folder.write(name, "wb") as stream:
                        stream.write(content)
                    self._there[folded(name)] = {name}
                elif self.is_there(name):  # of an earlier analysis
                    self.folder.remove(name)
                    del self._there[folded(name)]

    def make_films(self, claim: Claim, films: Iterable[Film], timeline: Timeline, video: Path) -> DsanetError | None:
        """Make what needs the video; what is wrong with that one.

        Raises:
            OutputError: a file cannot be written.
            TakenError: the place of the result holds something else.
        """
        found: DsanetError | None = None
        for film in films:
            self.check(claim)
            try:
                film.write(self.folder, claim.stem, timeline, video)
            except VideoError as error:
                found = found or error
        return found

    def remove_stale(self, claim: Claim, films: Iterable[Film], timeline: Timeline) -> None:
        """Take away what was made of the video with other events than those that are about to be written.

        Args:
            claim: The result; what lies in its place is of the same video, or may be replaced.
            films: That are not made anew.
            timeline: Of the result.

        Raises:
            OutputError: a file cannot be deleted.
        """
        there = [film for film in films if self.folder.exists(film.sign(claim.stem))]
        if not there:
            return
        try:
            stands = same_events(read_abridged(self.folder, file_name(claim.stem, RECORD)), timeline)
        except OutputError:  # there is none, so nobody knows of what they were made
            stands = False
        for film in () if stands else there:
            film.remove(self.folder, claim.stem)

    def _is_owned(self, claim: Claim) -> bool:
        """Whether there is a record, and it is of the claim's video."""
        record = file_name(claim.stem, RECORD)
        owner = read_owner(self.folder, record) if self.is_there(record) else None
        if owner is None:
            return False
        if not claim.is_of(owner):
            raise self._taken(claim, record, f"holds the result of another video, {printable(owner.path)}")
        return True

    def _is_ours(self, kind: str, name: PurePath) -> bool:
        beginning, _ = self.folder.read_ends(name, _BEGINNING)
        return not beginning or FORMATS[kind].mark in beginning

    def _taken(self, claim: Claim, name: PurePath, why: str) -> TakenError:
        way_out = "choose another --output, or replace it with --overwrite"
        return TakenError(f"{claim.refusal}, {self.folder}{name} {why}; {way_out}")

    def _notice_others(self, stem: PurePath) -> None:
        """Take into account what other runs wrote since this one began."""
        for name in (file_name(stem, kind) for kind in FORMATS):
            if self.folder.exists(name):
                self._there[folded(name)].add(name)

    def _twins(self, name: PurePath) -> set[PurePath]:
        """Files whose names differ from ``name`` in nothing but what some file systems ignore."""
        return self._there.get(folded(name), set()) - {name}


def same_events(one: Timeline, other: Timeline) -> bool:
    """Whether two timelines of a video show the same: events, and scores as far as the model tells."""
    events = [
        [(round(event.start, 3), round(event.end, 3), event.label, event.review) for event in timeline.events]
        for timeline in (one, other)
    ]
    facts = [
        (timeline.model.sha256, timeline.rule.threshold, timeline.sampling, timeline.video.mtime, timeline.review)
        for timeline in (one, other)
    ]
    return events[0] == events[1] and facts[0] == facts[1]


def file_name(stem: PurePath, kind: str) -> PurePath:
    """Where a file of a result goes, below the output folder."""
    return stem.with_name(f"{stem.name}.{kind}")


def newest(folder: Folder, names: Iterable[PurePath]) -> float:
    """When the last of some files was written, in seconds since the epoch.

    Raises:
        OutputError: one is not there.
    """
    return max(folder.modified(name) for name in names)


def check_writable(folder: Folder) -> None:
    """Find out before the work begins whether results can be written.

    Raises:
        OutputError: they cannot.
    """
    probe = PurePath(f".{secrets.token_hex(8)}.probe")
    with folder.write(probe, "wb"):
        pass
    folder.remove(probe)


def write_stdout(content: bytes) -> None:
    """Write one result to stdout; a reader who has seen enough may leave.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        sys.stdout.flush()
        with open(sys.stdout.fileno(), "wb", closefd=False) as stream:
            stream.write(content)
    except BrokenPipeError:
        return
    except OSError as error:
        if error.errno != errno.EINVAL or sys.platform != "win32":  # which says this of a pipe whose reader has left
            raise OutputError(f"the result cannot be written to stdout: {error.strerror}") from error
