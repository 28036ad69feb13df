"""A complete model small enough to make in a moment, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from dsanet_cli.config import AnomalyClass, EncoderConfig, EventRule, HeadConfig, ModelConfig, Preprocessing
from dsanet_cli.encoder.architecture import OPENAI_MEAN, OPENAI_STD
from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.head.text_adapter import tokenise
from dsanet_cli.models.directory import save_model

WIDTH = 16
MARGINS = Preprocessing((40, 60), (32, 48), OPENAI_MEAN, OPENAI_STD)
"""Larger frames than crops, as the published preprocessing has it."""
CLASSES = (
    AnomalyClass("normal", ("normal",)),
    AnomalyClass("fighting", ("fighting", "people fighting")),
    AnomalyClass("explosion", ("explosion",)),
)
ENCODER = EncoderConfig(
    architecture="tiny",
    width=WIDTH,
    custom={
        "embed_dim": WIDTH,
        "quick_gelu": True,
        "vision_cfg": {"image_size": [32, 48], "patch_size": 16, "width": 32, "layers": 1, "head_width": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 2},
    },
)
HEAD = HeadConfig(
    width=WIDTH,
    text_width=8,
    window=8,
    temporal_layers=1,
    attention_window=4,
    adapted_layers=1,
    adapter_weight=0.1,
    normality_layers=2,
)


def tiny_config(**changes) -> ModelConfig:
    values = {
        "name": "tiny",
        "description": "random weights",
        "classes": CLASSES,
        "encoder": ENCODER,
        "preprocessing": Preprocessing((32, 48), (32, 48), OPENAI_MEAN, OPENAI_STD),
        "head": HEAD,
        "temperature": 2.0,
        "events": EventRule(),
        "sampled_frames": 2,
    }
    return ModelConfig(**{**values, **changes})


def tiny_clip():
    torch.manual_seed(1)
    return build_clip(ENCODER)


def save_tiny_model(directory: Path, overwrite: bool = False, **changes) -> ModelConfig:
    """Write the model, text tower included."""
    clip = tiny_clip()
    torch.manual_seed(2)
    model = DSANet(HEAD).eval()
    with torch.inference_mode():
        text_features = model.text_features(clip, tokenise(CLASSES, context_length=16))
    state = clip.state_dict()
    return save_model(
        directory,
        tiny_config(**changes),
        head=model.head.state_dict(),
        text_features=text_features,
        image_tower=clip.visual.state_dict(),
        text_tower={name: tensor for name, tensor in state.items() if not name.startswith("visual.")},
        text_adapter=model.text_adapter.state_dict(),
        overwrite=overwrite,
    )
