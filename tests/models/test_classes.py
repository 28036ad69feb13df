from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tiny import ENCODER, tiny_clip

from dsanet_cli.errors import SourceError, UsageError
from dsanet_cli.models.classes import check_width, classes_of_labels, own_preset, read_classes
from dsanet_cli.models.presets import UCF_CRIME


def write(tmp_path, text):
    path = tmp_path / "classes.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_names_prompts_and_labels(tmp_path):
    own = read_classes(
        write(
            tmp_path,
            """
            [[class]]
            name = "normal"
            labels = ["quiet", "A"]

            [[class]]
            name = "break-in"
            prompts = ["a person climbing over a fence", "a person breaking a window"]
            """,
        )
    )
    assert [(c.name, c.prompts) for c in own.classes] == [
        ("normal", ("normal",)),
        ("break-in", ("a person climbing over a fence", "a person breaking a window")),
    ]
    assert own.labels == {"quiet": "normal", "A": "normal", "break-in": "break-in"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[class", "not a TOML file of classes"),
        ('[[classes]]\nname = "normal"', "holds no list of classes"),
        ('[[class]]\nname = "normal"', "at least one other"),
        ('[[class]]\nprompts = ["x"]', "class 1: has no name"),
        ('[[class]]\nname = "normal"\nprompt = ["x"]', "class 1: unknown entry prompt"),
        ('[[class]]\nname = "normal"\nprompts = "x"', "class 1: prompts is not a list of texts"),
        ('[[class]]\nname = "normal"\nprompts = []', "class 1: prompts is not a list of texts"),
        ('[[class]]\nname = "normal"\n[[class]]\nname = "fire"\nlabels = ["normal"]', "'normal' stands for 'normal'"),
        ('[[class]]\nname = "fire"\nlabels=["a"]\n[[class]]\nname = "fire"\nlabels = ["b"]', "class fire stands there"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(SourceError, match=message) as caught:
        read_classes(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(SourceError, match=r"gone.toml: cannot be read"):
        read_classes(tmp_path / "gone.toml")


@pytest.mark.timeout(20)
@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_pipe_is_no_file_of_classes(tmp_path):
    os.mkfifo(tmp_path / "classes.toml")
    with pytest.raises(SourceError, match=r"classes.toml: cannot be read \(Not a regular file\)"):
        read_classes(tmp_path / "classes.toml")


def test_deep_nesting_is_no_file_of_classes(tmp_path):
    (tmp_path / "classes.toml").write_text("a = " + "[" * 50_000)
    with pytest.raises(SourceError, match=r"classes.toml: not a TOML file of classes"):
        read_classes(tmp_path / "classes.toml")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"x" * 300}, "list.csv: class 'x{40}': name: expected `str` of length <= 200"),
        ({"a\tb"}, r"list.csv: class 'a\\tb': name: expected `str` of one printable line"),
        ({f"class {n}" for n in range(1000)}, "list.csv: 1001 classes are more than the 1000 that a model may have"),
    ],
    ids=["long", "control character", "many"],
)
def test_labels_that_no_model_can_have(labels, message):
    with pytest.raises(SourceError, match=message):
        classes_of_labels({"Normal"} | labels, Path("list.csv"))


def test_labels_of_a_list_become_classes():
    own = classes_of_labels({"RoadAccidents", "Normal", "arson"}, Path("list.csv"))
    assert [c.name for c in own.classes] == ["normal", "arson", "road accidents"]
    assert own.classes[2].prompts == ("road accidents",)
    assert own.labels["RoadAccidents"] == "road accidents"


def test_labels_without_normal():
    with pytest.raises(SourceError, match=r"list.csv: no label is Normal, found Fights, arson; .*--classes"):
        classes_of_labels({"arson", "Fights"}, Path("list.csv"))


def test_labels_that_are_all_normal():
    with pytest.raises(SourceError, match=r"list.csv: training needs the normal class and at least one other"):
        classes_of_labels({"Normal"}, Path("list.csv"))


def test_the_head_takes_the_encoder_as_it_is():
    preset = own_preset("mine", classes_of_labels({"Normal", "stop-and-go"}, Path("list.csv")), ENCODER, tiny_clip())
    assert (preset.head.width, preset.head.text_width, preset.head.adapted_layers) == (16, 8, 2)
    assert preset.classes_of("stop-and-go") == ("stop-and-go",)
    assert preset.classes_of("Normal") == ("normal",)


def test_a_published_preset_refuses_another_width():
    with pytest.raises(UsageError, match="preset ucf-crime: takes features 512 wide, tiny gives 16"):
        check_width(UCF_CRIME, ENCODER)
