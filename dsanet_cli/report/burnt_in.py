"""The video with its scores, ``NAME.scores.mp4``, as a format of results; see ``dsanet_cli.detect.films``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from dsanet_cli.files.folders import Folder
from dsanet_cli.files.result_names import SCORES_FILM
from dsanet_cli.report.clips import read_options
from dsanet_cli.report.film_process import run_apart, stop
from dsanet_cli.timeline.timeline import Timeline


@dataclass(frozen=True)
class BurntInFilm:
    """See ``dsanet_cli.report.burning``."""

    kind: str = "mp4"

    def sign(self, stem: PurePath) -> PurePath:
        """The film itself. It can never be the video: what that is called is not known here."""
        return stem.with_name(f"{stem.name}{SCORES_FILM}")

    def is_whole(self, folder: Folder, stem: PurePath, timeline: Timeline) -> bool:  # noqa: ARG002  (as all films)
        """Always: it appears whole or not at all, and is older than the record it goes with."""
        return True

    def write(self, folder: Folder, stem: PurePath, timeline: Timeline, video: Path) -> None:
        """Encode it.

        Raises:
            VideoError: the video cannot be decoded.
            OutputError: the file cannot be written.
        """
        from dsanet_cli.report.burning import burn  # noqa: PLC0415  (PyAV, which those who only read do without)

        sign = self.sign(stem)
        run_apart(video, sign, folder, burn, video, read_options(timeline), str(folder), sign, timeline)

    def remove(self, folder: Folder, stem: PurePath) -> None:
        """Take it away.

        Raises:
            OutputError: it cannot be deleted.
        """
        if folder.exists(self.sign(stem)):
            folder.remove(self.sign(stem))

    def stop(self) -> None:
        """Give up what is being made."""
        stop()
