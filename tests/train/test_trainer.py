from __future__ import annotations

import dataclasses
import io

import pytest
import torch
from tiny import CLASSES, HEAD, tiny_clip
from toy_features import write_toy_features

from dsanet_cli.config import Parts
from dsanet_cli.errors import FeatureError
from dsanet_cli.head.text_adapter import tokenise
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.train.dataset import load_batch
from dsanet_cli.train.optim import warm_cosine_share
from dsanet_cli.train.trainer import Trainer, agreement

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
    return write_toy_features(tmp_path_factory.mktemp("features"))


def new_trainer(videos, dtype=torch.float32, **changes):
    return Trainer(dataclasses.replace(PRESET, **changes), videos, tiny_clip(), CPU, dtype)


def nothing(model, text_features):
    return 0.0


def weights(trainer):
    return {name: entry.clone() for name, entry in trainer.model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_training_agrees_with_the_labels(videos):
    trainer = new_trainer(videos, epochs=25)
    batch = load_batch(videos, PRESET)
    with torch.inference_mode():
        before = agreement(trainer.model, trainer.text_features(), batch, 1.0)
    *_, last = trainer.train(lambda *weights: agreement(*weights, batch, 1.0))
    assert last.best > before + 0.5


def test_the_same_seed_gives_the_same_weights(videos):
    one, other = new_trainer(videos), new_trainer(videos)
    list(one.train(nothing))
    list(other.train(nothing))
    assert same(weights(one), weights(other))


def test_clip_stays_as_it_was(videos):
    trainer = new_trainer(videos)
    list(trainer.train(nothing))
    assert same(tiny_clip().state_dict(), trainer.clip.state_dict())


def test_the_best_weights_come_back_after_every_epoch(videos):
    figures = iter([0.9, 0.1, 0.2])
    states = []

    def validate(model, text_features):
        states.append({name: entry.clone() for name, entry in model.state_dict().items()})
        return next(figures)

    trainer = new_trainer(videos)
    steps = list(trainer.train(validate))
    assert [step.best for step in steps if step.figure is not None] == [0.9, 0.9, 0.9]
    assert [step.number for step in steps if step.ends_epoch] == [4, 8, 12]
    assert same(states[0], weights(trainer))


def validated(trainer):
    return [step.number for step in trainer.train(nothing) if step.figure is not None]


def test_validation_falls_after_the_batches_of_the_released_code(videos):
    """Batches of 2, numbered from 0: with 6 samples between validations, those numbered 3, 6, … of each epoch."""
    trainer = new_trainer(videos, batch_size=2, samples_per_validation=6, epochs=2)
    assert trainer.sampler.batches_per_epoch == 16
    assert validated(trainer) == [4, 7, 10, 13, 16, 20, 23, 26, 29, 32]
    assert validated(new_trainer(videos, batch_size=2, samples_per_validation=8, epochs=2)) == [5, 9, 13, 21, 25, 29]


def test_validation_where_batches_do_not_divide_the_samples_between(videos):
    assert validated(new_trainer(videos, batch_size=4, samples_per_validation=10, epochs=1)) == [4, 6]


def test_epochs_too_short_for_a_validation_validate_at_their_end(videos):
    assert validated(new_trainer(videos, samples_per_validation=24, epochs=2)) == [4, 8]
    assert validated(new_trainer(videos, samples_per_validation=25, epochs=2)) == [4, 8]
    trainer = new_trainer(videos, samples_per_validation=1280, epochs=1)
    before = weights(trainer)
    list(trainer.train(nothing))
    assert not same(before, weights(trainer))


def test_the_normality_models_rate_counts_the_batches_of_both_kinds(videos):
    """20 normal videos of 32 here: 5 and 3 batches of 4, three steps an epoch."""
    trainer = new_trainer([*videos[1::2], *videos[:24:2]], batch_size=8, epochs=4)
    assert (trainer.total_steps, trainer.sampler.batches_of_all_kinds) == (12, 7)
    rates = [step.normality_learning_rate / 2e-3 for step in trainer.train(nothing)]
    assert rates == pytest.approx([warm_cosine_share(i, 4 * 7, 6) for i in range(12)])
    assert rates[5] == 1
    assert rates[-1] > 0.85


def test_batches_of_any_kind_are_counted_once(videos):
    trainer = new_trainer(videos[:20], balanced_batches=False, epochs=3)
    assert [len(trainer.sampler.batch(n).labels) for n in range(trainer.sampler.batches_per_epoch)] == [8, 8, 4]
    assert trainer.sampler.batches_of_all_kinds == 3


@pytest.mark.parametrize("after", [1, 4, 6])
def test_a_resumed_training_ends_with_the_same_weights(videos, after):
    """Within the first epoch, between two epochs, and within a later one."""
    figures = [0.1, 0.3, 0.2, 0.5, 0.4, 0.6, 0.55, 0.7, 0.6]

    def validating(values):
        return lambda model, text_features: next(values)

    preset = {"samples_per_validation": 8}
    straight = new_trainer(videos, **preset)
    list(straight.train(validating(iter(figures))))

    first = new_trainer(videos, **preset)
    used = 0
    for step in first.train(validating(iter(figures))):
        used += step.figure is not None
        if step.number == after:
            break
    stream = io.BytesIO()
    torch.save(first.state_dict(), stream)
    stream.seek(0)
    torch.manual_seed(99)
    second = new_trainer(videos, **preset)
    second.load_state_dict(torch.load(stream, weights_only=True))
    steps = list(second.train(validating(iter(figures[used:]))))
    assert [step.number for step in steps] == list(range(after + 1, 13))
    assert same(weights(straight), weights(second))
    final, expected = second.state_dict(), straight.state_dict()
    assert same(expected["best_model"], final["best_model"])
    for name in ("optimiser", "normality_optimiser"):
        for number, state in expected[name]["state"].items():
            assert all(
                torch.equal(torch.as_tensor(v), torch.as_tensor(final[name]["state"][number][k]))
                for k, v in state.items()
            )
    assert final["best"] == expected["best"] == 0.7


def test_a_file_that_vanishes_ends_the_training_at_its_step(tmp_path):
    videos = write_toy_features(tmp_path)
    trainer = new_trainer(videos, batch_size=2)
    order = [trainer.sampler.batch(number).features for number in range(3)]
    lost = next(v for v in videos if torch.equal(load_batch([v], PRESET).features[0], order[2][0]))
    lost.path.unlink()
    with pytest.raises(FeatureError, match=f"{lost.path.name}: no such feature file"):
        list(trainer.train(nothing))
    assert trainer.steps == 2


def gradients(videos, **changes):
    trainer = new_trainer(videos, **changes)
    trainer.step(trainer.sampler.batch(0))
    return {name for name, p in trainer.model.named_parameters() if p.grad is not None and p.grad.any()}


def test_without_sg_nm_nothing_trains_it(videos):
    whole, without = gradients(videos), gradients(videos, parts=Parts(sg_nm=False))
    assert any(name.startswith("normality.") for name in whole)
    assert without == {name for name in whole if not name.startswith("normality.")}


def test_without_dcsa_its_losses_do_not_count(videos):
    whole, without = new_trainer(videos), new_trainer(videos, parts=Parts(dcsa=False))
    all_seven = whole.step(whole.sampler.batch(0))
    five = without.step(without.sampler.batch(0))
    torch.testing.assert_close(five.total, all_seven.total - all_seven.event - all_seven.background)


def test_without_the_text_adapter_classes_are_clips_own(videos):
    trainer = new_trainer(videos, parts=Parts(text_adapter=False))
    clip = tiny_clip()
    with torch.no_grad():
        fighting = clip.encode_text(tokenise(CLASSES[1:2], context_length=16).tokens_padded(16))
    expected = torch.nn.functional.normalize(fighting.mean(dim=0), dim=0)
    torch.testing.assert_close(trainer.text_features()[1], expected)
    assert not any(name.startswith("text_adapter.") for name in gradients(videos, parts=Parts(text_adapter=False)))


def test_mixed_precision_trains_alike(videos):
    exact, mixed = new_trainer(videos), new_trainer(videos, dtype=torch.bfloat16)
    batch = exact.sampler.batch(0)
    one, other = exact.step(batch), mixed.step(batch)
    assert other.total.dtype == torch.float32
    assert one.total != other.total
    torch.testing.assert_close(one.total, other.total, rtol=0.02, atol=0.02)
