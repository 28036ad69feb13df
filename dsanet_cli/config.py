"""What a model is: frozen, typed, and the same on disk (``config.json``) as in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dsanet_cli.errors import ModelError

CONFIG_SCHEMA = 1
FRAMES_PER_SNIPPET = 16
"""Consecutive video frames in one snippet (the field's unit of time, protocol: features)."""


@dataclass(frozen=True)
class AnomalyClass:
    """One class the head tells apart; class 0 of a model is the normal one."""

    name: str
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Preprocessing:
    """How a frame becomes the encoder's input; sizes are (height, width) in pixels."""

    resize: tuple[int, int]
    crop: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class EncoderConfig:
    """The CLIP encoder a model was trained on.

    ``architecture`` is an open_clip model name; where ``custom`` is set, it holds that model's
    open_clip configuration (``embed_dim``, ``vision_cfg``, ``text_cfg``) instead of open_clip's list.
    ``pretrained`` names the open_clip tag to load; None means that the weights lie in the model directory.
    """

    architecture: str
    width: int
    pretrained: str | None = None
    custom: dict[str, Any] | None = None


@dataclass(frozen=True)
class HeadConfig:
    """Dimensions of the DSANet head (paper section 3; published values in ``PRESETS``)."""

    width: int
    text_width: int
    window: int
    temporal_layers: int
    attention_window: int
    adapted_layers: int
    adapter_weight: float
    temporal_heads: int = 1
    prototypes: int = 16
    normal_share: float = 0.8
    normality_heads: int = 8
    normality_layers: int = 8


@dataclass(frozen=True)
class Parts:
    """The paper's contributions, each of which can be left out of training to see what it brings."""

    sg_nm: bool = True
    """Self-guided normality modelling: the gather and consistency losses."""
    dcsa: bool = True
    """Decoupled contrastive semantic alignment: the event and background losses."""
    text_adapter: bool = True
    """Trained class text features, instead of CLIP's own."""


ALL_PARTS = Parts()


@dataclass(frozen=True)
class EventRule:
    """How a score curve becomes events; scores in 0..1, times in seconds.

    An event starts where the score reaches ``threshold`` and lasts while it stays at or above ``release``
    (hysteresis); events closer than ``merge_gap`` become one; shorter than ``min_length`` are dropped.
    """

    threshold: float = 0.5
    release: float = 0.35
    merge_gap: float = 2.0
    min_length: float = 0.5


@dataclass(frozen=True)
class Origin:
    """Where a model's weights were fetched from."""

    url: str
    sha256: str
    """Of the file as it was there (hex)."""


@dataclass(frozen=True)
class ModelConfig:
    """All of ``config.json``."""

    name: str
    description: str
    classes: tuple[AnomalyClass, ...]
    encoder: EncoderConfig
    preprocessing: Preprocessing
    head: HeadConfig
    temperature: float
    events: EventRule
    sampled_frames: int
    """Frames encoded per snippet by default, evenly spread over its 16 (1..16)."""
    snippet_frames: int = FRAMES_PER_SNIPPET
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    demonstration: bool = False
    """Whether it only shows how the program works, and is no model for real footage."""
    origin: Origin | None = None
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of each weight file in the model directory."""
    schema: int = CONFIG_SCHEMA

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise ModelError(f"model {self.name}: needs a normal class and at least one other")
        if self.head.width != self.encoder.width:
            raise ModelError(
                f"model {self.name}: the head takes features {self.head.width} wide, "
                f"the encoder gives {self.encoder.width}"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, the normal one first."""
        return tuple(c.name for c in self.classes)
