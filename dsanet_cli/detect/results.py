"""Result files: where they go, whose they are, whether they are there already, and writing them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from dsanet_cli.detect.films import Film, has_film
from dsanet_cli.detect.places import ResultPlaces, file_name, newest
from dsanet_cli.detect.record import Owner, location, read_abridged
from dsanet_cli.errors import DsanetError, FeatureError, OutputError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.paths import Pictures, tag_of
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.timeline.formats import FORMATS, RECORD
from dsanet_cli.timeline.recorded import ClockSettings, dated, still_dated
from dsanet_cli.timeline.thumbnails import THUMBNAILS
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.version import __version__
from dsanet_cli.video.header import DEFAULT_RATE

if TYPE_CHECKING:
    from dsanet_cli.detect.analysis import Detection
    from dsanet_cli.detect.detector import Detector
    from dsanet_cli.detect.kept_features import KeptFeatures

PROGRAM = f"dsanet {__version__}"


@dataclass(frozen=True)
class _Claim:
    """The claim of a video that was analysed, or will be; ``status`` is of its file, if it can be reached."""

    source: Source
    status: os.stat_result | None

    @property
    def stem(self) -> PurePath:
        return self.source.relative

    @property
    def refusal(self) -> str:
        return f"{self.source.path}: not analysed"

    def is_of(self, owner: Owner) -> bool:
        path = self.source.path
        return owner.is_at(path) or bool(self.status and owner.is_moved_to(path, self.status))


class ResultFolder:
    """The results of a run below one folder: a record for each video, and what else ``formats`` says.

    Args:
        folder: Where they go.
        formats: To be written; others of the same video that are there already are written anew, too.
        detector: What they are made with.
        encoder_sha256: Of the encoder weights that were given beside the model.
        overwrite: Replace what belongs to other videos.
        thumbnails: Keep pictures of the highest scores beside each record.
        films: Formats that open the video again.
        other_films: Those that are not asked for; what is there of them goes where events are others now.
        features: Where features are kept.
    """

    def __init__(
        self,
        folder: Folder,
        formats: tuple[str, ...],
        detector: Detector,
        encoder_sha256: str | None,
        overwrite: bool,
        thumbnails: bool = False,
        films: Sequence[Film] = (),
        other_films: Sequence[Film] = (),
        features: KeptFeatures | None = None,
    ) -> None:
        self._films = films
        self._other_films = other_films
        self._features = features
        self._places = ResultPlaces(folder, overwrite)
        self._formats = {RECORD, *formats}
        self._thumbnails = thumbnails
        self._detector = detector
        self._encoder_sha256 = encoder_sha256
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
            self._places.check(_Claim(source, status))
            return self._finished(source, status) if skip_done else None
        except (OutputError, FeatureError) as error:
            return error

    def _finished(self, source: Source, status: os.stat_result) -> Timeline | None:
        films = self._films_of(source)
        names = [result_name(source, kind) for kind in self._kinds(source)]
        names += [film.sign(source.relative) for film in films]
        if self._features is not None and not is_feature_file(source.path):
            names.append(self._features.name(source.relative))
        if not all(map(self._places.is_there, names)):
            return None
        folder, record = self._places.folder, result_name(source)
        try:
            # The others are older, unless a run with other settings was stopped before it wrote the record.
            in_order = newest(folder, names) <= folder.modified(record)
            timeline = read_abridged(folder, record)
        except OutputError:
            return None
        owner = Owner.of(dataclasses.asdict(timeline.video))
        stands = owner is not None and owner.is_unchanged(source.path, status) and in_order
        if not stands or not all(film.is_whole(folder, source.relative, timeline) for film in films):
            return None
        if not self._is_made_alike(timeline, source):
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
            and timeline.sampling == detector.sampling(source)
            and timeline.rule == detector.rule_of(source)
            and still_dated(timeline.video, detector.settings.clock)
            and (not isinstance(source.path, Pictures) or timeline.video.fps == source.path.fps)
        )

    def _kinds(self, source: Source) -> set[str]:
        """The formats of its files."""
        with_thumbnails = self._thumbnails and not is_feature_file(source.path)
        return {*self._formats, THUMBNAILS} if with_thumbnails else self._formats

    def _encoder_of(self, source: Source) -> str | None:
        return None if is_feature_file(source.path) else self._encoder_sha256

    def write(self, source: Source, detection: Detection) -> Timeline:
        """Write all formats, each whole or not at all; the timeline as it is on record.

        Raises:
            OutputError: a file cannot be written.
            VideoError: all is written but what is made of the video itself.
            TakenError: meanwhile another run has written the result of another video there.
        """
        status = self._statuses.get(source) or source.path.stat()
        timeline = on_record(
            source, detection.timeline, status, self._encoder_of(source), self._detector.settings.clock
        )
        kinds = self._kinds(source) | self._places.kinds(source.relative)
        contents = {kind: partial(FORMATS[kind].content, timeline, detection.peaks) for kind in kinds}
        claim = _Claim(source, status)
        if self._features is not None and detection.features is not None:
            self._places.check(claim)
            self._features.write(source, timeline.video, detection.features)
        error = self._places.make_films(claim, self._films_of(source), timeline, source.path)
        self._places.check(claim)
        self._places.remove_stale(claim, self._other_films, timeline)
        self._places.write(claim, contents)
        if error is not None:
            raise error
        return timeline

    def _films_of(self, source: Source) -> Sequence[Film]:
        """Those that can be made of it."""
        return () if not has_film(source.path) else self._films


def _has_rate(timeline: Timeline, source: Source, detector: Detector) -> bool:
    """Whether a timeline has the frame rate that was asked for, where the source leaves that open."""
    if is_feature_file(source.path):
        return timeline.video.fps == detector.feature_rate(source.path)
    if isinstance(source.path, Pictures):
        return timeline.video.fps == source.path.fps
    return timeline.video.fps_from is None or timeline.video.fps == (detector.settings.reading.fps or DEFAULT_RATE)


def result_name(source: Source, kind: str = RECORD) -> PurePath:
    """Where the result of a source goes, below the output folder."""
    return file_name(source.relative, kind)


def on_record(
    source: Source, timeline: Timeline, status: os.stat_result, encoder_sha256: str | None, clock: ClockSettings
) -> Timeline:
    """A timeline with what its record says of how it came about, by which later runs know whether it stands.

    Args:
        source: What was analysed.
        timeline: What was found.
        status: Of the file before.
        encoder_sha256: Of the encoder weights that were given beside the model.
        clock: What is said of when it was recorded.
    """
    video = dated(timeline.video, clock)
    video = dataclasses.replace(video, mtime=status.st_mtime, etag=tag_of(source.path), real_path=location(source.path))
    model = dataclasses.replace(timeline.model, encoder_sha256=encoder_sha256)
    return dataclasses.replace(timeline, video=video, model=model, program=PROGRAM)
