"""``-f mp4`` and ``-f clips`` on a video of 720p: frames a second, and against real time.

    python tests/benchmarks/films.py [VIDEO]

Without a video, one of a minute is written first: moving noise over a gradient, H.264, with sound.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from timelines import timeline

from dsanet_cli.files.folders import open_folder
from dsanet_cli.report.films import choose_films
from dsanet_cli.timeline.facts import VideoFacts
from dsanet_cli.video.probe import probe

SECONDS, RATE, SIZE = 60, 25, (720, 1280)


def write_video(path):
    random = np.random.default_rng(0)
    ground = np.linspace(40, 200, SIZE[1])[None, :, None] * np.ones((SIZE[0], 1, 3))
    patch = random.integers(0, 255, (200, 200, 3))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "crf": "23"}
        sound = out.add_stream("aac", rate=48_000, layout="mono")
        for number in range(SECONDS * RATE):
            image = (ground + random.normal(0, 4, (*SIZE, 1))).clip(0, 255).astype(np.uint8)
            left = 4 * number % (SIZE[1] - 200)
            image[300:500, left : left + 200] = patch
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 48_000 * SECONDS), np.float32), "fltp", "mono")
        silence.sample_rate = 48_000
        out.mux(sound.encode(silence))
        out.mux(sound.encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place:
        video = arguments.video or Path(place, "video.mp4")
        if arguments.video is None:
            write_video(video)
        info = probe(video)
        scores = np.abs(np.sin(np.arange(int(info.duration / 0.64)) / 8))
        facts = VideoFacts(str(video), info.frames, info.duration, Fraction(info.fps), info.width, info.height)
        made = dataclasses.replace(timeline(scores, 0.64), video=facts)
        for name, exact in (("mp4", False), ("clips", False), ("clips", True)):
            _, (film,) = choose_films([name], None, exact, to_stdout=False)
            started, cpu = time.perf_counter(), os.times()
            film.write(open_folder(str(Path(place, "out"))), Path("video"), made, video)
            took, used = time.perf_counter() - started, os.times()
            spent = used.children_user + used.children_system - cpu.children_user - cpu.children_system
            what = f"{name}{' --exact' * exact}, {len(made.events)} events" if name == "clips" else name
            print(
                f"{info.width} x {info.height}, {what}: {took:.1f} s, {info.frames / took:.0f} frames/s, "
                f"{info.duration / took:.1f} times real time; {spent:.1f} s of CPU"
            )


if __name__ == "__main__":
    main()
