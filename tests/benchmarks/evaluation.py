"""How long an evaluation of UCF-Crime's size takes: 290 videos, 1.1 million frames, a head of full size.

    python tests/benchmarks/evaluation.py [--share 1.0]

Writes random features, annotations and a model of random weights to a temporary folder, and prints the seconds
that each part takes, and those of the whole command, its start and its files included: on the clock, and of
processor time, which says more on a busy machine. ``--share`` makes fewer videos.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from dsanet_cli.evaluate.evaluation import evaluate, label_map, load_videos, read_truth, score_videos, truth_files
from dsanet_cli.features.lists import read_list
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.models.directory import load_model, save_model
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.models.published import published_config

VIDEOS, SNIPPETS = 290, 69_500
"""UCF-Crime's test set: 1.11 million frames, most in a few very long videos."""

T = TypeVar("T")


def timed(name: str, function: Callable[[], T]) -> T:
    started, processor = time.perf_counter(), sum(os.times()[:4])
    result = function()
    spent = time.perf_counter() - started, sum(os.times()[:4]) - processor
    print(f"{name:<24} {spent[0]:6.2f} s, {spent[1]:6.2f} s of processors", flush=True)
    return result


def write_data(folder: Path, share: float) -> None:
    """Features, list and annotations; half of the videos are anomalous, their events short."""
    rng = np.random.default_rng(0)
    lengths = rng.lognormal(sigma=1.1, size=round(share * VIDEOS))
    counts = np.maximum(8, share * SNIPPETS * lengths / lengths.sum()).astype(int)
    labels = [label for label in UCF_CRIME.labels if label != "Normal"]
    rows, lines = ["path,label"], []
    for number, count in enumerate(counts):
        label = labels[number // 2 % len(labels)] if number % 2 else "Normal"
        start = int(rng.integers(0, 8 * count))
        span = f"{start}  {start + int(rng.integers(30, 4 * count))}" if number % 2 else "-1  -1"
        np.save(folder / f"{label}{number:03}__5.npy", (0.3 * rng.standard_normal((count, 512))).astype(np.float16))
        rows.append(f"{label}{number:03}__5.npy,{label}")
        lines.append(f"{label}{number:03}  {label}  {span}  -1  -1")
    (folder / "test.csv").write_text("\n".join(rows) + "\n")
    (folder / "gt.txt").write_text("\n".join(lines) + "\n")
    print(f"{len(counts)} videos, {counts.sum()} snippets, {16 * counts.sum():,} frames")


def write_model(directory: Path) -> None:
    torch.manual_seed(0)
    classes = torch.nn.functional.normalize(torch.randn(len(UCF_CRIME.classes), 512), dim=-1)
    config = published_config("random", UCF_CRIME, UCF_CRIME.encoder)
    save_model(directory, config, DSANetHead(UCF_CRIME.head).state_dict(), classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, arguments.share)
        write_model(folder / "model")
        model = load_model(str(folder / "model"))
        classes = model.config.class_names
        rows = read_list(folder / "test.csv")
        videos = timed("loading features", lambda: load_videos(rows, 512))
        names, frames = [v.name for v in videos], [v.frames for v in videos]
        files = truth_files(folder / "gt.txt")
        truth = timed("reading ground truth", lambda: read_truth(files, names, frames, label_map(classes)))
        scored = timed("scoring", lambda: score_videos(model.head, model.text_features, 5.0, videos))
        timed("all figures, with mAP", lambda: evaluate(scored, truth, classes))
        command = [Path(sys.executable).with_name("dsanet"), "eval", "--model", folder / "model", "-o", folder / "out"]
        inputs = ["--list", folder / "test.csv", "--gt", folder / "gt.txt", "-q"]
        timed("dsanet eval", lambda: subprocess.run([*command, *inputs], check=True, stdout=subprocess.DEVNULL))


if __name__ == "__main__":
    main()
