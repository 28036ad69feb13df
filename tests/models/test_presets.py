import dataclasses
import json

import pytest

from dsanet_cli.config import HeadConfig
from dsanet_cli.errors import SourceError, UsageError
from dsanet_cli.models.presets import PRESETS, UCF_CRIME, XD_VIOLENCE, Preset, preset
from dsanet_cli.records import decode_exactly, to_json


@pytest.mark.parametrize("published", PRESETS.values(), ids=PRESETS)
def test_labels_name_every_class(published: Preset) -> None:
    names = [c.name for c in published.classes]
    assert names[0] == "normal"
    assert len(set(names)) == len(names)
    assert list(published.labels.values()) == names
    assert preset(published.name) is published
    assert decode_exactly(HeadConfig, json.dumps(to_json(published.head)).encode()) == published.head


def test_prompts_are_the_published_ones() -> None:
    assert [c.prompts for c in UCF_CRIME.classes][8:10] == [("roadaccidents",), ("robbery",)]
    assert [c.prompts for c in XD_VIOLENCE.classes][5] == ("car accident",)
    assert (len(UCF_CRIME.classes), len(XD_VIOLENCE.classes)) == (14, 7)


def test_labels_of_lists() -> None:
    assert UCF_CRIME.classes_of("RoadAccidents") == ("roadaccidents",)
    assert UCF_CRIME.classes_of("Normal") == ("normal",)
    assert XD_VIOLENCE.classes_of("A") == ("normal",)
    assert XD_VIOLENCE.classes_of("B2-G-0") == ("shooting", "explosion")
    assert XD_VIOLENCE.classes_of("B6-B6-0") == ("car accident",)


@pytest.mark.parametrize("label", ["B3-0-0", "0-0-0", "", "fighting"])
def test_unknown_labels(label: str) -> None:
    with pytest.raises(SourceError, match="xd-violence has A, B1"):
        XD_VIOLENCE.classes_of(label)


def test_unknown_preset() -> None:
    with pytest.raises(UsageError, match="ucf-crime, xd-violence"):
        preset("shanghaitech")


def test_presets_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        UCF_CRIME.seed = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        UCF_CRIME.labels["Normal"] = "abuse"  # type: ignore[index]
