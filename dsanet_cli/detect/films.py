"""What is made of a result together with its video, by whoever can: clips of the events, the video with its scores."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Protocol

from dsanet_cli.detect.day import Day
from dsanet_cli.errors import DsanetError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.paths import Pictures
from dsanet_cli.files.sources import is_feature_file
from dsanet_cli.timeline.timeline import Timeline


def has_film(path: Path) -> bool:
    """Whether a source is a file of moving pictures, out of which something can be cut."""
    return not is_feature_file(path) and not isinstance(path, Pictures | Day)


class StoppedError(DsanetError):
    """The run ends, and with it what was being made; nothing is wrong with the video."""


class Film(Protocol):
    """A format that opens the video. It is given to the runs of ``detect`` and ``events``, which know no more of it."""

    @property
    def kind(self) -> str:
        """As ``--format`` calls it."""

    def sign(self, stem: PurePath) -> PurePath:
        """The file in the folder of results that is written last, when all others are whole.

        Args:
            stem: Where the result is, without suffixes.
        """

    def is_whole(self, folder: Folder, stem: PurePath, timeline: Timeline) -> bool:
        """Whether what lies there is all of it, and made with the settings of today; ``sign`` is there."""

    def write(self, folder: Folder, stem: PurePath, timeline: Timeline, video: Path) -> None:
        """Make it, every file whole or not at all; from any thread.

        Raises:
            VideoError: the video cannot be read, or not be made into this; it is noted, if that will stay so.
            OutputError: a file cannot be written.
            StoppedError: see ``stop``.
        """

    def remove(self, folder: Folder, stem: PurePath) -> None:
        """Take away what was made of the result before, if there is anything.

        Raises:
            OutputError: a file cannot be deleted.
        """

    def stop(self) -> None:
        """Give up what is being made in this process, and all that is to be made after it."""
