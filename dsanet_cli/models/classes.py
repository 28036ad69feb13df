"""Classes of the user's own: from a TOML file, or from the labels of a training list."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dsanet_cli.config import AnomalyClass, EncoderConfig
from dsanet_cli.errors import SourceError, UsageError
from dsanet_cli.files.toml import read_toml
from dsanet_cli.models.presets import UCF_CRIME, Preset
from dsanet_cli.records import SchemaError, decode, to_json

if TYPE_CHECKING:
    import open_clip

NORMAL = "normal"
MOST_CLASSES = 1000
"""In a model."""
_EXAMPLE = '[[class]] with name = "fighting", prompts = ["people fighting"] and, where lists say otherwise, labels'
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class OwnClasses:
    """Classes, the normal one first, and the class name of each label that a list may hold."""

    classes: tuple[AnomalyClass, ...]
    labels: Mapping[str, str]


def read_classes(path: Path) -> OwnClasses:
    """Read a TOML file of ``[[class]]`` tables: ``name``, ``prompts`` (or the name), ``labels`` (or the name).

    The first class is the normal one.

    Raises:
        SourceError: the file cannot be read, is no such file, or has fewer than two classes, or a name or label
            twice.
    """
    try:
        data = read_toml(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give a TOML file of classes") from error
    except ValueError as error:
        raise SourceError(f"{path}: not a TOML file of classes ({error})") from error
    tables = data.get("class")
    if set(data) != {"class"} or not isinstance(tables, list):
        raise SourceError(f"{path}: holds no list of classes; write {_EXAMPLE}")
    classes: list[AnomalyClass] = []
    labels: dict[str, str] = {}
    for number, table in enumerate(tables, start=1):
        name, prompts, own_labels = _read_class(table, f"{path}: class {number}")
        classes.append(AnomalyClass(name, prompts))
        for label in own_labels:
            if label in labels:
                raise SourceError(f"{path}: the label {label!r} stands for {labels[label]!r} and for {name!r}")
            labels[label] = name
    return _checked(classes, labels, str(path))


def classes_of_labels(labels: Iterable[str], where: Path) -> OwnClasses:
    """One class for each label of a list: ``RoadAccidents`` becomes ``road accidents``, which is its prompt too.

    Raises:
        SourceError: no label says normal, or all do.
    """
    names = {label: _CAPITAL.sub(" ", label).replace("_", " ").lower().strip() for label in labels}
    if NORMAL not in names.values():
        raise SourceError(
            f"{where}: no label is Normal, found {', '.join(sorted(names))}; call the folder of normal videos "
            "Normal, or say which class is the normal one in a TOML file (--classes)"
        )
    ordered = sorted(set(names.values()), key=lambda name: (name != NORMAL, name))
    return _checked([AnomalyClass(name, (name,)) for name in ordered], names, str(where))


def own_preset(name: str, own: OwnClasses, encoder: EncoderConfig, clip: open_clip.CLIP) -> Preset:
    """The published settings of UCF-Crime, for other classes and an encoder of any width."""
    text_width, layers = clip.token_embedding.embedding_dim, len(clip.transformer.resblocks)
    head = UCF_CRIME.head
    return dataclasses.replace(
        UCF_CRIME,
        name=name,
        classes=own.classes,
        labels=MappingProxyType(dict(own.labels)),
        head=dataclasses.replace(
            head,
            width=encoder.width,
            text_width=text_width,
            adapted_layers=min(head.adapted_layers, layers),
        ),
        temperature=1.0,
        samples_per_validation=None,
        encoder=encoder,
    )


def check_width(preset: Preset, encoder: EncoderConfig) -> None:
    """Refuse an encoder whose features do not fit a published preset's head.

    Raises:
        UsageError: another width.
    """
    if encoder.width != preset.head.width:
        raise UsageError(
            f"preset {preset.name}: takes features {preset.head.width} wide, {encoder.architecture} gives "
            f"{encoder.width}; train on classes of your own (--classes) or with another encoder"
        )


def _read_class(table: Any, where: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    if not isinstance(table, dict) or not isinstance(table.get("name"), str) or not table["name"].strip():
        raise SourceError(f"{where}: has no name; write {_EXAMPLE}")
    if unknown := sorted(table.keys() - {"name", "prompts", "labels"}):
        raise SourceError(f"{where}: unknown entry {', '.join(unknown)}; write {_EXAMPLE}")
    lists = []
    for key in ("prompts", "labels"):
        values = table.get(key, [table["name"]])
        if not isinstance(values, list) or not values or not all(isinstance(v, str) and v.strip() for v in values):
            raise SourceError(f"{where}: {key} is not a list of texts")
        lists.append(tuple(values))
    return table["name"], lists[0], lists[1]


def _checked(classes: list[AnomalyClass], labels: dict[str, str], where: str) -> OwnClasses:
    names = [c.name for c in classes]
    if len(names) < 2:
        raise SourceError(f"{where}: training needs the normal class and at least one other")
    if len(names) > MOST_CLASSES:
        raise SourceError(f"{where}: {len(names)} classes are more than the {MOST_CLASSES} that a model may have")
    for anomaly_class in classes:
        try:
            decode(AnomalyClass, json.dumps(to_json(anomaly_class)).encode())
        except SchemaError as error:
            raise SourceError(f"{where}: class {anomaly_class.name[:40]!r}: {error}") from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceError(f"{where}: the class {', '.join(twice)} stands there twice")
    return OwnClasses(tuple(classes), labels)
