"""What the program and its decoder processes say to each other.

::

    program                          decoder process
    Start                ->          once
    DecodeJob            ->          and so on for every video:
                         <-          Opened
                         <-          Snippet ...          the key frames, if it is a scan
                         <-          Scanned                        only then
    frozenset of numbers ->                                         only then
                         <-          Snippet ...
                         <-          Finished

Pictures lie in the ring of shared memory (``picture_ring``), and ``Placed`` comes instead of ``Snippet``; without a
ring, or where they do not fit, they go through the pipe. A ``VideoError`` can come instead of any reply, and is the
last one. ``Alive`` comes between them where they take long, and goes no further than to the watchdog.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsanet_cli.errors import VideoError
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.picture_ring import RingPlace
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

Wanted = frozenset[int]
"""Numbers of the snippets to decode: the answer to a scan."""


@dataclass(frozen=True)
class Start:
    """A decoder process's first message."""

    folder: str
    """For its temporary files; made for this process and removed with it."""
    ring: RingPlace | None
    """Where pictures go; None sends them through the pipe."""


@dataclass(frozen=True)
class Decoding:
    """What is decoded of each video."""

    size: tuple[int, int]
    """(height, width) in pixels of the pictures."""
    sampled_frames: int
    """Pictures of each snippet."""
    snippet_frames: int
    snippet_seconds: float | None = None
    """That a snippet lasts, whatever the number of its frames; None counts frames."""
    scan: bool = False
    """First deliver key frames only, then the snippets that the answer names."""
    first_snippets: int | None = None
    """Decode so many from the start of the video, and count the others; None decodes all."""
    header_only: bool = False
    """Deliver nothing but ``Opened``, and ``Finished`` with what is known by then."""
    whole_only: bool = False
    """Leave out frames at the end that fill no snippet, unless they are all there is (protocol: features)."""
    options: ReadOptions = WHOLE
    """What to read of it."""

    @property
    def snippet_bytes(self) -> int:
        """Of the pictures of a snippet, at most."""
        height, width = self.size
        most = self.sampled_frames if self.snippet_seconds else min(self.sampled_frames, self.snippet_frames)
        return most * height * width * 3


@dataclass(frozen=True)
class DecodeJob:
    """One video to decode."""

    path: Path
    decoding: Decoding
    threads: int


@dataclass(frozen=True)
class Opened:
    """A video's first message.

    ``duration`` is up to where in the video, in seconds, it is looked at by its header, 0 where that does not say;
    ``start`` is from where on. ``created`` is when it was recorded, as its metadata has it.
    """

    duration: float
    start: float = 0.0
    created: str | None = None


@dataclass(frozen=True)
class Alive:
    """The decoder is at work, though it has nothing to show for it yet."""


@dataclass(frozen=True)
class Scanned:
    """The first pass of a scan is over; the decoder waits to hear which snippets to decode."""

    info: VideoInfo


@dataclass(frozen=True)
class Finished:
    """The video was read to its end."""

    info: VideoInfo


@dataclass(frozen=True)
class Placed:
    """A snippet whose pictures lie in a slot of the ring; its own ``frames`` are empty."""

    snippet: Snippet
    slot: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Notice:
    """Something that the person who watches should know; a line."""

    text: str


Message = Opened | Snippet | Scanned | Finished | Notice | VideoError
"""What the pool passes on; ``Notice`` is its own."""
Reply = Opened | Snippet | Placed | Scanned | Finished | Alive | VideoError
"""What a decoder process sends."""
