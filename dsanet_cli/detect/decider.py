"""One result whose events are decided anew: read, decided, written."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import EventRule
from dsanet_cli.console import unexpected
from dsanet_cli.detect.films import Film, has_film
from dsanet_cli.detect.places import ResultPlaces, TakenError, file_name
from dsanet_cli.detect.profile import Profile
from dsanet_cli.detect.record import ENDS, Owner
from dsanet_cli.detect.review_files import find_review, take_along
from dsanet_cli.errors import DsanetError, SourceError
from dsanet_cli.files.folders import LocalFolder, open_folder
from dsanet_cli.files.paths import Url
from dsanet_cli.files.regular import open_regular, read_regular
from dsanet_cli.files.sources import Source
from dsanet_cli.files.typed import scheme_of
from dsanet_cli.names import printable
from dsanet_cli.timeline.files import read_timeline
from dsanet_cli.timeline.formats import FORMATS, HANDED_ON, RECORD
from dsanet_cli.timeline.recorded import FROM_THE_FILE, ClockSettings, dated_anew
from dsanet_cli.timeline.review import handed_on, with_review
from dsanet_cli.timeline.thumbnails import LARGEST_THUMBNAILS, THUMBNAILS, decode_thumbnail, read_thumbnails
from dsanet_cli.timeline.timeline import Timeline, decide_anew

if TYPE_CHECKING:
    from dsanet_cli.detect.rescoring import Rescorer

_SNIPPETS = b'"snippets"'


@dataclass(frozen=True)
class DeciderSettings:
    """How events are decided, and what is written of them."""

    output: str | None = None
    """Folder, a path or a URL; None writes nothing."""
    formats: tuple[str, ...] = (RECORD, "csv")
    threshold: float | None = None
    """As the three after it: of the rule; None leaves what the result has, or the profile says."""
    release: float | None = None
    merge_gap: float | None = None
    min_length: float | None = None
    profile: Profile | None = None
    clock: ClockSettings = FROM_THE_FILE
    """When videos were recorded; where it says nothing, that stays, too."""
    rescore: bool = False
    """Score features that were kept again, with ``model``, ``classes`` and ``encoder_weights``."""
    model: str | None = None
    classes: Path | None = None
    encoder_weights: Path | None = None
    films: tuple[Film, ...] = ()
    """Formats that open the video."""
    other_films: tuple[Film, ...] = ()
    """Such formats that are not asked for: what is there of them goes where events are others now."""
    review: bool = False
    """Say in the results what a person said of them."""
    overwrite: bool = False
    """Whether results of other videos, and the results that are read themselves, may be replaced."""

    @property
    def is_heavy(self) -> bool:
        """Whether one process does it all."""
        return self.rescore or bool(self.films)

    def rule(self, timeline: Timeline, place: PurePath, trained_sha256: str | None = None) -> EventRule:
        """The rule for a result that lies at ``place`` below the folder of results.

        ``trained_sha256`` is that of the model with its own classes, where it has others now.

        Raises:
            SourceError: the profile is of another model, or the numbers contradict each other.
        """
        said = {name: getattr(self, name) for name in ("threshold", "release", "merge_gap", "min_length")}
        chosen = {name: value for name, value in said.items() if value is not None}
        rule = timeline.rule
        if self.profile is not None:
            if self.profile.model_sha256 not in (None, timeline.model.sha256, trained_sha256):
                raise SourceError(f"made with another model ({timeline.model.name}) than the --profile was")
            path = timeline.video.files[0].path if timeline.video.files else timeline.video.path
            video = Source(Path(path.replace("\\", "/")), Path(place))
            rule = self.profile.overridden(**chosen).rule(video, rule)
        rule = dataclasses.replace(rule, **chosen)
        if self.release is not None and self.release > rule.threshold:
            raise SourceError(
                f"--release {self.release:g} is above its threshold {rule.threshold:.3g}; give --threshold, too"
            )
        return rule


@dataclass(frozen=True)
class _Claim:
    """The claim of a result that was decided anew."""

    path: Path
    stem: PurePath
    owner: Owner | None

    @property
    def refusal(self) -> str:
        return f"{self.path}: not written"

    def is_of(self, owner: Owner) -> bool:
        if self.owner is None:
            return False
        moved = self.owner.mtime is not None and (
            (self.owner.size, self.owner.mtime, PurePath(self.owner.path).name)
            == (owner.size, owner.mtime, PurePath(owner.path).name)
        )
        return moved or os.path.normcase(self.owner.real_path) == os.path.normcase(owner.real_path)


class Decider:
    """Decides the events of results one after the other.

    Raises:
        OutputError: the output folder cannot be listed.
        ModelError: the model does not load.
    """

    def __init__(self, settings: DeciderSettings) -> None:
        self._settings = settings
        self._rescorer: Rescorer | None = None
        if settings.rescore:
            from dsanet_cli.detect.rescoring import Rescorer  # noqa: PLC0415  (torch, which all else does without)

            self._rescorer = Rescorer(settings.model, settings.classes, settings.encoder_weights)
        self._places = (
            None if settings.output is None else ResultPlaces(open_folder(settings.output), settings.overwrite)
        )

    def decide(self, source: Source, is_named: bool) -> Timeline | DsanetError | None:
        """Decide the events of a result, and write it.

        Args:
            source: The result.
            is_named: Whether it was named itself, and not found in a folder among other files.

        Returns:
            Its timeline, or what went wrong with it; None for a file in a folder that is no result.
        """
        try:
            if not is_named and not _looks_like_result(source.path):
                return None
            return self._decide(source)
        except DsanetError as error:
            return error
        except Exception as error:  # one result must never end the others
            return unexpected(source.path, error)

    def _decide(self, source: Source) -> Timeline:
        timeline = read_timeline(source.path)
        if timeline.video.files and (single := sorted({"edl", "otio"}.intersection(self._settings.formats))):
            raise SourceError(f"{source.path}: was made from several files of a camera, which {single[0]} cannot name")
        trained = None
        if self._rescorer is not None:
            timeline, trained = self._rescorer.score(source.path, timeline), self._rescorer.trained_sha256
        try:
            rule = self._settings.rule(timeline, source.relative, trained)
        except SourceError as error:
            raise SourceError(f"{source.path}: {error}") from error
        if self._settings.clock != FROM_THE_FILE:
            timeline = dataclasses.replace(timeline, video=dated_anew(timeline.video, self._settings.clock))
        # Times and scores are rounded in results, and so would be what is found in them anew.
        decided = timeline if rule == timeline.rule else decide_anew(timeline, rule)
        review = find_review(source.path, timeline) if self._settings.review else None
        if review is not None:
            decided = with_review(decided, review)
        if self._places is not None:
            self._write(self._places, source, decided)
            if review is not None and not self._settings.rescore:  # another model's events may be elsewhere
                take_along(review, self._places.folder, source.relative, decided.to_json().encode())
        return decided

    def _write(self, places: ResultPlaces, source: Source, timeline: Timeline) -> None:
        in_place = self._is_in_place(places, source)
        if in_place and not self._settings.overwrite:
            raise TakenError(
                f"{source.path}: not written, it would replace itself; choose another --output, or decide it in place "
                "with --overwrite"
            )
        claim = _Claim(source.path, source.relative, Owner.of(dataclasses.asdict(timeline.video)))
        places.check(claim)
        kinds = {RECORD, *self._settings.formats, *places.kinds(source.relative)} - {THUMBNAILS}
        pictures = KeptPictures(source.path)
        contents: dict[str, Callable[[], bytes | None]] = {
            kind: partial(content, kind, timeline, pictures) for kind in kinds
        }
        if pictures.packed is not None and not in_place:
            packed = pictures.packed
            contents[THUMBNAILS] = lambda: packed
        error = None
        if self._settings.films:
            error = places.make_films(claim, self._settings.films, handed_on(timeline), _video(source, timeline))
        places.remove_stale(claim, self._settings.other_films, timeline)
        places.write(claim, contents)
        if error is not None:
            raise error

    def _is_in_place(self, places: ResultPlaces, source: Source) -> bool:
        if not isinstance(places.folder, LocalFolder):
            return False
        try:
            return os.path.samefile(places.folder.path / file_name(source.relative, RECORD), source.path)
        except OSError:  # there is none
            return False


def _video(source: Source, timeline: Timeline) -> Path:
    """Where the video of a result is now.

    Raises:
        SourceError: it is not there, or another one is.
    """
    facts = timeline.video
    if facts.files:
        raise SourceError(f"{source.path}: was made from several files of a camera, so nothing can be cut out of it")
    for text in dict.fromkeys((facts.real_path or facts.path, facts.path)):
        path = Url.of(text) if scheme_of(text) else Path(text)
        with contextlib.suppress(OSError, ValueError):
            status = path.stat()
            if not has_film(path) or facts.frames == 0:
                break
            owner = Owner.of(dataclasses.asdict(facts))
            if owner is not None and (owner.is_unchanged(path, status) or owner.mtime is None):
                return path
            raise SourceError(f"{source.path}: its video {printable(text)} is another one than was analysed")
    raise SourceError(f"{source.path}: its video {printable(facts.path)} is not there, so nothing can be cut out of it")


class KeptPictures:
    """The pictures of the peaks that lie beside a result, read when they are needed."""

    def __init__(self, result: Path) -> None:
        self._path = result.with_name(f"{result.stem}.{THUMBNAILS}")

    @cached_property
    def packed(self) -> bytes | None:
        """The file as it is; None where there is none."""
        try:
            return read_regular(self._path, LARGEST_THUMBNAILS)
        except OSError:
            return None

    def peaks(self) -> dict[float, NDArray[np.uint8]]:
        """The pictures by the middle of their snippets in seconds."""
        jpegs = {} if self.packed is None else read_thumbnails(self.packed)
        decoded = {time: decode_thumbnail(jpeg) for time, jpeg in jpegs.items()}
        return {time: picture for time, picture in decoded.items() if picture is not None}


def content(kind: str, timeline: Timeline, pictures: KeptPictures) -> bytes | None:
    """What a file of a result holds; pictures are read only where they are drawn."""
    shown = handed_on(timeline) if kind in HANDED_ON else timeline
    return FORMATS[kind].content(shown, pictures.peaks() if FORMATS[kind].has_pictures else {})


def _looks_like_result(path: Path) -> bool:
    try:
        with open_regular(path) as stream:
            return _SNIPPETS in stream.read(ENDS) or path.stat().st_size > ENDS
    except OSError:
        return True  # which reading it finds out, too
