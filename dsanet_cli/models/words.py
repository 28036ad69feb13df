"""Other classes for a trained model, given in words: events get other names, their times stay the same.

The anomaly score does not depend on the class features E (paper section 3, ``logits1``); only the alignment does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from dsanet_cli.config import AnomalyClass
from dsanet_cli.head.text_adapter import tokenise
from dsanet_cli.models.directory import Model
from dsanet_cli.models.text_tower import load_clip, load_text_adapter

if TYPE_CHECKING:
    import open_clip


def with_classes(model: Model, classes: Sequence[AnomalyClass], weights: Path | None = None) -> Model:
    """The model with other classes, whose features its text tower and text adapter compute.

    Args:
        model: Any with a text adapter.
        classes: The normal class first.
        weights: A checkpoint file to take the text tower from, where it comes from open_clip by name.

    Returns:
        A model of another hash, since its results differ.

    Raises:
        ModelError: the model holds no text adapter, its text tower is not available, or a prompt is too long.
    """
    adapter = load_text_adapter(model.directory, model.config)
    clip = _clip(model, weights)
    with torch.inference_mode():
        text_features = adapter(clip, tokenise(classes, context_length=clip.context_length))
    words = json.dumps([dataclasses.asdict(one) for one in classes], sort_keys=True)
    return dataclasses.replace(
        model,
        config=dataclasses.replace(model.config, classes=tuple(classes)),
        text_features=text_features.clone(),
        sha256=hashlib.sha256(f"{model.sha256} {words}".encode()).hexdigest(),
    )


def _clip(model: Model, weights: Path | None) -> open_clip.CLIP:
    encoder = model.config.encoder
    if encoder.pretrained is not None:
        from dsanet_cli.encoder.clip import load_pretrained  # noqa: PLC0415 - seconds of import

        return load_pretrained(encoder, weights)
    return load_clip(model.directory, model.config)
