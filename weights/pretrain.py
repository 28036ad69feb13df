"""Train a compact CLIP contrastively on rendered frames and their captions."""

from __future__ import annotations

import math

import numpy as np
import open_clip
import torch
from frames import CAPTIONS_PER_FRAME, CaptionedFrames
from open_clip.loss import ClipLoss
from rich.console import Console
from torch import Tensor
from torch.nn import functional

from dsanet_cli.clip import OPENAI_MEAN, OPENAI_STD, build_clip
from dsanet_cli.config import EncoderConfig

BATCH = 64
PEAK_LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.1
WARM_UP_STEPS = 200
LARGEST_LOGIT_SCALE = math.log(100)
SHIFT = 12
"""Largest random displacement of a training frame, pixels."""


def pretrain(encoder: EncoderConfig, data: CaptionedFrames, epochs: int, seed: int, console: Console) -> open_clip.CLIP:
    """Train both towers from scratch with CLIP's symmetric contrastive loss.

    Args:
        encoder: A custom open_clip configuration.
        data: Frames at the size the encoder takes.
        epochs: Passes over all frames.
        seed: Of weights, order and augmentation.
        console: Where progress is printed.
    """
    torch.manual_seed(seed)
    clip = build_clip(encoder).train()
    tokens = _tokenise(data, clip.context_length)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(_decay_groups(clip), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), eps=1e-6)
    steps_per_epoch = len(data.frames) // BATCH
    total = steps_per_epoch * epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, total))
    loss_function = ClipLoss()
    for epoch in range(epochs):
        order = torch.randperm(len(data.frames), generator=generator)
        losses = []
        for step in range(steps_per_epoch):
            rows = order[step * BATCH : (step + 1) * BATCH].sort().values
            images = _augment(torch.from_numpy(data.frames[rows.numpy()]), generator)
            texts = tokens[rows, torch.randint(CAPTIONS_PER_FRAME, (len(rows),), generator=generator)]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                image_features, text_features, scale = clip(images, texts)
            loss = loss_function(image_features.float(), text_features.float(), scale)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                clip.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)
            losses.append(loss.item())
        console.print(f"CLIP epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.3f}")
    return clip.eval().requires_grad_(False)


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
