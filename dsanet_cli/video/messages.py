"""What the program and its decoding processes say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsanet_cli.errors import VideoError
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet


@dataclass(frozen=True)
class DecodeJob:
    """One video to decode; the fields are those of ``open_video``."""

    path: Path
    size: tuple[int, int]
    sampled_frames: int
    snippet_frames: int
    threads: int
    scan: bool = False
    """First deliver key frames only, then the snippets that the answer names."""


@dataclass(frozen=True)
class Opened:
    """A video's first message: the seconds it lasts by its header, 0 where that does not say."""

    duration: float


@dataclass(frozen=True)
class Alive:
    """The decoder is at work, though it has nothing to show for it yet."""


Wanted = frozenset[int]
"""The answer to a scan: numbers of the snippets to decode."""
Message = Opened | Snippet | VideoInfo | VideoError
"""What a job sends back: after the opening snippets, then either what the video holds or why it ends here. ``Alive``
comes between them where that takes long, and goes no further than to the watchdog."""
