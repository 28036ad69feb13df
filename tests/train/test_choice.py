from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny import CLASSES, HEAD, WIDTH

from dsanet_cli.errors import FeatureError
from dsanet_cli.models.presets import PRESETS, UCF_CRIME
from dsanet_cli.train.choice import describe, fit_steps, fit_window, own_rate
from dsanet_cli.train.dataset import LabelledFeatures

OWN = dataclasses.replace(UCF_CRIME, classes=CLASSES, head=dataclasses.replace(HEAD, window=256, attention_window=8))


def written(folder: Path, *snippets: int) -> list[LabelledFeatures]:
    """Feature files of so many snippets each, every second one normal."""
    videos = []
    for number, count in enumerate(snippets):
        videos.append(LabelledFeatures(folder / f"{number}__0.npy", (number % 2,)))
        np.save(videos[-1].path, np.zeros((count, WIDTH), np.float16))
    return videos


def videos(normal: int, anomalous: int) -> list[LabelledFeatures]:
    return [LabelledFeatures(Path(f"{n}__0.npy"), (int(n >= normal),)) for n in range(normal + anomalous)]


@pytest.mark.parametrize(
    ("snippets", "window"),
    [
        ([2, 3, 3], 8),
        ([3, 8], 8),
        ([3, 9], 16),
        ([100, 255], 256),
        ([100, 5000], 256),
        ([3] * 99 + [200], 8),
        ([3] * 90 + [200] * 10, 200),
    ],
    ids=["short", "full", "one more", "long", "very long", "one of a hundred", "one of ten"],
)
def test_windows_are_as_long_as_the_videos(tmp_path, snippets, window):
    preset = fit_window(OWN, written(tmp_path, *snippets))
    assert preset.head.window == window
    assert preset.head.standardised
    assert preset.head.probed
    assert dataclasses.replace(preset, head=OWN.head) == OWN


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "a__0.npy").write_text("nothing")
    with pytest.raises(FeatureError, match=r"a__0\.npy: not a feature file"):
        fit_window(OWN, [LabelledFeatures(tmp_path / "a__0.npy", (0,))])
    with pytest.raises(FeatureError, match=r"b__0\.npy: no such feature file"):
        fit_window(OWN, [LabelledFeatures(tmp_path / "b__0.npy", (0,))])


@pytest.mark.parametrize(
    ("normal", "anomalous", "batch", "epochs", "patience"),
    [
        (4, 4, 2, 100, 34),
        (70, 70, 8, 24, 8),
        (70, 1000, 8, 24, 8),
        (5000, 5000, 128, 15, 5),
        (1, 40, 2, 400, 134),
    ],
)
def test_steps_follow_the_rarer_kind(normal, anomalous, batch, epochs, patience):
    preset = fit_steps(OWN, videos(normal, anomalous), None, None)
    assert (preset.batch_size, preset.epochs, preset.patience) == (batch, epochs, patience)


def test_what_the_user_asks_for_is_done():
    preset = fit_steps(OWN, videos(70, 70), 3, 20)
    assert (preset.batch_size, preset.epochs, preset.patience) == (20, 3, None)
    assert "early" not in describe(preset)


@pytest.mark.parametrize(("width", "rate"), [(512, 7e-5), (192, 1.9e-4), (768, 4.7e-5)])
def test_the_rate_follows_the_width(width, rate):
    preset = own_rate(dataclasses.replace(OWN, head=dataclasses.replace(HEAD, width=width, normality_heads=8)))
    assert preset.learning_rate == pytest.approx(rate)


def test_the_rule_changes_no_published_preset():
    for preset in PRESETS.values():
        assert preset.patience is None
        assert not preset.head.standardised
        assert not preset.head.probed
        assert preset.head.window == 256
