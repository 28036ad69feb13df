"""Result files: where they go, whether they are there already, and writing them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dsanet_cli.detect import Detection, Detector
from dsanet_cli.errors import OutputError
from dsanet_cli.files import atomic_write
from dsanet_cli.report import read_timeline, write_csv, write_json
from dsanet_cli.sources import Source
from dsanet_cli.timeline import Timeline

FORMATS = ("json", "csv", "png")
TRUSTED_FORMAT = "json"
"""The file that says by what it was made. It is written last, so that where it fits, the others do too."""


@dataclass(frozen=True)
class ResultFolder:
    """The files of a run below one folder, a set of ``formats`` for each video."""

    folder: Path
    formats: tuple[str, ...]

    def path(self, source: Source, kind: str) -> Path:
        """Where the result of ``source`` in one format goes."""
        return self.folder / source.relative.with_name(f"{source.relative.name}.{kind}")

    def check_writable(self) -> None:
        """Find out before the work begins whether results can be written.

        Raises:
            OutputError: they cannot.
        """
        probe = self.folder / f".{os.getpid()}.probe"
        with atomic_write(probe):
            pass
        probe.unlink()

    def finished(self, source: Source, detector: Detector) -> Timeline | None:
        """The result of an earlier run, if it is whole, not older than its video, and made the same way."""
        paths = {kind: self.path(source, kind) for kind in {*self.formats, TRUSTED_FORMAT}}
        try:
            made = min(path.stat().st_mtime for path in paths.values())
            if made < source.path.stat().st_mtime:
                return None
            timeline = read_timeline(paths[TRUSTED_FORMAT])
        except (OSError, OutputError):
            return None
        same = (
            timeline.video.path == str(source.path)
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
            path = self.path(source, kind)
            if kind == "png":
                with atomic_write(path, "wb") as image:
                    _write_plot(detection, image)
            else:
                with atomic_write(path) as stream:
                    _write_text(kind, detection.timeline, stream)


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
    from dsanet_cli.plot import save_plot  # noqa: PLC0415  (matplotlib loads while the first video is analysed)

    save_plot(detection.timeline, stream, detection.thumbnails)
