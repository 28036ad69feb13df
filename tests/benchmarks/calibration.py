"""How well ``calibrate`` keeps what it promises: thresholds from some normal scenes, judged on others.

    python tests/benchmarks/calibration.py FOLDER [--hours 4] [--model scenes] [--rate 12] [--clips clips.csv]

Renders normal scenes (seeds of their own), the frames that ``detect`` looks at and no others, and keeps their features
in ``FOLDER``, by model; a run that was stopped goes on. Where ``--limit`` leaves fewer hours, draws are shorter, too.
Then draws scenes at random, again and again: some to calibrate on for so many false alarms an hour, others to judge.
Prints the threshold and the rates of each draw, the median, and how many draws lie within a factor of two of what was
asked for. ``--clips`` names a table (``path,label``) of real clips; those of the label ``normal`` are analysed as
``detect`` does, and how many a draw's threshold flags is printed.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "weights"))  # which has a module frames, too

from frames import Footage, render_snippets
from scenes.motion import FPS

from dsanet_cli.calibrate.rates import rates
from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.timeline.calibration import ScoreCurve, calibrate, false_event_lengths

FIRST_SEED = 5_000_000
NORMAL = "normal"
PIECE = 60
"""Scenes rendered at a time."""


def seconds_of(snippets: int, detector: Detector) -> float:
    return snippets * detector.model.config.snippet_frames / FPS


def fill(folder: Path, detector: Detector, hours: float, processes: int, limit: float) -> list[Path]:
    """Feature files (N, D) of so many hours of normal scenes, in the order of their seeds; renders what is missing.

    After ``limit`` seconds no more are rendered.
    """
    started = time.monotonic()
    config = detector.model.config
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.glob("*.npy"))
    length = sum(seconds_of(len(np.load(file, mmap_mode="r")), detector) for file in files)
    while length < 3600 * hours:
        footage = Footage(FIRST_SEED + len(files), PIECE, normal_share=1.0)
        for seed, _, frames in render_snippets(
            list(footage.scenes()), detector.sampled_frames, config.preprocessing.resize, processes
        ):
            file = folder / f"{seed}.npy"
            np.save(file, encoded(frames, detector))
            files.append(file)
            length += seconds_of(len(frames), detector)
            if time.monotonic() - started > limit:
                return files
    return files


def encoded(frames: np.ndarray, detector: Detector) -> np.ndarray:
    """Features (N, D) of frames (N, k, H, W, 3), a mean for each snippet."""
    count, sampled = frames.shape[:2]
    encoder, flat = detector.load_encoder(), frames.reshape(-1, *frames.shape[2:])
    parts = [encoder.submit(flat[at : at + detector.batch_size]) for at in range(0, len(flat), detector.batch_size)]
    features = np.concatenate([part.result() for part in parts])
    return features.reshape(count, sampled, -1).mean(axis=1)


def curve(features: np.ndarray, detector: Detector) -> ScoreCurve:
    """The scores of a scene, window by window as ``detect`` scores it."""
    window = detector.model.config.head.window
    parts = [detector.score(features[at : at + window]).scores for at in range(0, len(features), window)]
    times = seconds_of(1, detector) * np.arange(len(features) + 1)
    return ScoreCurve(times[:-1], times[1:], torch.cat(parts).numpy())


def taken(curves: Iterator[ScoreCurve], minutes: float) -> list[ScoreCurve]:
    """As many of ``curves`` as last that long, or all that are left."""
    found: list[ScoreCurve] = []
    for one in curves:
        found.append(one)
        if sum(each.hours for each in found) >= minutes / 60:
            break
    return found


def normal_clips(table: Path, detector: Detector) -> list[ScoreCurve]:
    """The scores of the real clips labelled normal."""
    with table.open(newline="") as stream:
        paths = [table.parent / row["path"] for row in csv.DictReader(stream) if row["label"].lower() == NORMAL]
    sources = [Source(path, Path(path.stem)) for path in paths]
    found = []
    for _, outcome in detector.detect_many(sources, PipelineSettings(), lambda *_: None):
        assert isinstance(outcome, Detection), outcome
        timeline = outcome.timeline
        found.append(ScoreCurve(timeline.starts, timeline.ends, timeline.scores))
    return found


def report(
    curves: Sequence[ScoreCurve], clips: Sequence[ScoreCurve], detector: Detector, arguments: argparse.Namespace
) -> None:
    rng = np.random.default_rng(arguments.seed)
    share = min(1.0, sum(one.hours for one in curves) / arguments.hours)
    table = Table("draw", "threshold", "an hour, calibrated on", "an hour, judged on", "real clips flagged", box=None)
    found = []
    for draw in range(arguments.draws):
        order = iter([curves[at] for at in rng.permutation(len(curves))])
        known = taken(order, share * arguments.calibrate)
        other = taken(order, share * arguments.judge)
        rule = calibrate(detector.rule, known, arguments.rate)
        here, there = (
            next(rate for rate in rates(rule, group) if rate.threshold == rule.threshold) for group in (known, other)
        )
        flagged = sum(bool(false_event_lengths(rule, [clip])) for clip in clips)
        said = f"{flagged} of {len(clips)}" if clips else ""
        table.add_row(str(draw), f"{rule.threshold:.2f}", f"{here.per_hour:.1f}", f"{there.per_hour:.1f}", said)
        found.append((rule.threshold, there.per_hour))
    console = Console()
    console.print(table)
    thresholds, there = np.array(found).T
    inside = int(((there >= arguments.rate / 2) & (there <= 2 * arguments.rate)).sum())
    console.print(
        f"{sum(one.hours for one in curves):.2f} h of {len(curves)} scenes, {share * arguments.calibrate:.0f} minutes "
        f"to calibrate on and {share * arguments.judge:.0f} to judge; asked for {arguments.rate:g} an hour: "
        f"median {np.median(there):.1f}, mean {there.mean():.1f}, from {there.min():.1f} to {there.max():.1f}; "
        f"{inside} of {len(there)} within a factor of two; thresholds {thresholds.min():.2f} to {thresholds.max():.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which rendering ends")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--calibrate", type=float, default=40.0, help="minutes")
    parser.add_argument("--judge", type=float, default=80.0, help="minutes")
    parser.add_argument("--rate", type=float, default=12.0, help="false alarms an hour")
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    detector = Detector(load_model(arguments.model), DetectSettings())
    files = fill(
        arguments.folder / detector.model.sha256[:12], detector, arguments.hours, arguments.processes, arguments.limit
    )
    curves = [curve(np.load(file), detector) for file in files]
    clips = [] if arguments.clips is None else normal_clips(arguments.clips, detector)
    report(curves, clips, detector, arguments)


if __name__ == "__main__":
    main()
