"""What a model is: frozen, typed, and the same on disk (``config.json``) as in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from dsanet_cli.errors import ModelError
from dsanet_cli.records import PRINTABLE, Length, Line, Name, Sha256, Share

FRAMES_PER_SNIPPET = 16
"""Consecutive video frames in one snippet (the field's unit of time, protocol: features)."""

Width = Annotated[int, Meta(ge=1, le=8192)]
Layers = Annotated[int, Meta(ge=1, le=64)]
Heads = Annotated[int, Meta(ge=1, le=256)]
Window = Annotated[int, Meta(ge=1, le=4096)]
Side = Annotated[int, Meta(ge=1, le=4096, description="pixels")]
Frames = Annotated[int, Meta(ge=1, le=1024)]
SnippetSeconds = Annotated[float, Meta(ge=0.1, le=60, description="seconds")]
GreyLevels = Annotated[float, Meta(ge=0, le=255, description="of 255")]
Ratio = Annotated[float, Meta(gt=0, le=1000)]
Level = Annotated[float, Meta(ge=-1000, le=1000)]
PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$(?!\n)")]
"""Never a path, nor an address that open_clip or timm would load from (``hf-hub:…``, ``local-dir:…``)."""


@dataclass(frozen=True)
class AnomalyClass:
    """One class the head tells apart; class 0 of a model is the normal one."""

    name: Name
    prompts: Annotated[tuple[Annotated[Line, Meta(min_length=1)], ...], Meta(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Preprocessing:
    """How a frame becomes the encoder's input; sizes are (height, width) in pixels."""

    resize: tuple[Side, Side]
    crop: tuple[Side, Side]
    mean: tuple[Level, Level, Level]
    std: tuple[Ratio, Ratio, Ratio]

    def __post_init__(self) -> None:
        if any(cut > side for cut, side in zip(self.crop, self.resize, strict=True)):
            raise ModelError(f"preprocessing: cannot cut {self.crop} out of frames of {self.resize} pixels")


class VisionConfig(TypedDict):
    """What a model directory may say of its image tower, of all that open_clip's ``vision_cfg`` can hold."""

    image_size: Side | Annotated[list[Side], Meta(min_length=2, max_length=2)]
    layers: NotRequired[Layers | Annotated[list[Layers], Meta(min_length=4, max_length=4)]]
    width: NotRequired[Width]
    head_width: NotRequired[Width]
    patch_size: NotRequired[Side]
    mlp_ratio: NotRequired[Ratio]
    ls_init_value: NotRequired[Ratio | None]
    no_ln_pre: NotRequired[bool]
    final_ln_after_pool: NotRequired[bool]
    pool_type: NotRequired[Literal["tok", "avg", "none"]]
    timm_model_name: NotRequired[Annotated[str, Meta(pattern=r"^[a-z0-9_.]{1,100}$(?!\n)")]]
    timm_model_pretrained: NotRequired[Literal[False]]
    timm_pool: NotRequired[Literal["", "avg", "map", "token", "abs_attn", "rot_attn"]]
    timm_proj: NotRequired[Literal["", "none", "linear", "mlp"] | None]
    timm_proj_bias: NotRequired[bool]


class TextConfig(TypedDict):
    """The same of its text tower; towers and tokenisers of the Hugging Face hub are left out on purpose."""

    context_length: Annotated[int, Meta(ge=1, le=4096)]
    vocab_size: Annotated[int, Meta(ge=1, le=2_000_000)]
    width: Width
    heads: Heads
    layers: Layers
    mlp_ratio: NotRequired[Ratio]
    ls_init_value: NotRequired[Ratio | None]
    embed_cls: NotRequired[bool]
    pad_id: NotRequired[Annotated[int, Meta(ge=0, le=2_000_000)]]
    eos_id: NotRequired[Annotated[int, Meta(ge=0, le=2_000_000)]]
    no_causal_mask: NotRequired[bool]
    final_ln_after_pool: NotRequired[bool]
    pool_type: NotRequired[Literal["first", "last", "argmax", "eos", "none"]]
    proj_type: NotRequired[Literal["linear", "none"]]
    proj_bias: NotRequired[bool]


class CustomClip(TypedDict):
    """An open_clip configuration of one's own."""

    embed_dim: Width
    quick_gelu: NotRequired[bool]
    vision_cfg: VisionConfig
    text_cfg: TextConfig


@dataclass(frozen=True)
class EncoderConfig:
    """The CLIP encoder a model was trained on.

    ``architecture`` is an open_clip model name; where ``custom`` is set, it holds that model's
    open_clip configuration (``embed_dim``, ``vision_cfg``, ``text_cfg``) instead of open_clip's list.
    ``pretrained`` names the open_clip tag to load; None means that the weights lie in the model directory.
    """

    architecture: PlainName
    width: Width
    pretrained: PlainName | None = None
    custom: CustomClip | None = None


@dataclass(frozen=True)
class HeadConfig:
    """Dimensions of the DSANet head (paper section 3; published values in ``PRESETS``)."""

    width: Annotated[int, Meta(ge=2, le=8192)]
    text_width: Width
    window: Window
    temporal_layers: Layers
    attention_window: Window
    adapted_layers: Annotated[int, Meta(ge=0, le=64)]
    adapter_weight: Share
    temporal_heads: Heads = 1
    prototypes: Annotated[int, Meta(ge=1, le=4096)] = 16
    normal_share: Share = 0.8
    normality_heads: Heads = 8
    normality_layers: Layers = 8
    standardised: bool = False
    """Whether features are centred and scaled first, by means and deviations that are part of the head's weights."""
    probed: bool = False
    """Whether a linear probe of each snippet's features, fitted beforehand, is part of its anomaly logit."""

    def __post_init__(self) -> None:
        for heads in (self.temporal_heads, self.normality_heads):
            if self.width % heads:
                raise ModelError(f"head: its width {self.width} cannot be shared out among {heads} attention heads")


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
    (hysteresis); events closer than ``merge_gap`` become one; shorter than ``min_length`` are dropped, and so are
    those whose label is in ``drop``.
    """

    threshold: Share = 0.5
    release: Share = 0.35
    merge_gap: Length = 2.0
    min_length: Length = 0.5
    drop: tuple[Name, ...] = ()


Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Annotated[float, Meta(ge=-1e300, le=1e300)]
# Without a pattern, which msgspec frees twice when the program ends if it is of a union with a list or a table.
Value = bool | Number | Annotated[str, Meta(max_length=10_000)] | None
Note = Value | Annotated[list[Value], Meta(max_length=10_000)] | Annotated[dict[Name, Value], Meta(max_length=1000)]
"""What a model may say of its training and of what was measured: values, lists and tables of these."""
Notes = Annotated[dict[Name, Note], Meta(max_length=1000)]


@dataclass(frozen=True)
class Origin:
    """Where a model's weights were fetched from."""

    url: Line
    sha256: Sha256
    """Of the file as it was there (hex)."""


@dataclass(frozen=True)
class ModelConfig:
    """All of ``config.json``.

    Raises:
        ModelError: the parts do not fit each other.
    """

    name: Name
    description: Line
    classes: Annotated[tuple[AnomalyClass, ...], Meta(max_length=1000)]
    encoder: EncoderConfig
    preprocessing: Preprocessing
    head: HeadConfig
    temperature: Ratio
    events: EventRule
    sampled_frames: Frames
    """Frames encoded per snippet by default, evenly spread over its 16 (1..16)."""
    snippet_frames: Frames = FRAMES_PER_SNIPPET
    snippet_seconds: SnippetSeconds | None = None
    """That a snippet lasts, as long as those that the head was trained on; None in models that count frames."""
    training: Notes = field(default_factory=dict)
    metrics: Notes = field(default_factory=dict)
    encoder_sha256: Sha256 | None = None
    """Of the tensors of the image tower that the head was trained on; None in models that do not know it."""
    demonstration: bool = False
    """Whether it only shows how the program works, and is no model for real footage."""
    origin: Origin | None = None
    files: Annotated[dict[PlainName, Sha256], Meta(max_length=100)] = field(default_factory=dict)
    """SHA-256 (hex) of each weight file in the model directory."""
    schema: Literal[1] = 1

    def __post_init__(self) -> None:
        for text in _texts((*self.training.values(), *self.metrics.values())):
            if not re.search(PRINTABLE, text):
                raise ModelError(f"model {self.name}: says {text[:40]!r} of itself; expected one printable line")
        names, custom = self.class_names, self.encoder.custom
        if len(names) < 2:
            raise ModelError(f"model {self.name}: needs a normal class and at least one other")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ModelError(f"model {self.name}: has the class {twice} twice")
        if self.head.width != self.encoder.width:
            raise ModelError(
                f"model {self.name}: the head takes features {self.head.width} wide, "
                f"the encoder gives {self.encoder.width}"
            )
        if custom is not None and custom["embed_dim"] != self.encoder.width:
            raise ModelError(
                f"model {self.name}: the encoder is said to be {self.encoder.width} wide and {custom['embed_dim']}"
            )
        if self.sampled_frames > self.snippet_frames:
            raise ModelError(
                f"model {self.name}: cannot encode {self.sampled_frames} of {self.snippet_frames} frames in a snippet"
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, the normal one first."""
        return tuple(c.name for c in self.classes)


def _texts(notes: Iterable[Note]) -> Iterator[str]:
    for note in notes:
        if isinstance(note, str):
            yield note
        elif isinstance(note, list | dict):
            yield from _texts(note.values() if isinstance(note, dict) else note)
