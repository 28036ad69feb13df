"""A small H.264 copy of a video, for browsers that do not play the original."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path, PurePath

from dsanet_cli.files.folders import LocalFolder
from dsanet_cli.report.film_process import run_apart
from dsanet_cli.timeline.facts import VideoFacts

HEIGHT = 360
"""Pixels at most."""
TICKS = 90_000
"""Per second."""


def make_proxy(video: Path, copy: Path, facts: VideoFacts) -> None:
    """Write ``copy``, whole or not at all, with the times that the analysis has found.

    Raises:
        VideoError: the video cannot be decoded.
        OutputError: the copy cannot be written.
    """
    fps = facts.fps if facts.fps_from is not None else None
    run_apart(video, PurePath(copy.name), LocalFolder(copy.parent), write_proxy, video, copy, facts.stream, fps)


def write_proxy(video: Path, copy: Path, stream: int | None, fps: Fraction | None, alive: Callable[[], None]) -> None:
    """Write a copy of a video: 360 lines at most, without sound, each frame at its time.

    Args:
        video: Any video that ``detect`` reads.
        copy: MP4 file to write or replace.
        stream: Number of its video stream, where it has several.
        fps: Frames per second, where the file gives no rate.
        alive: Is called all the time.

    Raises:
        VideoError: it cannot be decoded.
        OutputError: the copy cannot be written.
    """
    import av  # noqa: PLC0415  (only where copies are made)

    from dsanet_cli.config import FRAMES_PER_SNIPPET  # noqa: PLC0415
    from dsanet_cli.files.atomic import atomic_write  # noqa: PLC0415
    from dsanet_cli.video.options import ReadOptions  # noqa: PLC0415
    from dsanet_cli.video.reader import open_video  # noqa: PLC0415

    options = ReadOptions(stream, fps)
    info = open_video(video, (2, 2), 1, options=options).info
    height = min(HEIGHT, info.height) // 2 * 2
    size = max(height, 2), max(round(info.width * height / info.height / 2) * 2, 2)
    reader = open_video(video, size, FRAMES_PER_SNIPPET, alive=alive, options=options)
    with atomic_write(copy, "wb") as target, av.open(target, "w", "mp4", options={"movflags": "faststart"}) as written:
        track = written.add_stream("libx264", rate=info.fps or 25)
        track.height, track.width, track.pix_fmt = *size, "yuv420p"
        track.codec_context.time_base = Fraction(1, TICKS)
        track.codec_context.gop_size = round(2 * (info.fps or 25))
        track.options = {"preset": "veryfast", "crf": "28"}
        for snippet in reader.snippets():
            step = (snippet.end - snippet.start) / len(snippet.frames)
            for number, picture in enumerate(snippet.frames):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = round((snippet.start + number * step) * TICKS), Fraction(1, TICKS)
                written.mux(track.encode(frame))
                alive()
        written.mux(track.encode())
