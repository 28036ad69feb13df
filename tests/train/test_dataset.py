from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CLASSES, HEAD, WIDTH
from toy_features import write_toy_features

from dsanet_cli.errors import SourceError
from dsanet_cli.features.lists import ListedFeature
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.train.dataset import (
    LabelledFeatures,
    Sampler,
    feature_statistics,
    label_features,
    load_batch,
    one_crop_each,
)

PRESET = dataclasses.replace(UCF_CRIME, classes=CLASSES, head=HEAD, batch_size=8)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_toy_features(tmp_path_factory.mktemp("features"))


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def epoch(sampler):
    return [sampler.batch(number) for number in range(sampler.batches_per_epoch)]


def test_balanced_batches_are_half_normal(videos):
    batches = epoch(Sampler(videos, PRESET, seeded()))
    assert len(batches) == 4
    for batch in batches:
        assert batch.labels[:, 0].tolist() == [1] * 4 + [0] * 4


def test_an_epoch_shows_each_video_once(videos):
    seen = torch.cat([batch.features.sum(dim=(1, 2)) for batch in epoch(Sampler(videos, PRESET, seeded()))])
    assert len(set(seen.tolist())) == len(videos)


def test_mixed_batches_take_any_video(videos):
    preset = dataclasses.replace(PRESET, balanced_batches=False)
    assert {int(batch.labels[:, 0].sum()) for batch in epoch(Sampler(videos, preset, seeded()))} != {4}


def test_every_epoch_has_its_own_order_and_can_be_returned_to(videos):
    sampler = Sampler(videos, PRESET, seeded())
    first = sampler.batch(1).features
    sampler.shuffle()
    second, state = sampler.batch(1).features, sampler.epoch_state
    assert not torch.equal(first, second)
    other = Sampler(videos, PRESET, seeded(1))
    other.return_to(state)
    assert torch.equal(other.batch(1).features, second)
    sampler.shuffle()
    other.shuffle()
    assert torch.equal(other.batch(1).features, sampler.batch(1).features)


@pytest.mark.parametrize("size", [8, 1])
def test_too_few_videos_for_a_batch(videos, size):
    preset = dataclasses.replace(PRESET, batch_size=size)
    expected = f"1 normal and 1 anomalous videos are too few for a batch of {size // 2}"
    with pytest.raises(SourceError, match=expected):
        Sampler(videos[:2], preset, torch.Generator())


def test_batches_pad_and_shorten_to_the_window(videos):
    batch = load_batch(videos, PRESET)
    assert batch.features.shape == (32, HEAD.window, WIDTH)
    assert int(batch.lengths.min()) < HEAD.window
    assert int(batch.lengths.max()) == HEAD.window
    short = int(batch.lengths.argmin())
    assert not batch.features[short, batch.lengths[short] :].any()


def test_labels_of_a_list_become_classes():
    rows = [ListedFeature(Path("a.npy"), "RoadAccidents"), ListedFeature(Path("b.npy"), "Normal", "gate")]
    assert label_features(rows, UCF_CRIME) == [
        LabelledFeatures(Path("a.npy"), (8,)),
        LabelledFeatures(Path("b.npy"), (0,), "gate"),
    ]


def test_several_classes_in_one_video(videos):
    batch = load_batch([LabelledFeatures(videos[0].path, (1, 2))], PRESET)
    assert batch.labels.tolist() == [[0, 1, 1]]


def test_one_crop_of_each_video(tmp_path):
    videos = write_toy_features(tmp_path, videos=4, crops=2)
    assert one_crop_each(videos) == videos[::2]


def test_statistics_are_of_what_batches_hold_without_padding(videos):
    batch = load_batch(videos, PRESET)
    rows = torch.cat([features[:length] for features, length in zip(batch.features, batch.lengths, strict=True)])
    found = feature_statistics(videos, PRESET)
    mean, deviation = found.mean, found.deviation
    np.testing.assert_allclose(found.file_means, [np.load(video.path).mean(axis=0) for video in videos], rtol=1e-5)
    torch.testing.assert_close(mean, rows.mean(dim=0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(deviation, rows.std(dim=0, unbiased=False), atol=1e-5, rtol=1e-4)


def test_a_feature_that_never_varies_has_no_deviation(tmp_path):
    features = np.full((1000, WIDTH), 0.1, np.float32)
    features[:, 1] = np.linspace(-1, 1, 1000)
    np.save(tmp_path / "a.npy", features)
    deviation = feature_statistics([LabelledFeatures(tmp_path / "a.npy", (0,))], PRESET).deviation
    assert deviation.nonzero().tolist() == [[1]]
