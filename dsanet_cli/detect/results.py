"""Result files: where they go, whether they are there already, and writing them."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO

from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.detector import Detector
from dsanet_cli.errors import OutputError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.timeline.files import parse_timeline, write_csv, write_json
from dsanet_cli.timeline.timeline import Timeline

FORMATS = ("json", "csv", "png")
TRUSTED_FORMAT = "json"
"""The file that says by what it was made. It is written last, so that where it fits, the others do too."""


@dataclass(frozen=True)
class ResultFolder:
    """The files of a run below one folder, a set of ``formats`` for each video."""

    folder: Folder
    formats: tuple[str, ...]

    def check_writable(self) -> None:
        """Find out before the work begins whether results can be written.

        Raises:
            OutputError: they cannot.
        """
        probe = PurePath(f".{secrets.token_hex(8)}.probe")
        with self.folder.write(probe, "wb"):
            pass
        self.folder.remove(probe)

    def finished(self, source: Source, detector: Detector) -> Timeline | None:
        """The result of an earlier run, if it is whole, not older than its video, and made the same way."""
        names = {kind: result_name(source, kind) for kind in {*self.formats, TRUSTED_FORMAT}}
        try:
            made = {kind: self.folder.modified(name) for kind, name in names.items()}
            status = source.path.stat()
            # The others are older, unless a run with other settings was stopped before it wrote this one.
            if max(made.values()) > made[TRUSTED_FORMAT] or min(made.values()) < status.st_mtime:
                return None
            name = names[TRUSTED_FORMAT]
            timeline = parse_timeline(self.folder.read(name), str(name))
        except (OSError, OutputError):
            return None
        same = (
            timeline.video.path == str(source.path)
            and timeline.video.bytes == status.st_size
            and (timeline.video.fps == detector.settings.feature_fps or not is_feature_file(source.path))
            and timeline.model.sha256 == detector.model.sha256
            and timeline.sampling == detector.sampling(source.path)
            and timeline.rule == detector.rule
        )
        return timeline if same else None

    def write(self, source: Source, detection: Detection) -> None:
        """Write all formats, each whole or not at all.

        Raises:
            OutputError: a file cannot be written.
        """
        for kind in sorted(self.formats, key=TRUSTED_FORMAT.__eq__):
            name = result_name(source, kind)
            if kind == "png":
                with self.folder.write(name, "wb") as image:
                    _write_plot(detection, image)
            else:
                with self.folder.write(name, "w") as stream:
                    _write_text(kind, detection.timeline, stream)


def result_name(source: Source, kind: str) -> PurePath:
    """The place below the output folder of a source's result in a format."""
    return source.relative.with_name(f"{source.relative.name}.{kind}")


def write_stdout(kind: str, detection: Detection) -> None:
    """Write one result in one format to stdout."""
    if kind == "png":
        _write_plot(detection, sys.stdout.buffer)
    else:
        _write_text(kind, detection.timeline, sys.stdout)


def _write_text(kind: str, timeline: Timeline, stream: IO[str]) -> None:
    if kind == "json":
        write_json(timeline, stream)
    else:
        write_csv(timeline, stream)


def _write_plot(detection: Detection, stream: IO[bytes]) -> None:
    from dsanet_cli.timeline.plot import save_plot  # noqa: PLC0415  (matplotlib loads while the first video is analysed)

    save_plot(detection.timeline, stream, detection.thumbnails)
