"""Memory and speed over hours: a video of ten hours against one of two minutes.

    python tests/benchmarks/long_video.py [--hours 10] [--model scenes] [detect options ...]

Both are the samples over and over, copied without encoding. Prints, for each, the largest memory of the command and its
decoders together (proportional set size, where the system tells it, so that shared pages count once), seconds for each
minute of video, and the ratios of the long one to the short one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from throughput import DSANET, Footage, long_video

SAMPLE_INTERVAL = 0.1
"""Seconds between looks at the memory."""


@dataclass(frozen=True)
class Cost:
    """What one run took; memory in MiB."""

    seconds: float
    memory: float


def measure(footage: Footage, output: Path, options: list[str]) -> Cost:
    command = [str(DSANET), "detect", str(footage.folder), "-o", str(output), "--overwrite", "-q", *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory = 0.0
    while process.poll() is None:
        memory = max(memory, sum(map(proportional_memory, family(process.pid))))
        time.sleep(SAMPLE_INTERVAL)
    if process.returncode:
        sys.exit(f"{footage.folder}: exit code {process.returncode}")
    return Cost(time.perf_counter() - started, memory)


def family(process: int) -> list[int]:
    """A process and all that it started."""
    try:
        threads = Path(f"/proc/{process}/task").iterdir()
        text = " ".join((thread / "children").read_text() for thread in threads)
    except OSError:
        return [process]
    return [process, *(member for child in text.split() for member in family(int(child)))]


def proportional_memory(process: int) -> float:
    """MiB; 0 of a process that has just ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=10)
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        short = long_video(work / "short", 2)
        long = long_video(work / "long", 60 * arguments.hours)
        costs = {}
        for label, footage in (("short", short), ("long", long)):
            cost = costs[label] = measure(footage, work / "out" / label, options)
            each = cost.seconds / (footage.seconds / 60)
            print(
                f"{label}: {footage.seconds / 60:.1f} min of video in {cost.seconds:.1f} s, {each:.3f} s a minute, "
                f"at most {cost.memory:.0f} MiB"
            )
        print(f"memory, long / short: {costs['long'].memory / costs['short'].memory:.3f}")


if __name__ == "__main__":
    main()
