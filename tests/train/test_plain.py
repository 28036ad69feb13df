"""The regression that a head of one's own starts from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from tiny import CLASSES, HEAD, tiny_clip

from dsanet_cli.head.layers import Standardise
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.train.dataset import LabelledFeatures, feature_statistics
from dsanet_cli.train.held_out import video_score
from dsanet_cli.train.plain import linear_probe
from dsanet_cli.train.trainer import Trainer

WIDTH = HEAD.width
PRESET = dataclasses.replace(
    UCF_CRIME,
    classes=CLASSES,
    head=dataclasses.replace(HEAD, standardised=True, probed=True),
    batch_size=8,
    samples_per_validation=None,
)
CPU = torch.device("cpu")


def written(folder, count=30, shift=1.0, seed=0):
    """Normal and anomalous videos in turn, the latter moved along one direction; of one to four snippets."""
    rng = np.random.default_rng(seed)
    videos = []
    for number in range(count):
        features = rng.normal(3, 1, (1 + number % 4, WIDTH)).astype(np.float32)
        features[:, 0] += shift * (number % 2)
        path = folder / f"{seed}-{number}__0.npy"
        np.save(path, features)
        videos.append(LabelledFeatures(path, (number % 2,)))
    return videos


def scaling(videos):
    standardise, statistics = Standardise(WIDTH), feature_statistics(videos, PRESET)
    standardise.fit(statistics.mean, statistics.deviation)
    return standardise


def probe_of(videos, standardise):
    return linear_probe(videos, feature_statistics(videos, PRESET).file_means, standardise)


def test_it_finds_the_direction_in_which_kinds_differ(tmp_path):
    videos = written(tmp_path, count=200, shift=4)
    weight, bias = probe_of(videos, scaling(videos))
    assert (weight.shape, weight.dtype, bias.shape) == ((WIDTH,), torch.float32, ())
    assert weight.argmax() == 0
    assert weight[0] > 3 * weight[1:].abs().max()


def test_files_of_one_video_count_as_one(tmp_path):
    videos = written(tmp_path)
    twice = []
    for crop in range(3):  # the first video three times
        path = tmp_path / f"0-0__{crop}.npy"
        np.save(path, np.load(videos[0].path))
        twice.append(dataclasses.replace(videos[0], path=path))
    standardise = scaling(videos)
    expected = probe_of(videos, standardise)
    torch.testing.assert_close(probe_of([*twice, *videos[1:]], standardise), expected, atol=1e-4, rtol=1e-3)


def test_a_trainer_starts_from_it(tmp_path):
    """Before the first step, the score of a video of one snippet is the regression's."""
    videos = written(tmp_path)
    trainer = Trainer(PRESET, videos, tiny_clip(), CPU)
    weight, bias = probe_of(videos, trainer.model.head.standardise)
    one = [video for video in videos if len(np.load(video.path)) == 1]
    with trainer.best_weights() as model:
        text = trainer.text_features()
        found = [video_score(video.path, model.head, text, PRESET.temperature) for video in one]
    features = torch.from_numpy(np.stack([np.load(video.path) for video in one]))
    scaled = trainer.model.head.standardise(features, torch.ones(len(one), dtype=torch.long))[:, 0]
    np.testing.assert_allclose(found, (scaled @ weight + bias).sigmoid().detach(), atol=1e-5)


def test_training_leaves_it_and_adds_to_it(tmp_path):
    trainer = Trainer(PRESET, written(tmp_path), tiny_clip(), CPU)
    head = trainer.model.head
    before = head.probe.weight.clone()
    assert not head.score.classifier.weight.any()
    for number in range(2):
        trainer.step(trainer.sampler.batch(number % trainer.sampler.batches_per_epoch))
    torch.testing.assert_close(head.probe.weight, before)
    assert head.score.classifier.weight.any()


@pytest.mark.parametrize("seed", range(3))
def test_a_head_of_few_videos_is_no_worse_than_where_it_started(tmp_path, seed):
    """Twenty videos whose kinds differ by a deviation in one of many directions: what random weights do not find."""
    videos, others = written(tmp_path, 20, 2, seed), written(tmp_path, 100, 2, seed + 100)
    auc = []
    for steps in (0, 20):
        trainer = Trainer(dataclasses.replace(PRESET, seed=seed, learning_rate=1e-4), videos, tiny_clip(), CPU)
        for number in range(steps):
            trainer.step(trainer.sampler.batch(number % trainer.sampler.batches_per_epoch))
        trainer.model.eval()
        with torch.inference_mode():
            text = trainer.text_features()
            scores = [video_score(video.path, trainer.model.head, text, PRESET.temperature) for video in others]
        auc.append(roc_auc_score([not video.normal for video in others], scores))
    assert auc[0] > 0.75
    assert auc[1] > auc[0] - 0.03
