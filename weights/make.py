"""Make the built-in model ``scenes`` from nothing: render, pretrain CLIP, extract, train, calibrate, measure.

    python weights/make.py --work FOLDER --out weights/scenes

Every step leaves its result in the work folder and is passed over when it is there already.
"""

from __future__ import annotations

import argparse
import copy
import csv
import dataclasses
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import open_clip
import torch
from frames import Footage, render_captioned, render_snippets
from heldout import measure
from pretrain import pretrain
from rich.console import Console
from safetensors.torch import load_file, save_file

from dsanet_cli.config import (
    FRAMES_PER_SNIPPET,
    AnomalyClass,
    EncoderConfig,
    EventRule,
    HeadConfig,
    ModelConfig,
    Preprocessing,
)
from dsanet_cli.encoder.architecture import OPENAI_MEAN, OPENAI_STD
from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.encoder.device import choose_device, choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import load_exactly
from dsanet_cli.features.lists import read_list
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.models.directory import save_model
from dsanet_cli.models.presets import Preset
from dsanet_cli.timeline.calibration import calibrate
from dsanet_cli.train.curves import feature_curve
from dsanet_cli.train.dataset import LabelledFeatures, label_features, one_crop_each
from dsanet_cli.train.encoder import TrainingEncoder
from dsanet_cli.train.selection import Selection, on_training_list
from dsanet_cli.train.trainer import Trainer

SEED = 2026
PRETRAINING = Footage(first_seed=1_000_000, count=2400, normal_share=0.25)
FRAMES_PER_SCENE = 16
TRAINING = Footage(first_seed=2_000_000, count=200, normal_share=0.5)
TRAINING_FRAMES_PER_SNIPPET = 2
HELD_OUT_SEED = 9_000_000
HELD_OUT_VIDEOS = 32
SAMPLED_FRAMES = 1
FALSE_EVENTS_PER_HOUR = 3.0
"""On normal training videos; half of what is asked of videos never seen."""
RATE = 25
"""Frames per second of the rendered footage."""

PREPROCESSING = Preprocessing(resize=(160, 224), crop=(160, 224), mean=OPENAI_MEAN, std=OPENAI_STD)
ENCODER = EncoderConfig(
    architecture="scenes-XCiT",
    width=192,
    custom={
        "embed_dim": 192,
        "quick_gelu": False,
        "vision_cfg": {  # a ViT whose convolutions make it learn from few images
            "image_size": list(PREPROCESSING.crop),
            "timm_model_name": "xcit_nano_12_p16_224",
            "timm_model_pretrained": False,
            "timm_pool": "token",
            "timm_proj": "linear",
        },
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": 96, "heads": 2, "layers": 4},
    },
)
CLASSES = (
    AnomalyClass("normal", ("normal", "a normal street scene")),
    AnomalyClass("arson", ("arson", "arson, a person sets something on fire")),
    AnomalyClass("explosion", ("explosion", "an explosion with a fireball and smoke")),
    AnomalyClass("fighting", ("fighting", "people fighting")),
    AnomalyClass("roadaccidents", ("roadaccidents", "road accident", "a car crash")),
)
PRESET = Preset(
    name="scenes",
    classes=CLASSES,
    labels=MappingProxyType(
        {
            "Normal": "normal",
            "Arson": "arson",
            "Explosion": "explosion",
            "Fighting": "fighting",
            "RoadAccidents": "roadaccidents",
        }
    ),
    head=HeadConfig(
        width=ENCODER.width,
        text_width=96,
        window=96,
        temporal_layers=1,
        attention_window=4,
        adapted_layers=3,
        adapter_weight=0.1,
    ),
    temperature=1.0,
    alignment_weight=1.1,
    learning_rate=3e-4,
    batch_size=32,
    balanced_batches=True,
    samples_per_validation=None,
    selection_metric="auc",
    epochs=20,
    seed=SEED,
    encoder=ENCODER,
)


def main() -> None:
    """Run every step that is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what the steps leave behind")
    parser.add_argument("--out", type=Path, required=True, help="model directory to write")
    parser.add_argument("--processes", type=int, default=2, help="scenes rendered side by side")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    started = time.monotonic()
    clip = make_clip(arguments.work, arguments.processes, console)
    done(console, "CLIP", started)
    listing = extract_training(arguments.work / "features", clip, arguments.processes)
    done(console, "features", started)
    config, model, text_features = train_head(listing, clip, console)
    save = partial(save_scenes, arguments.out, clip, model, text_features)
    save(config)
    done(console, "head", started)
    footage = render_held_out(arguments.work / "held-out")
    done(console, "held-out scenes", started)
    figures = measure(arguments.out, footage, console)
    save(dataclasses.replace(config, metrics=figures[SAMPLED_FRAMES].as_metrics()))
    done(console, "all", started)


def save_scenes(
    directory: Path, clip: open_clip.CLIP, model: DSANet, text_features: torch.Tensor, config: ModelConfig
) -> None:
    """Write the model directory; weights in half precision, as the CLIP towers' are already."""
    image_tower, text_tower = TrainingEncoder(ENCODER, PREPROCESSING, SAMPLED_FRAMES, clip).towers()
    save_model(
        directory,
        config,
        head={name: tensor.half() for name, tensor in model.head.state_dict().items()},
        text_features=text_features,
        image_tower=image_tower,
        text_tower=text_tower,
        overwrite=True,
    )


def done(console: Console, step: str, started: float) -> None:
    """Say what is ready and after how long."""
    console.print(f"{step} ready after {(time.monotonic() - started) / 60:.1f} minutes")


def make_clip(work: Path, processes: int, console: Console) -> open_clip.CLIP:
    """Render captioned frames and train the compact CLIP on them; its weights are rounded to half precision."""
    path = work / "clip.safetensors"
    if not path.exists():
        data = render_captioned(PRETRAINING, FRAMES_PER_SCENE, PREPROCESSING.resize, work / "captioned", processes)
        trained = pretrain(ENCODER, data, SEED, console)
        save_file({name: tensor.half().contiguous() for name, tensor in trained.state_dict().items()}, path)
    clip = build_clip(ENCODER)
    load_exactly(clip, load_file(path), path)
    return clip


def extract_training(folder: Path, clip: open_clip.CLIP, processes: int) -> Path:
    """Features of the training scenes, as seen and mirrored, and the list that labels whole videos."""
    listing = folder / "train.csv"
    if listing.exists():
        return listing
    folder.mkdir(parents=True, exist_ok=True)
    device = choose_device("auto")
    tower = copy.deepcopy(clip.visual)  # the encoder changes its number format
    encoder = FrameEncoder(tower, PREPROCESSING, device, choose_precision("auto", device))
    labels = {name: label for label, name in PRESET.labels.items()}
    rows, scenes = [], list(TRAINING.scenes())
    for seed, kind, frames in render_snippets(scenes, TRAINING_FRAMES_PER_SNIPPET, PREPROCESSING.resize, processes):
        for crop in (0, 5):
            features = encoder.encode(frames.reshape(-1, *frames.shape[2:]), crop)
            path = folder / f"{kind}{seed}__{crop}.npy"
            np.save(path, features.reshape(*frames.shape[:2], -1).mean(axis=1))
            rows.append((path.name, labels[kind]))
    with listing.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label"))
        writer.writerows(rows)
    return listing


def fit_head(
    preset: Preset, videos: list[LabelledFeatures], clip: open_clip.CLIP, console: Console
) -> tuple[Trainer, Selection]:
    """Train on four fifths of the videos and end with the weights that agree best with the labels of the rest."""
    device = choose_device("auto")
    selection = on_training_list(videos, preset, device)
    trainer = Trainer(preset, selection.training, clip, device)
    for step in trainer.train(selection.validate):
        if step.figure is not None:
            console.print(
                f"head epoch {step.epoch}/{preset.epochs}: loss {step.losses['total']:.3f}, "
                f"validation {step.figure:.4f}, best {step.best:.4f}"
            )
    trainer.load_best()
    trainer.model.eval()
    return trainer, selection


def train_head(listing: Path, clip: open_clip.CLIP, console: Console) -> tuple[ModelConfig, DSANet, torch.Tensor]:
    """Train the head and calibrate its threshold on the normal videos."""
    videos = label_features(read_list(listing), PRESET)
    trainer, selection = fit_head(PRESET, videos, clip, console)
    with torch.inference_mode():
        text_features = trainer.text_features()
    normal = [video.path for video in one_crop_each(videos) if video.normal]
    seconds = FRAMES_PER_SNIPPET / RATE
    curves = [feature_curve(p, trainer.model.head, text_features, PRESET.temperature, seconds) for p in normal]
    rule = calibrate(EventRule(), curves, FALSE_EVENTS_PER_HOUR)
    config = ModelConfig(
        name="scenes",
        description="Compact CLIP and DSANet head trained on rendered surveillance scenes; not for real footage",
        classes=CLASSES,
        encoder=ENCODER,
        preprocessing=PREPROCESSING,
        head=PRESET.head,
        temperature=PRESET.temperature,
        events=rule,
        sampled_frames=SAMPLED_FRAMES,
        snippet_seconds=FRAMES_PER_SNIPPET / RATE,
        training={
            "data": f"{TRAINING.count} rendered scenes, labels of whole videos",
            "encoder data": f"{PRETRAINING.count * FRAMES_PER_SCENE} rendered frames with captions",
            "seed": SEED,
            "selected by": f"{selection.figure_name}, {trainer.best:.4f}",
        },
        demonstration=True,
    )
    return config, trainer.model, text_features


def render_held_out(folder: Path) -> Path:
    """Videos at full rate of seeds that were never trained on."""
    if not (folder / "list.csv").exists():
        make = Path(__file__).resolve().parent.parent / "samples" / "make.py"
        subprocess.run(
            [sys.executable, make, "--seed", str(HELD_OUT_SEED), "--videos", str(HELD_OUT_VIDEOS), "--out", folder],
            check=True,
        )
    return folder


if __name__ == "__main__":
    main()
