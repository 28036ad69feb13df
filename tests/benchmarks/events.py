"""``dsanet events``: how long it takes to start, and to decide 1,000 results of ten minutes anew.

    python tests/benchmarks/events.py [--results 1000]

The results have snippets of 16 frames at 30 frames a second, and 14 classes. JSON, CSV and summary are written.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.facts import ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.timeline import build_timeline

DSANET = Path(sys.executable).with_name("dsanet")
MINUTES, CLASSES, RATE = 10, 14, Fraction(30)
STARTS = 5


def write_results(folder, count):
    length = float(16 / RATE)
    snippets = int(MINUTES * 60 / length)
    starts = np.arange(snippets) * length
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(CLASSES), snippets)
    scores = np.convolve(random.random(snippets + 20), np.ones(21) / 21, "valid") ** 2
    made = build_timeline(
        VideoFacts("0.mp4", 16 * snippets, MINUTES * 60.0, RATE, 1280, 720, "h264", 1, 1.5),
        ModelFacts("model", "00" * 32),
        [f"class {number}" for number in range(CLASSES)],
        Sampling(16, 4, "bf16"),
        EventRule(),
        starts,
        starts + length,
        scores,
        probabilities,
    )
    for number in range(count):
        video = dataclasses.replace(made.video, path=f"in/{number}.mp4", real_path=f"/archive/in/{number}.mp4")
        (folder / f"{number:05}.json").write_text(dataclasses.replace(made, video=video).to_json())


def timed(*arguments):
    started = time.perf_counter()
    subprocess.run([DSANET, *map(str, arguments)], check=True, capture_output=True)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=1000)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "one").mkdir()
        (folder / "many").mkdir()
        write_results(folder / "one", 1)
        bare = min(_python("pass") for _ in range(STARTS))
        one = min(timed("events", folder / "one", "-o", folder / "new", "-t", 0.3) for _ in range(STARTS))
        print(f"python alone {bare:.2f} s; events, one result: {one:.2f} s (best of {STARTS})")
        write_results(folder / "many", arguments.results)
        many = timed("events", folder / "many", "-o", folder / "new", "-t", 0.3)
        each = 1000 * many / arguments.results
        print(f"{arguments.results} results of {MINUTES} minutes: {many:.1f} s, {each:.1f} ms each")


def _python(code):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
