"""Encoders in the number formats of torch and of OpenVINO: images a second, and how near they come to float32.

`python tests/benchmarks/int8.py --videos FOLDER [--model scenes …] [--seconds 4] [--detect]`

- `vit` is the published ViT-B/16 with random weights (`tests/filling.py`), whose speed is that of the real ones.
- Each encoder works on batches of the default size, on all cores, on frames of FOLDER (MP4 files): the same for all.
- `--detect` analyses FOLDER by each built-in model in `bf16` and `int8`: frame AUC against its `groundtruth.txt`,
  and the events that only one of both has, by overlap and class.

Graphs of OpenVINO are kept in the user's cache; making them is not counted, and is told on the way.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from filling import filled_state_dict

from dsanet_cli.config import EncoderConfig
from dsanet_cli.detect.detector import Detector, DetectSettings
from dsanet_cli.encoder.architecture import PUBLISHED_PREPROCESSING
from dsanet_cli.encoder.choices import DEFAULT_BATCH
from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.encoder.device import OpenvinoDevice, choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.errors import DsanetError
from dsanet_cli.evaluate.groundtruth import frame_truth, read_annotations
from dsanet_cli.models.directory import load_model
from dsanet_cli.video.reader import open_video

PUBLISHED = "vit"
CPU = torch.device("cpu")
WAYS = (
    ("torch", "fp32"), ("torch", "bf16"), ("OpenVINO", "fp32"), ("OpenVINO", "bf16"), ("OpenVINO", "int8"),
)  # fmt: skip
FRAMES = 48
LANES_AHEAD = 2


def tower_of(name):
    """An image tower, and its preprocessing."""
    if name != PUBLISHED:
        model = load_model(name)
        return model.image_tower(), model.config.preprocessing
    tower = build_clip(EncoderConfig("ViT-B-16-quickgelu", 512)).visual
    shapes = {key: tensor.shape for key, tensor in tower.state_dict().items()}
    tower.load_state_dict(filled_state_dict(shapes, "clipmodel.visual."))
    return tower.eval(), PUBLISHED_PREPROCESSING


def frames_of(folder, size):
    """(FRAMES, H, W, 3) uint8, spread over the videos of a folder."""
    videos = sorted(folder.glob("*.mp4"))
    each = -(-FRAMES // len(videos))
    found = []
    for video in videos:
        shown = [snippet.frames for snippet in open_video(video, size, 1).snippets()]
        found += [shown[len(shown) * (2 * k + 1) // (2 * each)][0] for k in range(each)]
    return np.stack(found[:FRAMES])


def speed(encoder, batch, seconds):
    """Images a second of a batch (n, H, W, 3) on all lanes, after one round that warms up."""
    [future.result() for future in [encoder.submit(batch) for _ in range(encoder.lanes)]]
    waiting, done, started = deque(), 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        waiting.append(encoder.submit(batch))
        if len(waiting) > LANES_AHEAD * encoder.lanes:
            waiting.popleft().result()
            done += len(batch)
    for future in waiting:
        future.result()
        done += len(batch)
    return done / (time.perf_counter() - started)


def cosines(one, other):
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def measure(name, folder, seconds, console):
    tower, preprocessing = tower_of(name)
    frames = frames_of(folder, preprocessing.resize)
    exact = FrameEncoder(tower, preprocessing, CPU, torch.float32).encode(frames)
    table = Table(name, "images/s", "mean cosine", "lowest", "mean, centred", "lowest, centred", box=None)
    middle = exact.mean(0)
    batch = np.resize(frames, (DEFAULT_BATCH["cpu"], *frames.shape[1:]))
    for library, precision in WAYS:
        device = OpenvinoDevice("CPU") if library == "OpenVINO" else CPU
        try:
            # torch changes the towers that it gets
            encoder = FrameEncoder(tower_of(name)[0], preprocessing, device, choose_precision(precision, device))
            for notice in encoder.notices:
                console.print(f"  {notice}", soft_wrap=True)
            features = encoder.encode(frames)
        except DsanetError as error:
            console.print(f"  {library} {precision}: {error}", soft_wrap=True)
            continue
        near, apart = cosines(features, exact), cosines(features - middle, exact - middle)
        figures = [near.mean(), near.min(), apart.mean(), apart.min()]
        table.add_row(
            f"{library} {precision}", f"{speed(encoder, batch, seconds):.1f}", *(f"{value:.5f}" for value in figures)
        )
        encoder.close()
    console.print(table)


def detect(name, folder, console):
    truths = read_annotations(folder / "groundtruth.txt")
    found = {}
    for precision in ("bf16", "int8"):
        with_it = Detector(load_model(name), DetectSettings(device="cpu", precision=precision))
        found[precision] = [with_it.detect(folder / f"{truth.name}.mp4").timeline for truth in truths]
        with_it.close()
        truth_frames, scores = [], []
        for truth, timeline in zip(truths, found[precision], strict=True):
            ends = [0, *(round(s.end * timeline.video.fps) for s in timeline.snippets)]
            values = np.repeat(timeline.scores, np.diff(ends))[: timeline.video.frames]
            scores.append(np.pad(values, (0, timeline.video.frames - len(values)), mode="edge"))
            truth_frames.append(frame_truth(truth, timeline.video.frames))
        auc = roc_auc_score(np.concatenate(truth_frames), np.concatenate(scores))
        events = sum(len(timeline.events) for timeline in found[precision])
        console.print(f"{name} {precision}: frame AUC {auc:.4f}, {events} events in {len(truths)} videos")
    alone = 0
    for one, other in zip(*found.values(), strict=True):
        for ours, theirs in ((one, other), (other, one)):
            for event in ours.events:
                twins = [e for e in theirs.events if e.label == event.label]
                if not any(e.start < event.end and event.start < e.end for e in twins):
                    alone += 1
                    console.print(f"  {Path(ours.video.path).name}: {event.label} at {event.start:.1f} s in one alone")
    differences = [np.abs(a.scores - b.scores).max() for a, b in zip(*found.values(), strict=True)]
    console.print(f"{name}: {alone} events in one alone; largest difference of a score {max(differences):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=Path(__file__).resolve().parents[2] / "samples")
    parser.add_argument("--model", nargs="*", default=[PUBLISHED, "scenes", "street"])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--detect", action="store_true")
    arguments = parser.parse_args()
    console = Console()
    for name in arguments.model:
        measure(name, arguments.videos, arguments.seconds, console)
    for name in arguments.model if arguments.detect else ():
        if name != PUBLISHED:
            detect(name, arguments.videos, console)


if __name__ == "__main__":
    main()
