"""Fit the projection of a locked image tower to texts, and texts to it (after Zhai et al. 2022, LiT).

Most of the projection is fixed: the principal directions of the features, which keep what ImageNet taught about real
pictures. The rest is learnt contrastively from frames and their captions, and so is the projection of the text tower;
both towers themselves are locked, so that their features are computed once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import open_clip
import torch
from imagenet import WIDTH
from numpy.typing import NDArray
from rich.console import Console
from scenes.captions import PHRASES
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

CLASSES = list(PHRASES)
STEPS = 1000
PEAK_RATE = 2e-3
WARM_UP_STEPS = 50
WEIGHT_DECAY = 0.1
LARGEST_LOGIT_SCALE = math.log(100)
SCENES, FRAMES_OF_SCENE = 16, 4
"""What a batch consists of: several frames of a scene tell an event from the same place without it."""
PHRASE_SHARE = 0.7
"""How often a frame's text names only its class."""
VALIDATION_SCENES = 60
"""Left out of training, to report how well events are recognised in scenes never seen."""


@dataclass(frozen=True)
class TowerFrames:
    """Features of frames before the projection, in several versions each, and what is known of them."""

    features: Tensor
    """(V, n, ``WIDTH``)."""
    labels: Tensor
    """(n,) places in ``CLASSES``."""
    groups: Tensor
    """(n,) the scene that each is of, in order."""
    captions: Sequence[Sequence[str]]
    """Several for each frame."""

    def of_groups(self, chosen: Tensor) -> TowerFrames:
        """The frames of some groups."""
        rows = torch.isin(self.groups, chosen).nonzero().squeeze(1)
        captions = [self.captions[row] for row in rows.tolist()]
        return TowerFrames(self.features[:, rows], self.labels[rows], self.groups[rows], captions)


class Projection(nn.Module):
    """(…, ``WIDTH``) to (…, D): centred, scaled, then fixed directions beside learnt ones.

    Args:
        sets: Features (n, ``WIDTH``) whose principal directions are taken; each set counts the same.
        fixed: How many of these.
        learnt: How many others.
    """

    def __init__(self, sets: Sequence[NDArray[np.float32]], fixed: int, learnt: int) -> None:
        super().__init__()
        mean = np.mean([some.mean(axis=0) for some in sets], axis=0)
        covariance = np.mean([(some - mean).T @ (some - mean) / len(some) for some in sets], axis=0)
        variances, directions = np.linalg.eigh(covariance)  # in ascending order
        self.mean = nn.Buffer(torch.from_numpy(mean.astype(np.float32)))
        self.scale = nn.Buffer(torch.tensor(float(np.sqrt(variances[-fixed:].mean()))))
        self.fixed = nn.Buffer(torch.from_numpy(directions[:, : -fixed - 1 : -1].T.astype(np.float32).copy()))
        self.learnt = nn.Parameter(0.02 * torch.randn(learnt, WIDTH))

    def forward(self, features: Tensor) -> Tensor:
        return functional.linear((features - self.mean) / self.scale, torch.cat([self.fixed, self.learnt]))

    @torch.no_grad()
    def write_to(self, layer: nn.Linear) -> None:
        """Give ``layer`` the weights that do the same, rounded to half precision."""
        weight = torch.cat([self.fixed, self.learnt]) / self.scale
        layer.weight.copy_(weight.half())
        layer.bias.copy_((-weight @ self.mean).half())


def tune(
    clip: open_clip.CLIP,
    projection: Projection,
    rendered: TowerFrames,
    texts: Texts,
    seed: int,
    console: Console,
) -> None:
    """Train the projection's learnt part, and that of the text tower, with CLIP's symmetric contrastive loss.

    A text is a caption of the frame, true of the frames of that scene with the same label, or a phrase that
    names the class, true of all frames of the class. Every frame that a text is true of counts as its match.

    Args:
        clip: Its text tower is trained already; at the end it has the projections found. Its image tower is not used.
        projection: At its beginning.
        rendered: Frames with captions; the last scenes are only used to report.
        texts: Those of the rendered frames.
        seed: Of the order.
        console: Where progress is printed.
    """
    generator = torch.Generator().manual_seed(seed)
    parameters = [projection.learnt, clip.text_projection.requires_grad_(), clip.logit_scale.requires_grad_()]
    optimiser = torch.optim.AdamW(_decay_groups(parameters), lr=PEAK_RATE, betas=(0.9, 0.98), eps=1e-6)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate)
    groups = rendered.groups.unique()
    training, validation = groups[:-VALIDATION_SCENES], groups[-VALIDATION_SCENES:]
    for _ in range(STEPS):
        batch = _draw(rendered, training, texts, generator)
        image_features = functional.normalize(projection(batch.features), dim=-1)
        text_features = functional.normalize(batch.texts @ clip.text_projection, dim=-1)
        loss = _contrastive_loss(image_features, text_features, clip.logit_scale.exp(), batch.matches())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)
    clip.requires_grad_(False)
    projection.write_to(clip.visual.head.proj)
    others = rendered.of_groups(validation)
    for version, features in enumerate(others.features):
        right, auc = _recognition(clip, projection(features), texts, others.labels)
        console.print(f"other scenes, version {version}: {right:.1%} of frames named right, AUC of events {auc:.3f}")


class Texts:
    """The text tower's states, before its projection, for captions (n frames, captions, T) and for phrases
    (classes, phrases, T).
    """

    def __init__(self, frames: TowerFrames, clip: open_clip.CLIP) -> None:
        unique = sorted({caption for captions in frames.captions for caption in captions})
        number = {caption: i for i, caption in enumerate(unique)}
        states = _text_states(clip, unique)
        self.captions = states[torch.tensor([[number[c] for c in captions] for captions in frames.captions])]
        longest = max(map(len, PHRASES.values()))  # classes with fewer repeat theirs
        self.phrases = torch.stack(
            [_text_states(clip, [some[i % len(some)] for i in range(longest)]) for some in PHRASES.values()]
        )

    def phrases_of(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """One phrase at random for each class."""
        return self.phrases[labels, torch.randint(self.phrases.shape[1], labels.shape, generator=generator)]


@torch.no_grad()
def _text_states(clip: open_clip.CLIP, texts: Sequence[str]) -> Tensor:
    """What ``clip.encode_text`` projects; without the work for the empty places after the longest text's end."""
    tokens = open_clip.SimpleTokenizer(context_length=clip.context_length)(list(texts))
    length = int(tokens.argmax(dim=1).max()) + 1
    states = []
    for some in tokens[:, :length].split(256):
        x = clip.token_embedding(some) + clip.positional_embedding[:length]
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        states.append(clip.ln_final(x)[torch.arange(len(x)), some.argmax(dim=1)])
    return torch.cat(states)


@dataclass(frozen=True)
class Batch:
    """Frames and a text for each."""

    features: Tensor
    labels: Tensor
    groups: Tensor
    texts: Tensor
    of_class: Tensor
    """Whether a text says no more than the class."""

    def matches(self) -> Tensor:
        """(n images, n texts) which text is true of which image, 0 or 1."""
        same_class = self.labels[:, None] == self.labels
        return (same_class & (self.of_class | (self.groups[:, None] == self.groups))).float()


def _draw(frames: TowerFrames, groups: Tensor, texts: Texts, generator: torch.Generator) -> Batch:
    size = int((frames.groups == groups[0]).sum())
    scenes = torch.randperm(len(groups), generator=generator)[:SCENES]
    few = torch.rand(SCENES, size, generator=generator).argsort(dim=1)[:, :FRAMES_OF_SCENE]
    rows = (scenes[:, None] * size + few).flatten()
    labels = frames.labels[rows]
    of_class = torch.rand(len(rows), generator=generator) < PHRASE_SHARE
    any_caption = torch.randint(texts.captions.shape[1], (len(rows),), generator=generator)
    chosen = torch.where(of_class[:, None], texts.phrases_of(labels, generator), texts.captions[rows, any_caption])
    return Batch(_versions(frames, rows, generator), labels, frames.groups[rows], chosen, of_class)


def _versions(frames: TowerFrames, rows: Tensor, generator: torch.Generator) -> Tensor:
    return frames.features[torch.randint(len(frames.features), rows.shape, generator=generator), rows]


def _contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, matches: Tensor) -> Tensor:
    """CLIP's loss where ``matches`` (n images, n texts) tells which text is true of which image."""
    logits = scale * images @ texts.T  # (n, n)
    by_image = matches / matches.sum(dim=1, keepdim=True)
    by_text = (matches / matches.sum(dim=0, keepdim=True)).T
    return (functional.cross_entropy(logits, by_image) + functional.cross_entropy(logits.T, by_text)) / 2


@torch.no_grad()
def _recognition(clip: open_clip.CLIP, features: Tensor, texts: Texts, truth: Tensor) -> tuple[float, float]:
    """How often the nearest class is right, and the AUC of "not normal"."""
    phrases = functional.normalize(texts.phrases @ clip.text_projection, dim=-1)
    means = functional.normalize(phrases.mean(dim=1), dim=1)  # (classes, width)
    likely = (clip.logit_scale.exp() * functional.normalize(features, dim=-1) @ means.T).softmax(dim=1)
    normal = CLASSES.index("normal")
    return float((likely.argmax(dim=1) == truth).float().mean()), roc_auc_score(truth != normal, -likely[:, normal])


def _decay_groups(parameters: Sequence[nn.Parameter]) -> list[dict[str, object]]:
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _rate(step: int) -> float:
    if step < WARM_UP_STEPS:
        return (step + 1) / WARM_UP_STEPS
    return 0.5 * (1 + math.cos(math.pi * (step - WARM_UP_STEPS) / (STEPS - WARM_UP_STEPS)))
