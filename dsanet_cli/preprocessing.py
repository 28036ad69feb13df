"""How frames are sized and cut for an encoder: the published way, and its proportions for other input sizes."""

from __future__ import annotations

from open_clip.pretrained import get_pretrained_cfg

from dsanet_cli.clip import OPENAI_MEAN, OPENAI_STD, architecture_config
from dsanet_cli.config import EncoderConfig, Preprocessing

PUBLISHED_PREPROCESSING = Preprocessing(resize=(256, 340), crop=(224, 224), mean=OPENAI_MEAN, std=OPENAI_STD)
"""Of the published feature sets (protocol: features)."""
OPEN_CLIP_IMAGE_SIZE = 224
"""Input size of architectures whose configuration names none."""


def preprocessing_for(encoder: EncoderConfig) -> Preprocessing:
    """The published preprocessing, scaled to the input size of ``encoder``, with its weights' mean and deviation.

    Raises:
        ModelError: open_clip knows no such architecture.
    """
    size = architecture_config(encoder)["vision_cfg"].get("image_size", OPEN_CLIP_IMAGE_SIZE)
    crop: tuple[int, int] = (size, size) if isinstance(size, int) else (size[0], size[1])
    high, wide = (
        round(side * resized / cut)
        for side, resized, cut in zip(crop, PUBLISHED_PREPROCESSING.resize, PUBLISHED_PREPROCESSING.crop, strict=True)
    )
    published = get_pretrained_cfg(encoder.architecture, encoder.pretrained) if encoder.pretrained else {}
    mean = tuple(published.get("mean") or OPENAI_MEAN)
    std = tuple(published.get("std") or OPENAI_STD)
    return Preprocessing(resize=(high, wide), crop=crop, mean=mean, std=std)
