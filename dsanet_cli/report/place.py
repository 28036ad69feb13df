"""Where a page finds its video: paths from the page, as a browser takes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from dsanet_cli.files.paths import PICTURE_SUFFIXES
from dsanet_cli.files.typed import scheme_of
from dsanet_cli.names import printable
from dsanet_cli.timeline.facts import VideoFacts

PLAYED = {
    ".mp4": ("h264", "av1", "vp9"),
    ".m4v": ("h264", "av1"),
    ".mov": ("h264",),
    ".webm": ("vp8", "vp9", "av1"),
    ".mkv": ("h264", "vp8", "vp9", "av1"),
}
"""Codecs by suffix that the common browsers play; what else one plays is found out when the page is open."""


@dataclass(frozen=True)
class VideoPlace:
    """Where the video of a page may lie, the likeliest first: URLs relative to the page, then absolute ones."""

    sources: tuple[str, ...]
    said: str
    """Why there is nothing to play, where ``sources`` are empty; else where the video was when it was analysed."""

    def with_copy(self, copy: str) -> VideoPlace:
        """The same with the URL of a small copy, which is tried first."""
        return replace(self, sources=(copy, *self.sources))


def video_place(facts: VideoFacts, folder: Path | None) -> VideoPlace:
    """Where a page in ``folder`` finds the video; None is a folder behind a URL, from which nothing leads to it.

    A camera's day has no place of its own, but its files have (``file_facts``).
    """
    if facts.codec is None:
        return VideoPlace((), "The result was made from features; there is no video to play.")
    if facts.files:
        return VideoPlace((), "No file of the camera covers this moment.")
    if scheme_of(facts.path):
        # Played from there it would be a request, which no page makes.
        return VideoPlace((), f"The video is at {printable(facts.path)}; open it from there.")
    if Path(facts.path).suffix.lower() in PICTURE_SUFFIXES or os.path.isdir(facts.path):
        return VideoPlace((), f"The result was made from pictures, {printable(facts.path)}; there is no video to play.")
    where = printable(facts.real_path or facts.path)
    if folder is None:
        return VideoPlace((), f"The video was analysed as {where}; no way leads there from this page.")
    return VideoPlace(tuple(dict.fromkeys(_sources(facts, folder))), where)


def file_facts(facts: VideoFacts) -> tuple[VideoFacts, ...]:
    """The files of a camera's day as videos of their own; none of any other video."""
    return tuple(
        replace(facts, path=part.path, real_path=part.real_path, files=(), camera=None) for part in facts.files
    )


def local_video(facts: VideoFacts, folder: Path) -> Path | None:
    """The video of a result in ``folder``, where it is there: where it was, or moved together with the result."""
    name = Path(facts.path).name
    for place in (facts.real_path, facts.path, str(folder / name)):
        if place is not None and "\0" not in place and os.path.isfile(place):
            return Path(place)
    return None


def href(place: Path, folder: Path) -> str:
    """A file as a URL relative to ``folder``; an absolute one, where no relative path leads to another drive.

    Bytes that are no text and signs that mean something in URLs (``#``, ``?``, ``%``) are escaped.
    """
    try:
        relative = os.path.relpath(place, folder)
    except ValueError:
        return file_url(place)
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def file_url(place: Path) -> str:
    """A file as an absolute URL."""
    absolute = os.path.abspath(place).replace(os.sep, "/")
    return "file://" + quote(os.fsencode(absolute if absolute.startswith("/") else f"/{absolute}"), safe="/:")


def _sources(facts: VideoFacts, folder: Path) -> Iterator[str]:
    typed = Path(os.path.abspath(facts.path.replace("\0", "")))
    real = typed if facts.real_path is None else Path(facts.real_path.replace("\0", ""))
    found = local_video(facts, folder)
    if found is not None and os.path.abspath(found) not in (str(typed), str(real)):
        yield href(found, folder)  # it was moved together with the result
    # A browser takes ".." back from the address as it is typed, whatever links lie on the way.
    if os.path.exists(typed) or not os.path.exists(real):
        yield href(typed, Path(os.path.abspath(folder)))
    yield href(real, Path(os.path.realpath(folder)))
    if not str(real).startswith(("//", "\\\\")):  # another machine, which a page does not ask
        yield file_url(real)


def plays_everywhere(facts: VideoFacts) -> bool:
    """Whether all common browsers play a video, as far as its name and codec tell."""
    return facts.codec in PLAYED.get(Path(facts.path).suffix.lower(), ())
