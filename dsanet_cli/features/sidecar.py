"""The note beside extracted features that says how they were made, so that training and detection do the same."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from dsanet_cli.config import FRAMES_PER_SNIPPET, EncoderConfig, Frames, GreyLevels, Preprocessing, SnippetSeconds
from dsanet_cli.errors import FeatureError, ModelError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.records import (
    FRACTION,
    Count,
    Name,
    PathText,
    Region,
    SchemaError,
    Sha256,
    Share,
    decode_exactly,
    to_json,
)

if sys.platform != "win32":
    import fcntl

SIDECAR_FILE = "extraction.json"
LARGEST_SIDECAR = 2**30
"""Bytes; it has a line for each video."""


Crops = Annotated[tuple[Annotated[int, Meta(ge=0, le=9)], ...], Meta(max_length=10)]


@dataclass(frozen=True)
class MadeFrom:
    """Which video the feature files of a name were made from, and by what."""

    name: PathText
    """Of the files below the folder, without crop and suffix; with ``/`` on all systems."""
    path: PathText
    """Of the video; absolute."""
    bytes: Count
    modified: int
    """Nanoseconds since 1970."""
    snippets: Count
    crops: Crops
    version: Name
    """Of the program."""
    frames: Count | None = None
    """Of the video, those in no snippet too."""
    fps: Annotated[str, Meta(pattern=FRACTION)] | None = None
    """Its frames per second, a fraction; None in notes of earlier versions."""
    etag: Name | None = None
    """The server's mark of its version, of a video behind a URL."""
    reused: Share | None = None
    """Of its pictures that were looked at, how many were not encoded; None where all had to be."""

    def is_of(self, other: MadeFrom) -> bool:
        """Whether it is the same video, unchanged, be it in another place, and the same program."""
        return self._state() == other._state()

    def _state(self) -> tuple[object, ...]:
        return self.bytes, self.modified, self.version, self.etag


@dataclass(frozen=True)
class Extraction:
    """How the feature files of a folder were made."""

    encoder: EncoderConfig
    weights_sha256: Sha256
    """Of the image tower's tensors (``encoder.clip.tower_sha256``), the same whichever file they came from."""
    preprocessing: Preprocessing
    sampled_frames: Frames
    """Frames encoded of each snippet and averaged."""
    crops: Annotated[Crops, Meta(min_length=1)]
    storage: Literal["float16", "float32"]
    precision: Name
    """Of the encoder: ``fp32``, ``bf16`` or ``fp16``."""
    model: PathText | None = None
    """The model directory whose encoder it was, if it was one's."""
    weights: PathText | None = None
    """The checkpoint file that the encoder came from, if it was one."""
    snippet_frames: Frames = FRAMES_PER_SNIPPET
    snippet_seconds: SnippetSeconds | None = None
    """That a snippet lasts, whatever the number of its frames; None where each has ``snippet_frames``."""
    stream: Count | None = None
    """Number of the videos' streams, where one was asked for."""
    region: Region | None = None
    """Left, top, width and height of what was looked at, as shares of the picture; None is all of it."""
    mask: Sha256 | None = None
    """SHA-256 of what a mask hid (``video.mask``)."""
    reuse_still: GreyLevels | None = None
    """By how much blocks of a picture might differ from the last one encoded for that one's feature to be taken again
    (``pipeline.still``); None where all were encoded."""
    schema: Literal[1] = 1
    videos: tuple[MadeFrom, ...] = ()


def write_extraction(folder: Path, extraction: Extraction) -> None:
    """Write the sidecar of the features in ``folder``.

    Raises:
        OutputError: the folder cannot be written.
    """
    with atomic_write(folder / SIDECAR_FILE) as stream:
        json.dump(to_json(extraction), stream, indent=2)
        stream.write("\n")


def read_extraction(path: Path) -> Extraction | None:
    """The sidecar in ``path``, a folder, or in the nearest folder above it; None where there is none.

    Raises:
        FeatureError: a sidecar that is damaged.
    """
    sidecar = find_sidecar(path)
    return None if sidecar is None else read_sidecar(sidecar)


def find_sidecar(folder: Path) -> Path | None:
    """The sidecar file in ``folder`` or in the nearest folder above it; None where there is none."""
    candidates = (above / SIDECAR_FILE for above in (folder, *folder.resolve().parents))
    return next((sidecar for sidecar in candidates if os.path.exists(sidecar)), None)


def read_sidecar(sidecar: Path) -> Extraction:
    """Read a sidecar file.

    Raises:
        FeatureError: it is damaged.
    """
    try:
        return decode_exactly(Extraction, read_regular(sidecar, LARGEST_SIDECAR))
    except (OSError, SchemaError, ModelError) as error:
        raise FeatureError(f"{sidecar}: damaged ({error}); extract the features again") from error


def said_region(region: Region | None) -> str:
    """A region as the command line has it."""
    return "all of the picture" if region is None else ",".join(f"{share:g}" for share in region)


@contextlib.contextmanager
def sidecar_lock(folder: Path) -> Iterator[None]:
    """Keep other runs from changing the sidecar of ``folder`` meanwhile, where the system can do that."""
    with contextlib.ExitStack() as stack:
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # such as on a network drive that has no locks
                place = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, place)
                fcntl.flock(place, fcntl.LOCK_EX)
        yield
