"""How long commands take to start: ``detect`` on half a minute against the import of torch and open_clip alone.

    python tests/benchmarks/cold_start.py [--rounds 5]

All commands take turns in each round, so that other work on the machine slows all of them; medians are printed, with
what each loaded. Commands that need no torch are to take half a second at most, ``detect`` 1.3 times the import.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dsanet_cli.models.folders import BUILT_IN_MODEL, find_model, read_config

DSANET = Path(sys.executable).with_name("dsanet")
CLIP = Path(__file__).parents[2] / "samples" / "Fighting002.mp4"
"""30 seconds at 25 frames a second, 320 x 240."""
GOAL_RATIO, GOAL_SECONDS = 1.3, 0.5
HEAVY = ("torch", "open_clip", "matplotlib")
LOADED = f"""
import contextlib, os, sys
from dsanet_cli.cli.app import app
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
    with contextlib.suppress(SystemExit):
        app(sys.argv[1:])
print(", ".join(name for name in {HEAVY} if name in sys.modules) or "none of them")
"""


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """What is measured, by the name that is printed: with torch, then without."""
    features, results, new = folder / "x.npy", folder / "results" / "x.json", folder / "new"
    again = ("-o", str(folder / "results"), "--overwrite", "-q")
    return {
        "detect clip.mp4 --model scenes": ("detect", str(CLIP), "--model", "scenes", *again),
        "detect clip.mp4 --model street": ("detect", str(CLIP), "--model", "street", *again),
        "detect x.npy": ("detect", str(features), *again),
        "detect x.npy -f csv": ("detect", str(features), "-f", "csv", *again),
        "models list": ("models", "list"),
        "events": ("events", str(results), "-o", str(new), "--overwrite", "-t", "0.3"),
        "report": ("report", str(results)),
    }


def timed(command) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} rounds, medians")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        width = read_config(find_model(BUILT_IN_MODEL)).encoder.width
        np.save(folder / "x.npy", np.random.default_rng(0).standard_normal((50, width)).astype(np.float32))
        measured = commands(folder)
        # Also what makes the results that others read, and what warms the caches of files.
        loaded = {name: _output(LOADED, *arguments) for name, arguments in measured.items()}
        _output("import torch, open_clip")
        seconds: dict[str, list[float]] = {name: [] for name in ("import", "python", *measured)}
        for _ in range(rounds):
            seconds["python"].append(timed((sys.executable, "-c", "pass")))
            seconds["import"].append(timed((sys.executable, "-c", "import torch, open_clip")))
            for name, arguments in measured.items():
                seconds[name].append(timed((DSANET, *arguments)))
    _print({name: statistics.median(values) for name, values in seconds.items()}, loaded)


def _print(medians: dict[str, float], loaded: dict[str, str]) -> None:
    base = medians["import"]
    print(f"python -c pass {medians['python']:.2f} s; python -c 'import torch, open_clip' {base:.2f} s")
    for name, modules in loaded.items():
        goal = f"{medians[name] / base:.2f} x the import" if name.startswith("detect") else f"of {GOAL_SECONDS} s"
        limit = f" (at most {GOAL_RATIO})" if "clip" in name else ""
        print(f"{name:32} {medians[name]:6.2f} s, {goal}{limit}; loads {modules}")


def _output(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
