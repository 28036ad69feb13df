"""A camera's day: its files as one source, for all that need no decoder."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dsanet_cli.detect.record import location
from dsanet_cli.files.paths import CalledPath, made_status
from dsanet_cli.files.sources import Source


@dataclass(frozen=True)
class Recording:
    """A file of a camera."""

    source: Source
    start: float | None
    """Seconds since the epoch, where that is known."""
    length: float = 0.0
    """Seconds by its header, 0 where that does not say."""
    created: str | None = None
    """When it was recorded, as its metadata has it."""


class Day(CalledPath):
    """The files that a camera began on one day, in order of time, as one source; it is called ``CAMERA/DATE``."""

    camera: str = ""
    recordings: tuple[Recording, ...] = ()

    @classmethod
    def of(cls, name: str, camera: str, recordings: Iterable[Recording]) -> Day:
        """Recordings that are called ``name`` together."""
        day = cls(name)
        day.text, day.camera, day.recordings = name, camera, tuple(recordings)
        return day

    def __reduce__(self) -> tuple[Any, ...]:
        return Day.of, (str(self), self.camera, self.recordings)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Their size together, and the age of the newest; ``tag`` is of the places, sizes and ages of all.

        Raises:
            OSError: none of them is there.
        """
        sizes, ages, marks = [0], [], hashlib.sha256()
        for recording in self.recordings:
            path = recording.source.path
            try:
                status = path.stat(follow_symlinks=follow_symlinks)
            except OSError:
                continue
            sizes.append(status.st_size)
            ages.append(status.st_mtime_ns)
            marks.update(os.fsencode(f"{location(path)}\0{status.st_size}\0{status.st_mtime_ns}\0"))
        if not ages:
            raise FileNotFoundError(errno.ENOENT, "none of its files is there")
        self.tag = marks.hexdigest()
        return made_status(sum(sizes), max(ages))


def first_file(source: Source) -> Source:
    """The first file of a day; any other source itself."""
    return source.path.recordings[0].source if isinstance(source.path, Day) else source


def files_of(source: Source) -> tuple[Source, ...]:
    """The files of a day; of any other source that alone."""
    return tuple(one.source for one in source.path.recordings) if isinstance(source.path, Day) else (source,)
