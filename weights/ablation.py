"""What each part of the method brings on the rendered scenes: AUC, AP and mean mAP over three seeds.

    python weights/ablation.py --work FOLDER

Trains the head on the CLIP of the model ``scenes``, whole and without each of the method's parts, and prints mean and
spread over the seeds. ``FOLDER`` keeps the training features and the held-out videos, as the recipe (``make.py``) does
in its own; what is missing there is rendered first.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from make import (
    CLASSES,
    PREPROCESSING,
    PRESET,
    SAMPLED_FRAMES,
    extract_training,
    fit_head,
    render_held_out,
)
from rich.console import Console
from rich.table import Table

from dsanet_cli.config import FRAMES_PER_SNIPPET, Parts
from dsanet_cli.encoder.device import choose_device, choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.evaluate.evaluation import (
    Evaluation,
    LoadedVideo,
    Truth,
    TruthFiles,
    evaluate,
    read_truth,
    score_videos,
)
from dsanet_cli.extract.collector import FeatureCollector
from dsanet_cli.features.lists import read_list
from dsanet_cli.files.sources import Source
from dsanet_cli.models.folders import find_model, read_config
from dsanet_cli.models.text_tower import load_clip
from dsanet_cli.pipeline.pipeline import Pipeline
from dsanet_cli.train.dataset import label_features
from dsanet_cli.train.trainer import Trainer
from dsanet_cli.video.messages import Decoding

SEEDS = (1, 2, 3)
VARIANTS = {
    "DSANet": Parts(),
    "without SG-NM": Parts(sg_nm=False),
    "without DCSA": Parts(dcsa=False),
    "without text adapter": Parts(text_adapter=False),
    "without all three": Parts(sg_nm=False, dcsa=False, text_adapter=False),
}
BATCH = 64
"""Frames encoded at once."""


def main() -> None:
    """Train and evaluate every variant with every seed, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for features and held-out videos")
    parser.add_argument("--processes", type=int, default=2, help="scenes rendered side by side")
    arguments = parser.parse_args()
    work: Path = arguments.work
    console, quiet = Console(highlight=False), Console(quiet=True)
    directory = find_model(PRESET.name)
    clip = load_clip(directory, read_config(directory))
    videos = label_features(read_list(extract_training(work / "features", clip, arguments.processes)), PRESET)
    held_out = held_out_features(render_held_out(work / "held-out"), work / "held-out-features", clip.visual)
    truth = read_truth(
        TruthFiles(annotations=work / "held-out" / "groundtruth.txt"),
        [video.name for video in held_out],
        [video.frames for video in held_out],
        PRESET.labels,
    )
    table = Table("", "AUC", "AP", "mean mAP", "mean mAP, anomaly classes", box=None)
    for name, parts in VARIANTS.items():
        started = time.monotonic()
        rows = []
        for seed in SEEDS:
            trainer, _ = fit_head(dataclasses.replace(PRESET, parts=parts, seed=seed), videos, clip, quiet)
            rows.append(figures(evaluated(trainer, held_out, truth)))
        means, spreads = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
        cells = [f"{100 * m:.1f} \u00b1 {100 * s:.1f}" for m, s in zip(means, spreads, strict=True)]
        table.add_row(name, *cells)
        console.print(f"{name}: {', '.join(cells)} ({len(SEEDS)} seeds in {time.monotonic() - started:.0f} s)")
    console.print(table)


def figures(evaluation: Evaluation) -> tuple[float, ...]:
    """AUC, AP, the published mean mAP and the one over anomaly classes, 0..1."""
    if evaluation.detection is None:
        raise ValueError("the ground truth has no classes")
    detection = evaluation.detection
    return evaluation.score.auc, evaluation.score.ap, detection.published_mean, detection.anomaly_mean


def evaluated(trainer: Trainer, held_out: list[LoadedVideo], truth: Truth) -> Evaluation:
    """The trainer's weights on the held-out videos."""
    with torch.inference_mode():
        text_features = trainer.text_features()
    scored = score_videos(trainer.model.head, text_features, PRESET.temperature, held_out)
    return evaluate(scored, truth, [c.name for c in CLASSES])


def held_out_features(footage: Path, folder: Path, tower: torch.nn.Module) -> list[LoadedVideo]:
    """Features of the whole snippets of each held-out video, kept in ``folder``."""
    folder.mkdir(exist_ok=True)
    device = choose_device("auto")
    encoder = FrameEncoder(tower, PREPROCESSING, device, choose_precision("auto", device))
    decoding = Decoding(PREPROCESSING.resize, SAMPLED_FRAMES, FRAMES_PER_SNIPPET, whole_only=True)
    pipeline = Pipeline(encoder, decoding, BATCH)
    videos = []
    for path in sorted(footage.glob("*.mp4")):
        kept = folder / f"{path.stem}__0.npy"
        if not kept.exists():
            source = Source(path, Path(path.stem))
            made = pipeline.run_one(source, FeatureCollector(source), lambda *_: None)
            np.save(kept, made.features[:, 0])
        videos.append(LoadedVideo(path.stem, np.load(kept)))
    return videos


if __name__ == "__main__":
    main()
