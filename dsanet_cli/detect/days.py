"""Files of cameras, joined to days: which camera a file is of, and when it began."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dsanet_cli.detect.day import Day, Recording
from dsanet_cli.errors import UsageError, VideoError
from dsanet_cli.files.paths import Pictures, Url
from dsanet_cli.files.sources import Source, SourceProblem, is_feature_file
from dsanet_cli.names import natural_key, printable
from dsanet_cli.pipeline.headers import headers
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.timeline.facts import Recorded, VideoFacts
from dsanet_cli.timeline.recorded import ClockSettings, find_start
from dsanet_cli.video.options import ReadOptions

BY_FOLDER = "folder"
LONGEST_PATTERN = 200
LONGEST_CAMERA = 100
"""Characters."""
UNDATED = "undated"
"""How the result ends of files of which nobody says when they began."""


@dataclass(frozen=True)
class CameraRule:
    """How files tell their camera: by their folder, or by a part of their name."""

    pattern: re.Pattern[str] | None = None
    """Its first group names the camera, or all that it matches; None is the folder."""

    @classmethod
    def parse(cls, text: str) -> CameraRule:
        """What ``--by-camera`` says.

        Raises:
            UsageError: it is no pattern.
        """
        if text == BY_FOLDER:
            return cls()
        if not text or len(text) > LONGEST_PATTERN:
            raise UsageError(f"--by-camera: takes {BY_FOLDER}, or a pattern of at most {LONGEST_PATTERN} characters")
        try:
            return cls(re.compile(text))
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"--by-camera {printable(text)}: not a regular expression ({error}); "
                f"use {BY_FOLDER}, or one such as 'cam([0-9]+)_'"
            ) from error

    def camera_of(self, source: Source) -> str | None:
        """What tells the camera of a file from others: its folder, or a part of its name; None where that has none."""
        if self.pattern is None:
            return os.path.dirname(os.path.abspath(source.path))
        found = self.pattern.search(source.path.name)
        return (found[1 if self.pattern.groups else 0] or None) if found else None


def by_camera(
    sources: Sequence[Source], rule: CameraRule
) -> tuple[list[tuple[str, list[Source]]], tuple[SourceProblem, ...]]:
    """The files of each camera, in natural order of both, and those that are of none.

    Raises:
        UsageError: there is something else than files of videos among them.
    """
    cameras, problems = defaultdict[str, list[Source]](list), []
    for source in sources:
        if is_feature_file(source.path) or isinstance(source.path, Pictures | Url):
            raise UsageError(
                f"{printable(source.path)}: --by-camera joins video files of this machine; analyse it without"
            )
        camera = rule.camera_of(source)
        if camera is None:
            problems.append(SourceProblem(str(source.path), "has no camera in its name, as --by-camera says it"))
        else:
            cameras[camera].append(source)
    for files in cameras.values():
        files.sort(key=lambda source: natural_key(str(source.path)))
    return sorted(cameras.items(), key=lambda item: natural_key(item[0])), tuple(problems)


def join_days(
    cameras: Sequence[tuple[str, list[Source]]],
    rule: CameraRule,
    clock: ClockSettings,
    settings: PipelineSettings,
    options: ReadOptions,
) -> tuple[Source, ...]:
    """A source for each camera and each day on which files of it began, in the zone of ``clock``.

    A file that does not say when it began goes after the one before it in natural order of names. The arguments but
    the first are as elsewhere.
    """
    files = [source for _, found in cameras for source in found]
    read = dict(headers(files, settings, options)) if files else {}
    days = []
    for key, found in cameras:
        name, below = _name_of(key, found, rule, alone=len(cameras) == 1)
        for date, recordings in _by_date(found, read, clock).items():
            path = os.path.join(_place(key, found[0], rule), date)
            days.append(Source(Day.of(path, name, recordings), below / date))
    return tuple(days)


def _by_date(files: Sequence[Source], read: dict[Source, Any], clock: ClockSettings) -> dict[str, list[Recording]]:
    """Recordings by the day on which they began, in order of time."""
    found = []
    for source in files:
        header = read.get(source)
        created = None if header is None or isinstance(header, VideoError) else header.created
        length = 0.0 if header is None or isinstance(header, VideoError) else header.duration
        recorded = find_start(VideoFacts(str(source.path), 0, 0.0, created=created), clock)
        start = None if recorded is None else recorded.start.timestamp()
        found.append((recorded, Recording(source, start, length, created)))
    last = next((recorded for recorded, _ in found if recorded is not None), None)
    ordered: list[tuple[float, str, Recording]] = []
    for recorded, recording in found:
        last = recorded or last
        ordered.append((last.start.timestamp() if last else 0.0, _date(last), recording))
    dates = defaultdict[str, list[Recording]](list)
    for _, date, recording in sorted(ordered, key=lambda entry: entry[0]):  # which keeps the order of equal ones
        dates[date].append(recording)
    return dates


def _date(recorded: Recorded | None) -> str:
    return UNDATED if recorded is None else f"{recorded.start:%Y-%m-%d}"


def _name_of(key: str, files: Sequence[Source], rule: CameraRule, alone: bool) -> tuple[str, Path]:
    """What a camera is called, and the folder of its results."""
    if rule.pattern is None:
        name, below = os.path.basename(key) or "camera", files[0].relative.parent
        below = Path(_plain(name)) if alone and below == Path() else below
    else:
        name, below = key, Path(_plain(key))
    return printable(name)[:LONGEST_CAMERA], below


def _plain(camera: str) -> str:
    """A camera as the name of a folder; where that says less, with a digest that tells it from others."""
    plain = re.sub(r"[^\w.-]+", "_", camera)[:LONGEST_CAMERA].strip(".") or "_"
    return plain if plain == camera else f"{plain}~{hashlib.sha256(os.fsencode(camera)).hexdigest()[:8]}"


def _place(key: str, first: Source, rule: CameraRule) -> str:
    """The folder that a camera's files lie in, or would: that in which their names begin, and the camera's name."""
    if rule.pattern is None:
        return os.path.dirname(str(first.path)) or key
    parts = len(first.relative.parts)
    return os.path.join(os.path.abspath(first.path).rsplit(os.sep, parts)[0] or os.sep, _plain(key))
