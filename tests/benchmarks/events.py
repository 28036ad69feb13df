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


def timed(*command):
    """Seconds that a command takes, and those of CPU, with all its processes."""
    started, before = time.perf_counter(), os.times()
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


def best(*command):
    """The least of each, of several runs."""
    return map(min, zip(*(timed(*command) for _ in range(STARTS)), strict=True))


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
        decide = DSANET, "events", "-o", folder / "new", "-t", 0.3
        for name, command in (
            ("python alone", (sys.executable, "-c", "pass")),
            ("events, one result", (*decide, folder / "one")),
            ("report, one result", (DSANET, "report", folder / "one")),
        ):
            wall, cpu = best(*command)
            print(f"{name}: {wall:.2f} s, {cpu:.2f} s of CPU (best of {STARTS})")
        write_results(folder / "many", arguments.results)
        wall, cpu = timed(*decide, folder / "many")
        each = 1000 * cpu / arguments.results
        print(f"{arguments.results} results of {MINUTES} minutes: {wall:.1f} s, {cpu:.1f} s of CPU, {each:.1f} ms each")


if __name__ == "__main__":
    main()
