"""Make the built-in model ``street``: a locked EfficientNet-Lite0, a projection, and a DSANet head.

    python weights/street.py --work FOLDER --real CLIPS --out weights/street

CLIPS is a folder of real clips with ``clips.csv``; without ``--real`` all is learnt from rendered scenes. Every step
leaves its result in the work folder and is passed over when it is there already.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from footage import Track, encode_captioned, encode_clips, encode_scenes
from frames import Footage, render_captioned
from heldout import measure
from imagenet import MODEL_NAME, WIDTH, pretrained_trunk
from make import CLASSES, FALSE_EVENTS_PER_HOUR, PRESET, RATE, SEED, done, render_held_out
from numpy.typing import NDArray
from real import folds, read_clips
from rich.console import Console
from sklearn.metrics import roc_auc_score
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tuning import Projection, Texts, TowerFrames, tune

from dsanet_cli.config import FRAMES_PER_SNIPPET, EncoderConfig, EventRule, ModelConfig, Preprocessing
from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.encoder.device import choose_device, choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import split_towers
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import save_model
from dsanet_cli.models.folders import find_model, read_config
from dsanet_cli.models.text_tower import load_clip
from dsanet_cli.timeline.calibration import ScoreCurve, calibrate, false_event_lengths
from dsanet_cli.train.dataset import LabelledFeatures
from dsanet_cli.train.trainer import Trainer

FIXED, LEARNT = 192, 64
"""Directions of the projection: principal ones, and ones learnt from captions."""
PREPROCESSING = Preprocessing(resize=(160, 224), crop=(160, 224), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
TEXT_MODEL = "scenes"
"""Whose text tower it shares."""
SAMPLED_FRAMES = 1
HEAD = dataclasses.replace(
    PRESET.head, width=FIXED + LEARNT, window=64, normality_layers=1, standardised=True, probed=True
)
CAPTIONED = Footage(first_seed=1_000_000, count=400, normal_share=0.25)
FRAMES_PER_SCENE = 16
SCENES = Footage(first_seed=2_000_000, count=200, normal_share=0.5)
CLIP_FRAMES = 4
"""Frames encoded of each snippet of a real clip."""
AVERAGE_DECAY = 0.98
"""Of the moving average of the head's weights, at each step."""
SCENES_SHOWN = 4
"""How often the head is shown a scene for each time that it is shown a real clip, of which it soon knows all."""


def encoder_config() -> EncoderConfig:
    """The towers: that of ImageNet, and the text tower of ``TEXT_MODEL``."""
    custom = read_config(find_model(TEXT_MODEL)).encoder.custom
    vision = {
        "image_size": list(PREPROCESSING.crop),
        "timm_model_name": MODEL_NAME,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "timm_proj_bias": True,
    }
    width = FIXED + LEARNT
    return EncoderConfig(
        "street-EfficientNet-Lite0", width, custom={**custom, "embed_dim": width, "vision_cfg": vision}
    )


TRAINING = dataclasses.replace(
    PRESET, name="street", encoder=encoder_config(), head=HEAD, learning_rate=1e-4, batch_size=16, epochs=2
)


@dataclass(frozen=True)
class Material:
    """All that is learnt from."""

    captioned: TowerFrames
    texts: Texts
    scenes: list[Track]
    clips: list[Track]


@dataclass(frozen=True)
class Made:
    """A trained model."""

    clip: open_clip.CLIP
    trainer: Trainer
    text_features: torch.Tensor
    rule: EventRule

    def curve(self, track: Track, pooled: bool = False) -> ScoreCurve:
        """Scores of a video as it is, from one frame of each snippet or from the mean of all that were encoded."""
        with torch.no_grad():
            features = self.clip.visual.head(torch.from_numpy(snippets(track.features[0], pooled)))
        scores = score_snippets(
            self.trainer.model.head, features, self.text_features, PRESET.temperature
        ).scores.numpy()
        borders = np.arange(len(scores) + 1) * FRAMES_PER_SNIPPET / RATE
        return ScoreCurve(borders[:-1], borders[1:], scores)


def main() -> None:
    """Run every step that is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what the steps leave behind")
    parser.add_argument("--real", type=Path, help="folder of real clips, with clips.csv: path, label, source")
    parser.add_argument("--out", type=Path, required=True, help="model directory to write")
    parser.add_argument("--processes", type=int, default=2, help="scenes rendered side by side")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    started = time.monotonic()
    material = gather(arguments.work, arguments.real, arguments.processes)
    done(console, "features", started)
    made = make(material, material.clips, console)
    save(arguments.out, made, material, {})
    done(console, "model", started)
    measured = measure(arguments.out, render_held_out(arguments.work / "held-out"), console, (SAMPLED_FRAMES,))
    metrics = measured[SAMPLED_FRAMES].as_metrics()
    save(arguments.out, made, material, metrics)
    done(console, "held-out scenes", started)
    if material.clips:
        save(arguments.out, made, material, metrics | by_folds(material, console))
    done(console, "all", started)


def gather(work: Path, real: Path | None, processes: int) -> Material:
    """Render, and encode with the locked tower."""
    size = PREPROCESSING.resize
    captioned = render_captioned(CAPTIONED, FRAMES_PER_SCENE, size, work / "captioned", processes)
    device = choose_device("auto")
    encoder = FrameEncoder(pretrained_trunk(), PREPROCESSING, device, choose_precision("auto", device))
    frames = encode_captioned(captioned, encoder, work / "captioned.npy")
    scenes = encode_scenes(SCENES, size, encoder, work / "scenes", processes)
    clips = encode_clips(read_clips(real), CLIP_FRAMES, size, encoder, work / "clips") if real else []
    return Material(frames, Texts(frames, new_clip()), scenes, clips)


def new_clip() -> open_clip.CLIP:
    """The pretrained towers with a random projection each."""
    clip = build_clip(encoder_config())
    shared = find_model(TEXT_MODEL)
    text = split_towers(load_clip(shared, read_config(shared)))[1]
    del text["text_projection"]
    clip.load_state_dict(text, strict=False)
    clip.visual.trunk.load_state_dict(pretrained_trunk().state_dict())
    return clip.requires_grad_(False)


def make(material: Material, clips: Sequence[Track], console: Console) -> Made:
    """Fit the projection and train the head on all rendered scenes and on some real clips."""
    torch.manual_seed(SEED)
    clip = new_clip()
    seen = [material.captioned.features[0].numpy()]
    if clips:
        seen.append(np.concatenate([clip.features[0].reshape(-1, WIDTH) for clip in clips]))
    projection = Projection(seen, FIXED, LEARNT)
    tune(clip, projection, material.captioned, material.texts, SEED, console)
    tracks = [*material.scenes, *clips]
    with tempfile.TemporaryDirectory() as folder:
        shown = SCENES_SHOWN * project(material.scenes, clip, Path(folder)) + project(clips, clip, Path(folder))
        trainer = train_head(shown, clip, console)
    with torch.inference_mode():
        text_features = trainer.text_features()
    made = Made(clip, trainer, text_features, EventRule())
    normal = [made.curve(track) for track in tracks if track.label == CLASSES[0].name]
    return dataclasses.replace(made, rule=calibrate(EventRule(), normal, FALSE_EVENTS_PER_HOUR))


def train_head(videos: list[LabelledFeatures], clip: open_clip.CLIP, console: Console) -> Trainer:
    """Train on all videos, as few as there are, and end with the moving average of the weights.

    No part is held out to choose weights on, so what they are good for is told by folds and by other scenes alone.
    """
    trainer = Trainer(TRAINING, videos, clip, choose_device("auto"))
    average = AveragedModel(trainer.model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))
    for step in trainer.train(lambda *_: float(trainer.steps)):  # the latest is the best
        average.update_parameters(trainer.model)
        if step.ends_epoch:
            console.print(f"head epoch {step.epoch}/{TRAINING.epochs}: loss {step.losses['total']:.3f}")
    trainer.model.load_state_dict(average.module.state_dict())
    trainer.model.eval()
    return trainer


@torch.no_grad()
def project(tracks: Sequence[Track], clip: open_clip.CLIP, folder: Path) -> list[LabelledFeatures]:
    """Feature files of all versions of videos."""
    names = [c.name for c in CLASSES]
    labelled = []
    for track in tracks:
        for version, features in enumerate(track.features):
            path = folder / f"{track.name}__{version}.npy"
            np.save(path, clip.visual.head(torch.from_numpy(snippets(features, pooled=version % 2 == 0))).numpy())
            labelled.append(LabelledFeatures(path, (names.index(track.label),), track.source))
    return labelled


def snippets(features: NDArray[np.float32], pooled: bool) -> NDArray[np.float32]:
    """(N, S, width) features of frames to those of snippets (N, width): the mean, or the middle frame's."""
    return features.mean(axis=1) if pooled else features[:, features.shape[1] // 2]


def by_folds(material: Material, console: Console) -> dict[str, float | int]:
    """What models reach on clips of sources that their projection, head and threshold have not seen."""
    truth, scores, pooled, alarms = [], [], [], []
    for training, judged in folds([track.source for track in material.clips], [t.label for t in material.clips]):
        made = make(material, [material.clips[i] for i in training], console)
        for track in (material.clips[i] for i in judged):
            curve = made.curve(track)
            truth.append(track.label != CLASSES[0].name)
            scores.append(curve.scores.max())
            pooled.append(made.curve(track, pooled=True).scores.max())
            alarms.append(bool(false_event_lengths(made.rule, [curve])))
        figures = f"AUC {roc_auc_score(truth, scores):.3f}, {CLIP_FRAMES} frames {roc_auc_score(truth, pooled):.3f}"
        console.print(f"{len(truth)} real clips so far: {figures}")
    labels, raised = np.array(truth), np.array(alarms)
    return {
        "real clips by folds, AUC": round(float(roc_auc_score(labels, scores)), 4),
        f"real clips by folds, AUC, {CLIP_FRAMES} frames a snippet": round(float(roc_auc_score(labels, pooled)), 4),
        "real clips by folds, fights": int(labels.sum()),
        "real clips by folds, fights flagged": int(raised[labels].sum()),
        "real clips by folds, normal": int((~labels).sum()),
        "real clips by folds, normal flagged": int(raised[~labels].sum()),
    }


def save(directory: Path, made: Made, material: Material, metrics: dict[str, float | int]) -> None:
    """Write the model directory; weights of the head and of the projection in half precision."""
    clips = f" and {len(material.clips)} real clips of fights" if material.clips else ""
    config = ModelConfig(
        name="street",
        description="EfficientNet-Lite0 and DSANet head trained on rendered scenes and real clips of fights",
        classes=CLASSES,
        encoder=encoder_config(),
        preprocessing=PREPROCESSING,
        head=HEAD,
        temperature=PRESET.temperature,
        events=made.rule,
        sampled_frames=SAMPLED_FRAMES,
        training={
            "data": f"{SCENES.count} rendered scenes{clips}, labels of whole videos",
            "encoder": "EfficientNet-Lite0 trained on ImageNet, locked",
            "projection data": f"{CAPTIONED.count * FRAMES_PER_SCENE} rendered frames with captions{clips}",
            "seed": SEED,
            "selected by": f"nothing: average of the weights over {TRAINING.epochs} epochs, {AVERAGE_DECAY:g} a step",
        },
        metrics=metrics,
        demonstration=True,
    )
    image_tower, text_tower = split_towers(made.clip)
    model = made.trainer.model
    save_model(
        directory,
        config,
        head={name: tensor.half() for name, tensor in model.head.state_dict().items()},
        text_features=made.text_features,
        image_tower={
            name: tensor.half() if name.startswith("head.") else tensor for name, tensor in image_tower.items()
        },
        text_tower=text_tower,
        text_adapter={name: tensor.half() for name, tensor in model.text_adapter.state_dict().items()},
        overwrite=True,
        shared_text=find_model(TEXT_MODEL),
    )


if __name__ == "__main__":
    main()
