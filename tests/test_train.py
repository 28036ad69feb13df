from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tiny import CLASSES, HEAD, WIDTH, tiny_clip

from dsanet_cli.errors import SourceError
from dsanet_cli.presets import UCF_CRIME
from dsanet_cli.train import LabelledFeatures, Sampler, Trainer, agreement, load_batch

PRESET = dataclasses.replace(
    UCF_CRIME,
    classes=CLASSES,
    head=HEAD,
    batch_size=8,
    samples_per_validation=None,
    epochs=3,
    learning_rate=2e-3,
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Normal videos of noise; in anomalous ones, a few snippets are of another kind, one per class."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    kinds = 3 * rng.standard_normal((len(CLASSES), WIDTH))
    listed = []
    for number in range(32):
        label = 0 if number % 2 else 1 + number // 2 % 2
        features = rng.standard_normal((rng.integers(5, 20), WIDTH))
        if label:
            features[1:4] += kinds[label]
        np.save(folder / f"{number}.npy", features.astype(np.float32))
        listed.append(LabelledFeatures(folder / f"{number}.npy", (label,)))
    return listed


def trained(videos, figure=lambda model, text_features: 0.0):
    trainer = Trainer(PRESET, videos, tiny_clip(), CPU)
    reports = []
    trainer.fit(figure, reports.append)
    return trainer, reports


def test_balanced_batches_are_half_normal(videos):
    sampler = Sampler(videos, PRESET, torch.Generator().manual_seed(0))
    batches = list(sampler.epoch())
    assert len(batches) == sampler.batches_per_epoch == 4
    for batch in batches:
        assert batch.labels[:, 0].tolist() == [1] * 4 + [0] * 4


def test_an_epoch_shows_each_video_once(videos):
    sampler = Sampler(videos, PRESET, torch.Generator().manual_seed(0))
    seen = torch.cat([batch.features.sum(dim=(1, 2)) for batch in sampler.epoch()])
    assert len(set(seen.tolist())) == len(videos)


def test_mixed_batches_take_any_video(videos):
    preset = dataclasses.replace(PRESET, balanced_batches=False)
    batches = list(Sampler(videos, preset, torch.Generator().manual_seed(0)).epoch())
    assert {int(batch.labels[:, 0].sum()) for batch in batches} != {4}


def test_too_few_videos_for_a_batch(videos):
    with pytest.raises(SourceError, match="1 normal and 1 anomalous videos are too few for a batch of 4 \\+ 4"):
        Sampler(videos[:2], PRESET, torch.Generator())


def test_batches_pad_and_shorten_to_the_window(videos):
    batch = load_batch(videos, PRESET)
    assert batch.features.shape == (32, HEAD.window, WIDTH)
    assert int(batch.lengths.min()) < HEAD.window
    assert int(batch.lengths.max()) == HEAD.window
    short = int(batch.lengths.argmin())
    assert not batch.features[short, batch.lengths[short] :].any()


def test_several_classes_in_one_video(videos):
    batch = load_batch([LabelledFeatures(videos[0].path, (1, 2))], PRESET)
    assert batch.labels.tolist() == [[0, 1, 1]]


def test_training_agrees_with_the_labels(videos):
    trainer = Trainer(dataclasses.replace(PRESET, epochs=25), videos, tiny_clip(), CPU)
    batch = load_batch(videos, PRESET)
    with torch.inference_mode():
        before = agreement(trainer.model, trainer.text_features(), batch, 1.0)
    after = trainer.fit(lambda *weights: agreement(*weights, batch, 1.0), lambda progress: None)
    assert after > before + 0.5


def test_the_same_seed_gives_the_same_weights(videos):
    one, other = trained(videos)[0].model.state_dict(), trained(videos)[0].model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_clip_stays_as_it_was(videos):
    trainer, _ = trained(videos)
    before = tiny_clip().state_dict()
    assert all(torch.equal(before[name], entry) for name, entry in trainer.clip.state_dict().items())


def test_the_best_weights_come_back_after_every_epoch(videos):
    figures = iter([0.9, 0.1, 0.2])
    states = []

    def validate(model, text_features):
        states.append({name: entry.clone() for name, entry in model.state_dict().items()})
        return next(figures)

    trainer, reports = trained(videos, validate)
    assert [report.best for report in reports] == [0.9, 0.9, 0.9]
    assert all(torch.equal(states[0][name], entry) for name, entry in trainer.model.state_dict().items())


def test_validation_comes_as_often_as_the_preset_says(videos):
    preset = dataclasses.replace(PRESET, samples_per_validation=16, epochs=1)
    reports = []
    Trainer(preset, videos, tiny_clip(), CPU).fit(lambda model, text_features: 0.0, reports.append)
    assert len(reports) == 2
