"""The two data sets DSANet was published for: classes, labels, hyper-parameters (released code)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from dsanet_cli.config import ALL_PARTS, AnomalyClass, EncoderConfig, HeadConfig, Parts
from dsanet_cli.errors import SourceError, UsageError

PUBLISHED_ENCODER = EncoderConfig(architecture="ViT-B-16-quickgelu", width=512, pretrained="openai")
"""OpenAI's CLIP ViT-B/16; open_clip's plain ``ViT-B-16`` has another activation and other features."""

PUBLISHED_SAMPLED_FRAMES = 4
"""Frames per snippet that ``detect`` encodes by default with a model of published features, means of all 16."""

PUBLISHED_SNIPPET_SECONDS = 16 / 30
"""What 16 frames last in the published features: both data sets have 30 frames a second."""


@dataclass(frozen=True)
class Preset:
    """How one published model is built and trained."""

    name: str
    classes: tuple[AnomalyClass, ...]
    """Class 0 is normal."""
    labels: Mapping[str, str]
    """Class name of each label in the data set's lists."""
    head: HeadConfig
    temperature: float
    """τ of the class probabilities."""
    alignment_weight: float
    learning_rate: float
    batch_size: int
    """Samples of a training step."""
    balanced_batches: bool
    """Whether half of every batch is normal and half abnormal, or any mix as it comes."""
    samples_per_validation: int | None
    """Training samples between two validations; None: at the end of each epoch."""
    selection_metric: Literal["auc", "ap"]
    """By which the best weights are chosen."""
    epochs: int = 10
    seed: int = 234
    encoder: EncoderConfig = PUBLISHED_ENCODER
    parts: Parts = ALL_PARTS
    patience: int | None = None
    """Validations without improvement after which training ends; None: it takes all its epochs."""

    def classes_of(self, label: str) -> tuple[str, ...]:
        """Class names of a list entry's label: one of ``labels``, or several joined by ``-``, of which ``0`` fills.

        Raises:
            SourceError: a code the data set does not have, or none at all.
        """
        codes = [label] if label in self.labels else [code for code in label.split("-") if code != "0"]
        if not codes or any(code not in self.labels for code in codes):
            raise SourceError(f"label {label!r}: {self.name} has {', '.join(self.labels)}")
        return tuple(dict.fromkeys(self.labels[code] for code in codes))


UCF_CRIME = Preset(
    name="ucf-crime",
    classes=tuple(
        AnomalyClass(name, (name,))
        for name in (
            "normal",
            "abuse",
            "arrest",
            "arson",
            "assault",
            "burglary",
            "explosion",
            "fighting",
            "roadaccidents",
            "robbery",
            "shooting",
            "shoplifting",
            "stealing",
            "vandalism",
        )
    ),
    labels=MappingProxyType(
        {
            "Normal": "normal",
            "Abuse": "abuse",
            "Arrest": "arrest",
            "Arson": "arson",
            "Assault": "assault",
            "Burglary": "burglary",
            "Explosion": "explosion",
            "Fighting": "fighting",
            "RoadAccidents": "roadaccidents",
            "Robbery": "robbery",
            "Shooting": "shooting",
            "Shoplifting": "shoplifting",
            "Stealing": "stealing",
            "Vandalism": "vandalism",
        }
    ),
    head=HeadConfig(
        width=512,
        text_width=512,
        window=256,
        temporal_layers=2,
        attention_window=8,
        adapted_layers=3,
        adapter_weight=0.1,
    ),
    temperature=5.0,
    alignment_weight=1.1,
    learning_rate=7e-5,
    batch_size=128,
    balanced_batches=True,
    samples_per_validation=1280,
    selection_metric="auc",
)

XD_VIOLENCE = Preset(
    name="xd-violence",
    classes=tuple(
        AnomalyClass(name, (name,))
        for name in ("normal", "fighting", "shooting", "riot", "abuse", "car accident", "explosion")
    ),
    labels=MappingProxyType(
        {
            "A": "normal",
            "B1": "fighting",
            "B2": "shooting",
            "B4": "riot",
            "B5": "abuse",
            "B6": "car accident",
            "G": "explosion",
        }
    ),
    head=HeadConfig(
        width=512,
        text_width=512,
        window=256,
        temporal_layers=1,
        attention_window=64,
        adapted_layers=1,
        adapter_weight=0.6,
    ),
    temperature=1.0,
    alignment_weight=5.0,
    learning_rate=1e-5,
    batch_size=96,
    balanced_batches=False,
    samples_per_validation=None,
    selection_metric="ap",
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in (UCF_CRIME, XD_VIOLENCE)})


def preset(name: str) -> Preset:
    """The preset called ``name``.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in PRESETS:
        raise UsageError(f"preset {name}: not one of {', '.join(PRESETS)}")
    return PRESETS[name]
