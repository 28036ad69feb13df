"""Train a compact CLIP contrastively on rendered frames and their captions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import open_clip
import torch
from frames import CAPTIONS_PER_FRAME, CaptionedFrames
from rich.console import Console
from scenes.captions import PHRASES
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import resized_crop

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder.architecture import OPENAI_MEAN, OPENAI_STD
from dsanet_cli.encoder.clip import build_clip

STEPS = 2600
PEAK_RATE = 5e-4
WARM_UP_STEPS = 100
WEIGHT_DECAY = 0.1
LARGEST_LOGIT_SCALE = math.log(100)
SCENES, FRAMES_OF_SCENE = 16, 4
"""What a batch consists of: several frames of a scene tell an event from the same place without it."""
PHRASE_SHARE = 0.7
"""How often a frame's text names only its class."""
SMALLEST_CROP = 0.7
"""Side of the smallest random crop, as a share of the frame's."""
STEPS_PER_REPORT = 200
VALIDATION_SCENES = 60
"""Left out of training, to report how well events are recognised in scenes never seen."""


def pretrain(encoder: EncoderConfig, data: CaptionedFrames, seed: int, console: Console) -> open_clip.CLIP:
    """Train both towers from scratch with CLIP's symmetric contrastive loss.

    A text is a caption of the frame, true of the frames of that scene with the same label, or a phrase that
    names the class, true of all frames of the class. Every frame that a text is true of counts as its match.

    Args:
        encoder: A custom open_clip configuration.
        data: Frames at the size the encoder takes.
        seed: Of weights, order and augmentation.
        console: Where progress is printed.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    clip = build_clip(encoder).train()
    captions, phrases = _tokenise(data, clip.context_length)
    class_names = list(PHRASES)
    labels = torch.tensor([class_names.index(label) for label in data.labels])
    optimiser = torch.optim.AdamW(_decay_groups(clip), lr=PEAK_RATE, betas=(0.9, 0.98), eps=1e-6)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate)
    losses: list[float] = []
    for step, rows in zip(range(1, STEPS + 1), _batches(data, generator), strict=False):
        images = _normalise(_augment(torch.from_numpy(data.frames[rows.numpy()]), generator))
        short = torch.rand(len(rows), generator=generator) < PHRASE_SHARE
        any_caption = torch.randint(CAPTIONS_PER_FRAME, (len(rows),), generator=generator)
        any_phrase = torch.randint(phrases.shape[1], (len(rows),), generator=generator)
        texts = torch.where(short[:, None], phrases[labels[rows], any_phrase], captions[rows, any_caption])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image_features, text_features, scale = clip(images, texts)
        same_label = labels[rows][:, None] == labels[rows]
        scenes = rows // data.frames_per_scene
        matches = same_label & (short | (scenes[:, None] == scenes))
        loss = _contrastive_loss(image_features.float(), text_features.float(), scale, matches.float())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(clip.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)
        losses.append(loss.item())
        if step % STEPS_PER_REPORT == 0:
            right, auc = _recognition(clip, data, phrases, labels)
            console.print(
                f"CLIP step {step} of {STEPS}: loss {np.mean(losses[-STEPS_PER_REPORT:]):.3f}; frames of other "
                f"scenes: {right:.1%} named right, event against none AUC {auc:.3f}"
            )
    return clip.eval().requires_grad_(False)


def _contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, matches: Tensor) -> Tensor:
    """CLIP's loss where ``matches`` (n images, n texts) tells which text is true of which image."""
    logits = scale * images @ texts.T  # (n, n)
    by_image = matches / matches.sum(dim=1, keepdim=True)
    by_text = (matches / matches.sum(dim=0, keepdim=True)).T
    return (functional.cross_entropy(logits, by_image) + functional.cross_entropy(logits.T, by_text)) / 2


def _batches(data: CaptionedFrames, generator: torch.Generator) -> Iterator[Tensor]:
    """Rows of a few frames of each of some scenes, each scene once before any comes again."""
    size = data.frames_per_scene
    scenes = len(data.frames) // size - VALIDATION_SCENES
    while True:
        for some in torch.randperm(scenes, generator=generator).split(SCENES):
            frames = torch.rand(len(some), size, generator=generator).argsort(dim=1)[:, :FRAMES_OF_SCENE]
            yield (some[:, None] * size + frames).flatten().sort().values


@torch.no_grad()
def _recognition(clip: open_clip.CLIP, data: CaptionedFrames, phrases: Tensor, labels: Tensor) -> tuple[float, float]:
    """How often the nearest class is right on the validation scenes, and the AUC of "not normal"."""
    clip.eval()
    count, classes = VALIDATION_SCENES * data.frames_per_scene, len(phrases)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        texts = clip.encode_text(phrases.flatten(0, 1), normalize=True).float()
        chunks = torch.from_numpy(data.frames[-count:].copy()).split(SCENES * FRAMES_OF_SCENE)
        images = torch.cat([clip.encode_image(_normalise(_scaled(c)), normalize=True).float() for c in chunks])
    means = functional.normalize(texts.unflatten(0, (classes, -1)).mean(dim=1), dim=1)  # (classes, width)
    likely = (clip.logit_scale.exp() * images @ means.T).softmax(dim=1)
    truth = labels[-count:]
    clip.train()
    normal = list(PHRASES).index("normal")
    return float((likely.argmax(dim=1) == truth).float().mean()), roc_auc_score(truth != normal, -likely[:, normal])


def _tokenise(data: CaptionedFrames, context_length: int) -> tuple[Tensor, Tensor]:
    """Tokens of all captions (frames, captions a frame, context), and of the phrases (classes, phrases, context).

    Classes with fewer phrases repeat theirs.
    """
    tokenizer = open_clip.SimpleTokenizer(context_length=context_length)
    unique = sorted({caption for captions in data.captions for caption in captions})
    tokenised = tokenizer(unique)
    number = {caption: i for i, caption in enumerate(unique)}
    longest = max(map(len, PHRASES.values()))
    phrases = [tokenizer([some[i % len(some)] for i in range(longest)]) for some in PHRASES.values()]
    return tokenised[torch.tensor([[number[c] for c in captions] for captions in data.captions])], torch.stack(phrases)


def _decay_groups(clip: open_clip.CLIP) -> list[dict[str, object]]:
    decayed = [p for p in clip.parameters() if p.ndim >= 2]
    others = [p for p in clip.parameters() if p.ndim < 2]
    return [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]


def _rate(step: int) -> float:
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP_STEPS) / (STEPS - WARM_UP_STEPS)))


def _scaled(frames: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) in 0 to 1."""
    return frames.permute(0, 3, 1, 2).float() / 255


def _normalise(images: Tensor) -> Tensor:
    mean, std = torch.tensor(OPENAI_MEAN).view(3, 1, 1), torch.tensor(OPENAI_STD).view(3, 1, 1)
    return (images - mean) / std


def _augment(frames: Tensor, generator: torch.Generator) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) in 0 to 1, randomly cropped, mirrored, exposed and bereft of colour."""
    count, height, width, _ = frames.shape
    draws = torch.rand(count, 4, generator=generator)
    crops = []
    for frame, (scale, down, right, mirror) in zip(frames.permute(0, 3, 1, 2), draws.tolist(), strict=True):
        side = SMALLEST_CROP + (1 - SMALLEST_CROP) * scale
        rows, columns = round(side * height), round(side * width)
        top, left = round(down * (height - rows)), round(right * (width - columns))
        crop = resized_crop(frame, top, left, rows, columns, [height, width])
        crops.append(crop.flip(2) if mirror < 0.5 else crop)
    images = torch.stack(crops).float() / 255
    gain = 0.7 + 0.6 * torch.rand(count, 3, 1, 1, generator=generator)
    offset = 0.2 * torch.rand(count, 1, 1, 1, generator=generator) - 0.1
    grey = torch.rand(count, 1, 1, 1, generator=generator) < 0.15
    return (torch.where(grey, images.mean(1, keepdim=True), images) * gain + offset).clamp(0, 1)
