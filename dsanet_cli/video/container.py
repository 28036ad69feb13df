"""Opening a video file, and saying what is wrong with one that cannot be."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dsanet_cli.errors import VideoError
from dsanet_cli.files.paths import Url
from dsanet_cli.names import printable

COPY_AGAIN = "copy it again from where it was recorded"
NOT_VIDEO_FORMATS = ("image2", "ico", "tty")
"""Pictures and text that ffmpeg reads as if they were videos; besides the formats whose names end in _pipe."""
FIELD_CODECS = ("hevc",)
"""Codecs that call a picture interlaced if it is a single field, so that it is whole as it is."""
Parity = Literal["tff", "bff"]
"""Of which lines an interlaced frame shows the earlier time: the first one and every other, or the rest."""
PARITIES: Mapping[int, Parity] = MappingProxyType({2: "tff", 3: "bff", 4: "bff", 5: "tff"})
"""By ffmpeg's AVFieldOrder."""
MERGED: Mapping[str, str] = MappingProxyType({"merge_pmt_versions": "1"})
"""Options of ffmpeg with which a transport stream whose video goes on under another id is one video."""
MP4_FIRST_BOX = b"ftyp"
NO_VIDEO = "not a video, or damaged beyond recognition; check that it plays"


def video_error(path: Path, message: str) -> VideoError:
    """A ``VideoError`` in the form ``<path>: <what is wrong>; <way out>``."""
    return VideoError(f"{printable(path)}: {message}")


def open_container(path: Path, fps: Fraction | None = None) -> InputContainer:
    """Open a media file.

    Args:
        path: The file.
        fps: Frames per second where it is nothing but compressed frames that do not say.

    Raises:
        VideoError: it is missing, unreadable, empty, or no media file.
    """
    if isinstance(path, Url):
        return _open_url(path, fps)
    head = _read_head(path)
    try:
        # Without the protocol, a colon in the name would be taken for one.
        return av.open(f"file:{path}", mode="r", metadata_errors="replace", options=_options(fps))
    except av.FFmpegError as error:
        if head[4:8] == MP4_FIRST_BOX:
            raise video_error(
                path, f"cut off, its index is missing; {COPY_AGAIN}, or repair it with a tool such as untrunc"
            ) from error
        raise video_error(path, NO_VIDEO) from error


def _open_url(path: Url, fps: Fraction | None) -> InputContainer:
    try:
        return av.open(path.open_seekable(), mode="r", metadata_errors="replace", options=_options(fps))
    except av.FFmpegError as error:
        raise video_error(path, NO_VIDEO) from error
    except OSError as error:
        raise video_error(path, f"cannot be read: {error.strerror}; check the address, or download it first") from error


def video_streams(container: InputContainer, path: Path) -> list[VideoStream]:
    """The streams with moving pictures; covers of songs are none.

    Raises:
        VideoError: there are none.
    """
    name = container.format.name
    if name.endswith("_pipe") or name in NOT_VIDEO_FORMATS:
        raise video_error(path, "a picture or a text, not a video; leave it out")
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        found = "has sound but no picture" if container.streams.audio else "has no picture"
        raise video_error(path, f"{found}; leave it out, or bring the recording with the picture")
    return streams


def choose_stream(container: InputContainer, path: Path, number: int | None) -> tuple[int, VideoStream]:
    """One of the video streams, and its number among them.

    Args:
        container: The file.
        path: Of the file.
        number: Which, from 0; None takes the one that a player would show.

    Raises:
        VideoError: there is none, or it cannot be decoded.
    """
    streams = video_streams(container, path)
    if number is None:
        best = container.streams.best("video")
        number = streams.index(best) if isinstance(best, VideoStream) and best in streams else 0
    elif number >= len(streams):
        count = f"{len(streams)} video streams" if len(streams) > 1 else "one video stream"
        raise video_error(path, f"has {count}, counted from 0, so there is no --stream {number}")
    stream = streams[number]
    if stream.codec_context is None:
        raise video_error(path, "of a codec that is not supported; re-encode it, as H.264 for example")
    return number, stream


def _options(fps: Fraction | None) -> dict[str, str]:
    options = dict(MERGED)
    if fps is not None:
        options["framerate"] = f"{fps.numerator}/{fps.denominator}"
    return options


def _read_head(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise video_error(path, "a folder, not a video; name the videos in it")
        if not stat.S_ISREG(mode):
            raise video_error(path, "not a regular file; save the video to a file first")
        with path.open("rb") as stream:
            head = stream.read(8)
    except FileNotFoundError as error:
        raise video_error(path, "no such file; check the name") from error
    except PermissionError as error:
        raise video_error(path, "no permission to read it; change its permissions or owner") from error
    except OSError as error:
        raise video_error(path, f"cannot be read ({error.strerror}); check the name and the disk") from error
    if not head:
        raise video_error(path, f"empty; {COPY_AGAIN}")
    return head
