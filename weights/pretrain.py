"""Train a compact CLIP contrastively on rendered frames and their captions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from frames import CAPTIONS_PER_FRAME, CaptionedFrames
from rich.console import Console
from torch import Tensor
from torch.nn import functional

from dsanet_cli.clip import OPENAI_MEAN, OPENAI_STD, build_clip
from dsanet_cli.config import EncoderConfig

BATCH = 64
WEIGHT_DECAY = 0.1
WARM_UP_STEPS = 200
LARGEST_LOGIT_SCALE = math.log(100)
SHIFT = 12
"""Largest random displacement of a training frame, pixels."""
EVENT_SCENES, NORMAL_SCENES, FRAMES_OF_SCENE = 6, 2, 8
"""What a batch of whole scenes consists of; together ``BATCH`` frames."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training with its own learning-rate cycle.

    Batches are ``BATCH`` frames of any scene, which teach places and light, or several frames of each of a few
    scenes, which tell an event from the same place without it.
    """

    steps: int
    peak_rate: float
    by_scene: bool


PHASES = (Phase(2400, 1e-3, by_scene=False), Phase(1200, 5e-4, by_scene=True))


def pretrain(encoder: EncoderConfig, data: CaptionedFrames, seed: int, console: Console) -> open_clip.CLIP:
    """Train both towers from scratch with CLIP's symmetric contrastive loss.

    Frames of one scene and label share their captions: each counts as a match for the others.

    Args:
        encoder: A custom open_clip configuration.
        data: Frames at the size the encoder takes.
        seed: Of weights, order and augmentation.
        console: Where progress is printed.
    """
    torch.manual_seed(seed)
    clip = build_clip(encoder).train()
    for phase in PHASES:
        train_phase(clip, data, phase, seed, console)
    return clip.eval().requires_grad_(False)


def train_phase(clip: open_clip.CLIP, data: CaptionedFrames, phase: Phase, seed: int, console: Console) -> None:
    """Run one phase on ``clip``."""
    tokens = _tokenise(data, clip.context_length)
    kinds = _scene_and_label(data)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(_decay_groups(clip), lr=phase.peak_rate, betas=(0.9, 0.98), eps=1e-6)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, phase.steps))
    batches = _scene_batches(data, generator) if phase.by_scene else _frame_batches(data, generator)
    losses: list[float] = []
    for step, rows in zip(range(1, phase.steps + 1), batches, strict=False):
        images = _augment(torch.from_numpy(data.frames[rows.numpy()]), generator)
        texts = tokens[rows, torch.randint(CAPTIONS_PER_FRAME, (len(rows),), generator=generator)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image_features, text_features, scale = clip(images, texts)
        loss = _contrastive_loss(image_features.float(), text_features.float(), scale, kinds[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)
        losses.append(loss.item())
        if step % 200 == 0:
            console.print(f"CLIP step {step} of {phase.steps}: loss {np.mean(losses[-200:]):.3f}")


def _contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, kinds: Tensor) -> Tensor:
    """CLIP's loss where a frame may have several matching captions: equal ``kinds`` (n,) share the target."""
    matches = (kinds[:, None] == kinds[None, :]).float()
    targets = matches / matches.sum(dim=1, keepdim=True)
    logits = scale * images @ texts.T  # (n, n)
    return (functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)) / 2


def _scene_and_label(data: CaptionedFrames) -> Tensor:
    """A number for each frame (n,) that frames of the same scene and label share."""
    pairs = [(row // data.frames_per_scene, label) for row, label in enumerate(data.labels)]
    number = {pair: i for i, pair in enumerate(dict.fromkeys(pairs))}
    return torch.tensor([number[pair] for pair in pairs])


def _frame_batches(data: CaptionedFrames, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of any frames, each once before any comes again."""
    while True:
        order = torch.randperm(len(data.frames), generator=generator)
        for rows in order.split(BATCH):
            if len(rows) == BATCH:
                yield rows.sort().values


def _scene_batches(data: CaptionedFrames, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of several frames of each of a few scenes, most of which have an event."""
    size = data.frames_per_scene
    eventful = torch.tensor([label != "normal" for label in data.labels]).view(-1, size).any(dim=1)
    kinds = ((eventful.nonzero().flatten(), EVENT_SCENES), ((~eventful).nonzero().flatten(), NORMAL_SCENES))
    while True:
        scenes = torch.cat([s[torch.randperm(len(s), generator=generator)[:count]] for s, count in kinds])
        frames = torch.rand(len(scenes), size, generator=generator).argsort(dim=1)[:, :FRAMES_OF_SCENE]
        yield (scenes[:, None] * size + frames).flatten().sort().values


def _tokenise(data: CaptionedFrames, context_length: int) -> Tensor:
    """All captions as tokens, (frames, captions a frame, context)."""
    unique = sorted({caption for captions in data.captions for caption in captions})
    tokenised = open_clip.SimpleTokenizer(context_length=context_length)(unique)
    number = {caption: i for i, caption in enumerate(unique)}
    return tokenised[torch.tensor([[number[c] for c in captions] for captions in data.captions])]


def _decay_groups(clip: open_clip.CLIP) -> list[dict[str, object]]:
    decayed = [p for p in clip.parameters() if p.ndim >= 2]
    others = [p for p in clip.parameters() if p.ndim < 2]
    return [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]


def _rate(step: int, total: int) -> float:
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP_STEPS) / max(1, total - WARM_UP_STEPS)))


def _augment(frames: Tensor, generator: torch.Generator) -> Tensor:
    """(n, H, W, 3) uint8 to normalised (n, 3, H, W) with random mirroring, shift, exposure and loss of colour."""
    images = frames.permute(0, 3, 1, 2).float() / 255
    count, _, height, width = images.shape
    mirrored = torch.rand(count, generator=generator) < 0.5
    images[mirrored] = images[mirrored].flip(3)
    padded = functional.pad(images, (SHIFT,) * 4, mode="replicate")
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,), generator=generator).tolist()
    images = padded[:, :, down : down + height, right : right + width]
    gain = 0.7 + 0.6 * torch.rand(count, 3, 1, 1, generator=generator)
    offset = 0.2 * torch.rand(count, 1, 1, 1, generator=generator) - 0.1
    grey = (torch.rand(count, 1, 1, 1, generator=generator) < 0.15).float()
    images = grey * images.mean(1, keepdim=True) + (1 - grey) * images
    images = (images * gain + offset).clamp(0, 1)
    mean, std = torch.tensor(OPENAI_MEAN).view(3, 1, 1), torch.tensor(OPENAI_STD).view(3, 1, 1)
    return (images - mean) / std
