"""Pictures of a video's highest scores, kept beside its result: plots and pages are drawn again without the video.

A ZIP file of JPEGs, each named after the middle of its snippet in seconds, ``dsanet/12.800.jpg``.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.timeline.facts import TIME_STEP
from dsanet_cli.timeline.timeline import Event, Timeline

THUMBNAILS = "thumbs.zip"
"""How the names of such files end."""
THUMBNAILS_MARK = b"dsanet/"
"""Stands at the beginning of each."""
LARGEST_THUMBNAILS = 2**26
"""Bytes of such a file, at most."""
HEIGHT = 180
"""Pixels at most, as the width is of twice that."""
_QUALITY = 80
_MOST, _LARGEST = 1000, 2**20
"""Pictures in a file, and bytes of one, that are read."""
_NAME = re.compile(r"dsanet/([0-9]{1,10}\.[0-9]{3})\.jpg")
_JPEG = b"\xff\xd8\xff"


def write_thumbnails(pictures: Mapping[float, NDArray[np.uint8]], aspect: float | None) -> bytes:
    """Pack pictures, the same ones always into the same bytes.

    Args:
        pictures: (H, W, 3) RGB by the middle of their snippets in seconds.
        aspect: Width by height that a player shows; None takes the pictures as they are.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for time, picture in sorted(pictures.items()):
            # Without a date, which would make two runs differ.
            archive.writestr(zipfile.ZipInfo(f"dsanet/{max(time, 0.0):.3f}.jpg"), _jpeg(picture, aspect))
    return packed.getvalue()


def read_thumbnails(content: bytes) -> dict[float, bytes]:
    """The JPEGs by time, from what such a file holds; what is no picture of ours is left out, and never unpacked.

    Returns:
        JPEG files by the middle of their snippets in seconds; none where the file is damaged.
    """
    found: dict[float, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist()[:_MOST]:
                name = _NAME.fullmatch(entry.filename)
                plain = entry.compress_type == zipfile.ZIP_STORED and 0 < entry.file_size <= _LARGEST
                if name and plain and (picture := archive.read(entry)).startswith(_JPEG):
                    found[float(name[1])] = picture
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return {}
    return found


def decode_thumbnail(jpeg: bytes) -> NDArray[np.uint8] | None:
    """A picture (H, W, 3) RGB; None where it is damaged, or larger than those that are written."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  (only where pictures are drawn)

    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
            if max(image.size) > 16 * HEIGHT:
                return None
            return np.asarray(image.convert("RGB"), np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def event_thumbnails(timeline: Timeline, times: Sequence[float]) -> dict[int, float]:
    """Which of the pictures at ``times`` shows each event best: that of the highest score within it.

    Returns:
        A time by the number of the event; without events, by 0 that of the highest score, where there is a picture of
        that.
    """
    ordered = sorted(times)
    middles = (timeline.starts + timeline.ends) / 2
    nearest = [int(np.abs(middles - time).argmin()) for time in ordered]
    shown = [
        (float(timeline.scores[snippet]), time)
        for time, snippet in zip(ordered, nearest, strict=True)
        if abs(float(middles[snippet]) - time) < 2 * TIME_STEP
    ]
    if not timeline.events:
        top = float(timeline.scores.max())
        return next(({0: time} for score, time in shown if score == top), {})
    best = {number: _best(event, shown) for number, event in enumerate(timeline.events)}
    return {number: time for number, time in best.items() if time is not None}


def _best(event: Event, shown: Sequence[tuple[float, float]]) -> float | None:
    inside = [(score, -time) for score, time in shown if event.start <= time < event.end]
    return -max(inside)[1] if inside else None


def _jpeg(picture: NDArray[np.uint8], aspect: float | None) -> bytes:
    from PIL import Image  # noqa: PLC0415  (a decoder process must start in a moment)

    image = Image.fromarray(picture)
    width, height = image.size
    ratio = width / height if aspect is None else min(max(aspect, 0.2), 5.0)
    shrunk = min(height, HEIGHT, round(2 * HEIGHT / ratio))
    size = max(1, round(shrunk * ratio)), max(1, shrunk)
    stream = io.BytesIO()
    (image if size == image.size else image.resize(size)).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
