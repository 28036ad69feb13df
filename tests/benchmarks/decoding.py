"""How many frames of a video a second are read: by ``open_video``, and by ``ffmpeg -threads 2``, which decodes all.

    python tests/benchmarks/decoding.py [--seconds 60] [--rounds 3] [VIDEO ...]

Without videos, frames of ``samples/`` are enlarged to 720p and encoded with x264 in two ways: with its defaults, which
are three B-frames that partly build on each other, and as cameras do, without B-frames and with a key frame every two
seconds. Each is read with one and with four pictures a snippet of 16 frames, once with packets left out that nobody
needs and once without; the pictures must be the same. All take turns in every round, and the fastest of each counts.
Frames a second are those of the video, looked at or not; those for a second of a processor are distorted less by other
programs on the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from dsanet_cli.video import chunk_decoder
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.spare import spare_places

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SIZE = (256, 340)
THREADS = 2
KINDS = {"B-frames": {"preset": "medium"}, "camera": {"preset": "veryfast", "x264-params": "bframes=0:keyint=50"}}


def frames() -> Iterator[av.VideoFrame]:
    """Those of all samples, over and over."""
    while True:
        for path in sorted(SAMPLES.glob("*.mp4")):
            with av.open(str(path)) as container:
                yield from container.decode(video=0)


def write(path: Path, seconds: int, options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuv420p"
        stream.options = options
        for number, frame in enumerate(islice(frames(), 25 * seconds)):
            large = frame.reformat(1280, 720, "yuv420p")
            large.pts, large.time_base, large.pict_type = number, Fraction(1, 25), 0
            container.mux(stream.encode(large))
        container.mux(stream.encode())
    return path


def by_ffmpeg(path: Path) -> None:
    command = ["ffmpeg", "-v", "error", "-threads", str(THREADS), "-i", str(path), "-f", "null", "-"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def read(path: Path, sampled: int, leave_out: bool) -> tuple[int, int]:
    """Number of frames, and a hash of all pictures."""
    chunk_decoder.spare_places = spare_places if leave_out else lambda *_: frozenset()
    pictures = 0
    reader = open_video(path, SIZE, sampled, threads=THREADS)
    for snippet in reader.snippets():
        pictures = hash((pictures, snippet.frames.tobytes()))
    return reader.info.frames, pictures


def clocks() -> tuple[float, float]:
    """Seconds on the clock, and of processors."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def since(before: tuple[float, float]) -> tuple[float, float]:
    now, work = clocks()
    return now - before[0], work - before[1]


def measure(path: Path, rounds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {}
    pictures: dict[int, set[int]] = {}
    count = 0
    for _ in range(rounds):
        before = clocks()
        by_ffmpeg(path)
        found.setdefault("ffmpeg", []).append(since(before))
        for sampled in (1, 4):
            for name, leave_out in (("all decoded", False), ("needless left out", True)):
                before = clocks()
                count, hashed = read(path, sampled, leave_out)
                found.setdefault(f"{sampled} a snippet, {name}", []).append(since(before))
                pictures.setdefault(sampled, set()).add(hashed)
    print(f"{path.name}: {count} frames, pictures the same: {all(len(one) == 1 for one in pictures.values())}")
    reference = [count / min(seconds) for seconds in zip(*found["ffmpeg"], strict=True)]
    for name, seconds in found.items():
        rate, work = (count / min(several) for several in zip(*seconds, strict=True))
        print(
            f"    {name:<32} {rate:6.0f} frames/s, {rate / reference[0]:.2f} x ffmpeg; "
            f"{work:5.0f} for a second of a processor, {work / reference[1]:.2f} x",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = arguments.videos or [
            write(Path(folder) / f"{name}.mp4", arguments.seconds, options) for name, options in KINDS.items()
        ]
        for path in paths:
            measure(path, arguments.rounds)


if __name__ == "__main__":
    main()
