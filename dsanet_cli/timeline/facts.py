"""What a timeline says of its video, its model and how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import PurePath
from typing import Annotated, Literal

from msgspec import Meta

from dsanet_cli.config import Frames, GreyLevels, SnippetSeconds
from dsanet_cli.records import Count, Length, Line, Name, PathText, Region, Seconds, Sha256, Share

TIME_STEP = 1e-3
"""Seconds; times closer than this are the same (results keep milliseconds)."""


Spans = tuple[tuple[Seconds, Seconds], ...]


@dataclass(frozen=True)
class Recorded:
    """When a recording began."""

    start: Annotated[datetime, Meta(tz=True)]
    timezone: Name
    """IANA name, such as ``Europe/Berlin``; times of day are in it."""
    source: Literal["option", "metadata", "name"]
    """Who says so: the user, the file, or its name."""

    def __post_init__(self) -> None:
        """Check that times of day can be reckoned with.

        Raises:
            ValueError: it is ages ago, or ages ahead.
        """
        if not 1900 <= self.start.year <= 2500:
            raise ValueError(f"recorded in the year {self.start.year}")


@dataclass(frozen=True)
class FilePart:
    """A file that a timeline of several was made from."""

    path: PathText
    start: Seconds
    """Where it lies in the timeline, in seconds, as ``end``."""
    end: Seconds
    bytes: Count | None = None
    mtime: Seconds | None = None
    """When it was written, seconds since the epoch."""
    created: Name | None = None
    """When it was recorded, as its metadata has it."""
    error: Line | None = None
    """Why it could not be analysed."""
    real_path: PathText | None = None
    """Absolute and without links, where ``path`` is as it was given."""


@dataclass(frozen=True)
class VideoFacts:
    """What was analysed. A feature file has no picture: its size and codec are None."""

    path: PathText
    frames: Count
    duration: Length
    """Seconds."""
    fps: Fraction | None = None
    width: Count | None = None
    height: Count | None = None
    codec: Name | None = None
    bytes: Count | None = None
    """Size of the file when it was opened."""
    mtime: Seconds | None = None
    """When the file was written, seconds since the epoch, as it said before the analysis."""
    etag: Name | None = None
    """The server's mark of the version of a video behind a URL, where it gives one; of several files, one of all."""
    real_path: PathText | None = None
    """Absolute and without links, where ``path`` is as it was given."""
    stream: Count | None = None
    """Number of the video stream that was analysed, from 0, where the file has several."""
    streams: Count | None = None
    """How many it has then."""
    fps_from: Literal["assumed", "option"] | None = None
    """Where the rate is from, if the file gives none."""
    timecode: Name | None = None
    """Of the first frame, where the file gives one."""
    created: Name | None = None
    """When it was recorded, as the file's metadata has it."""
    recorded: Recorded | None = None
    """When it began, where that is known."""
    camera: Name | None = None
    """Whose files were joined."""
    files: tuple[FilePart, ...] = ()
    """That were joined, in order of time; then ``path`` is what they are called together."""

    @property
    def name(self) -> str:
        """What a person calls it: the last part of the path, or camera and day."""
        name = PurePath(self.path).name or self.path
        return name if self.camera is None else f"{self.camera}/{name}"


@dataclass(frozen=True)
class ModelFacts:
    """Which model scored the video."""

    name: Name
    sha256: Sha256
    encoder_sha256: Sha256 | None = None
    """SHA-256 of the file of encoder weights, where one was given."""
    demonstration: Line | None = None
    """What to know of a model that only shows how the program works, and how to get a real one."""


@dataclass(frozen=True)
class Sampling:
    """How frames became snippets. Two samplings that differ only in the device or the batch size are equal."""

    snippet_frames: Frames
    sampled_frames: Frames | None
    """Frames encoded per snippet; None for a feature file."""
    precision: Name
    device: Name | None = field(default=None, compare=False)
    scan_level: Share | None = None
    """Score from which on a scan of key frames was followed by full decoding; None without a scan."""
    batch_size: Count | None = field(default=None, compare=False)
    """Frames encoded at once, by which the last digit of a score can differ; None for a feature file."""
    stream: Count | None = None
    """Number of the video stream that was asked for."""
    part: tuple[Seconds, Seconds | None] | None = None
    """From where to where snippets were asked for, in seconds; None for all of the video."""
    snippet_seconds: SnippetSeconds | None = None
    """That a snippet lasts, whatever the number of its frames; None where each has ``snippet_frames``."""
    region: Region | None = None
    """Left, top, width and height of what was looked at, as shares of the picture; None for all of it."""
    mask: Sha256 | None = None
    """SHA-256 of what a mask hid, whatever file it was from."""
    reuse_still: GreyLevels | None = None
    """By how much the mean brightness of each block of 8 x 8 pixels might differ from that in the last picture encoded
    for the latter's feature to stand for both; None where all pictures were encoded."""
    reused: Share | None = field(default=None, compare=False)
    """Of the pictures looked at, how many were not encoded for that."""


def seen_size(video: VideoFacts, sampling: Sampling) -> tuple[int, int] | None:
    """(height, width) in pixels of what was looked at of each picture; None where there is no picture."""
    if not (video.height and video.width):
        return None
    _, _, width, height = sampling.region or (0.0, 0.0, 1.0, 1.0)
    return max(1, round(height * video.height)), max(1, round(width * video.width))


@dataclass(frozen=True)
class Coverage:
    """What share of the video, or of ``part`` of it, was analysed (0..1).

    Spans are (start, end) in seconds, in order of time.
    """

    analysed: Share = 1.0
    holes: Spans = ()
    """Spans of which there is no picture."""
    scanned: Spans = ()
    """Only key frames were decoded."""
    hole_reasons: tuple[Line, ...] = ()
    """Why, for each hole; empty where that is not known."""
    unsure: Spans = ()
    """Without a picture, but in a video whose pictures come at all sorts of distances: perhaps there should be none."""
    part: tuple[Seconds, Seconds] | None = None
    """What was to be analysed; None is all of the video."""


def covered(
    duration: float, holes: Sequence[tuple[float, float]], scanned: Sequence[tuple[float, float]] = ()
) -> Coverage:
    """The coverage of a video of ``duration`` seconds, given spans of which touching ones become one."""
    missed = sum(end - start for start, end in (*holes, *scanned))
    analysed = 1 - missed / duration if duration > 0 else 1.0
    return Coverage(min(1.0, max(0.0, analysed)), _joined(holes), _joined(scanned))


def _joined(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < TIME_STEP:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
