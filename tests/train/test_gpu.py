"""Training on a GPU does what it does on a CPU; where there is no GPU, the same checks run on the CPU alone."""

from __future__ import annotations

import dataclasses
import io

import pytest
import torch
from tiny import CLASSES, HEAD, tiny_clip
from toy_features import write_toy_features

from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.train.trainer import Trainer

PRESET = dataclasses.replace(
    UCF_CRIME, classes=CLASSES, head=HEAD, batch_size=8, samples_per_validation=None, epochs=1, learning_rate=2e-3
)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Of the losses, relative to those in float32 on the CPU."""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_toy_features(tmp_path_factory.mktemp("features"))


def new_trainer(videos, device, dtype=torch.float32):
    return Trainer(PRESET, videos, tiny_clip(), torch.device(device), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_a_step_has_the_losses_of_the_cpu(device, dtype, videos):
    reference, trainer = new_trainer(videos, "cpu"), new_trainer(videos, device, dtype)
    expected = reference.step(reference.sampler.batch(0)).by_name()
    losses = trainer.step(trainer.sampler.batch(0)).by_name()
    assert all(value.device.type == device for value in losses.values())
    for name, value in losses.items():
        assert value.item() == pytest.approx(expected[name].item(), rel=TOLERANCE[dtype], abs=1e-3), name


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_moves_the_weights_as_on_the_cpu(device, videos):
    reference, trainer = new_trainer(videos, "cpu"), new_trainer(videos, device)
    before = {name: entry.clone() for name, entry in reference.model.state_dict().items()}
    for each in (reference, trainer):
        each.step(each.sampler.batch(0))
    expected = torch.cat([(v - before[k]).flatten() for k, v in reference.model.state_dict().items()])
    moved = torch.cat([(v.cpu() - before[k]).flatten() for k, v in trainer.model.state_dict().items()])
    assert torch.cosine_similarity(moved, expected, dim=0) > 0.98


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_goes_on_where_it_stopped(device, videos):
    straight, first = new_trainer(videos, device), new_trainer(videos, device)
    last = [step.losses["total"] for step in straight.train(lambda *_: 0.0)][-1]
    steps = first.train(lambda *_: 0.0)
    next(steps), next(steps)
    stream = io.BytesIO()
    torch.save(first.state_dict(), stream)
    stream.seek(0)
    second = new_trainer(videos, device)
    second.load_state_dict(torch.load(stream, weights_only=True))
    assert [step.losses["total"] for step in second.train(lambda *_: 0.0)][-1] == pytest.approx(last, rel=1e-2)
