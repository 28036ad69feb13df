"""What an encoder is built like, and what its frames have to look like: known without importing open_clip."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from dsanet_cli.config import EncoderConfig, Preprocessing
from dsanet_cli.errors import ModelError

OPENAI_MEAN: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
"""Of the channels R, G and B of the pictures that OpenAI's CLIP was trained on, as open_clip has them."""
PUBLISHED_PREPROCESSING = Preprocessing(resize=(256, 340), crop=(224, 224), mean=OPENAI_MEAN, std=OPENAI_STD)
"""Of the published feature sets (protocol: features)."""
OPEN_CLIP_IMAGE_SIZE = 224
"""Input size of architectures whose configuration names none."""
PARTS = {"embed_dim", "vision_cfg", "text_cfg"}
"""Of the configuration of an architecture."""


def architecture_config(encoder: EncoderConfig) -> dict[str, Any]:
    """The open_clip configuration of ``encoder``: its own, or the one open_clip lists under its name.

    Raises:
        ModelError: open_clip knows no such architecture.
    """
    if encoder.custom is not None:
        return dict(encoder.custom)
    return _shipped_config(encoder.architecture) or _known_config(encoder.architecture)


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
    published = {}
    if encoder.pretrained:
        from open_clip.pretrained import get_pretrained_cfg  # noqa: PLC0415 - seconds, for weights by tag only

        published = get_pretrained_cfg(encoder.architecture, encoder.pretrained)
    mean = tuple(published.get("mean") or OPENAI_MEAN)
    std = tuple(published.get("std") or OPENAI_STD)
    return Preprocessing(resize=(high, wide), crop=crop, mean=mean, std=std)


def _shipped_config(name: str) -> dict[str, Any] | None:
    """What open_clip's own file says of an architecture, None where it is not as expected."""
    spec = importlib.util.find_spec("open_clip")  # which does not import it
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "model_configs", f"{name}.json")
        if path.name == f"{name}.json" and path.is_file():
            config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return config if config.keys() >= PARTS else None
    return None


def _known_config(name: str) -> dict[str, Any]:
    """What open_clip says of an architecture when it is asked.

    Raises:
        ModelError: it knows no such architecture.
    """
    import open_clip  # noqa: PLC0415 - seconds of import, only for what has no file

    if name not in open_clip.list_models():  # it would also load what an address leads to
        raise ModelError(
            f"encoder {name}: not an open_clip architecture; "
            "python -c 'import open_clip; print(open_clip.list_models())' lists them"
        )
    config: dict[str, Any] = open_clip.get_model_config(name)
    return config
