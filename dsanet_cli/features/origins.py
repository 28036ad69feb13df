"""Which videos the feature files of a folder were made from: kept in its sidecar, so that a later run knows them."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from dsanet_cli.features.sidecar import MadeFrom, read_extraction, sidecar_lock, write_extraction
from dsanet_cli.files.paths import tag_of
from dsanet_cli.files.sources import Source
from dsanet_cli.version import __version__

WRITING_SHARE = 0.05
"""Largest share of a run's time that goes into writing the sidecar, which grows with the number of videos."""


def origin(source: Source) -> MadeFrom | None:
    """Size and modification time of a video before it is decoded; None where it cannot be read."""
    try:
        status = source.path.stat()
    except OSError:
        return None
    path = os.path.abspath(source.path)
    tag = tag_of(source.path)
    name = source.relative.as_posix()
    return MadeFrom(name, path, status.st_size, status.st_mtime_ns, 0, (), __version__, etag=tag)


class Origins:
    """The notes in the sidecar of ``folder``, which is there.

    Several runs can share the folder. Each adds its own notes to those that are there, again and again, since one
    that writes at the same moment may leave them out where nothing can be locked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = self._written()
        self._own: dict[str, MadeFrom] = {}
        self._saved = True
        self._due = 0.0

    def of(self, name: Path) -> MadeFrom | None:
        """What the features called ``name`` were made from."""
        return self._known.get(name.as_posix())

    def add(self, made: MadeFrom) -> None:
        """Note what features were made from.

        Raises:
            OutputError: the sidecar cannot be written.
        """
        known = self._known.get(made.name)
        if known is not None and known.is_of(made):
            made = dataclasses.replace(made, crops=tuple(sorted({*known.crops, *made.crops})))
        self._known[made.name] = self._own[made.name] = made
        self._saved = False
        if time.monotonic() >= self._due:
            self.save()

    def save(self) -> None:
        """Write the notes that are not written yet.

        Raises:
            OutputError: the sidecar cannot be written.
        """
        if self._saved:
            return
        started = time.monotonic()
        with sidecar_lock(self._folder):
            notes = self._written() | self._own
            extraction = read_extraction(self._folder)
            assert extraction is not None
            write_extraction(self._folder, dataclasses.replace(extraction, videos=tuple(notes.values())))
        self._saved = True
        ended = time.monotonic()
        self._due = ended + (ended - started) / WRITING_SHARE

    def _written(self) -> dict[str, MadeFrom]:
        extraction = read_extraction(self._folder)
        return {} if extraction is None else {made.name: made for made in extraction.videos}
