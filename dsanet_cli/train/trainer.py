"""Train the DSANet head on feature files with labels of whole videos (paper 4.1, released code)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dsanet_cli.errors import TrainingError
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.head.losses import Losses, alignment_loss, all_losses, classification_loss
from dsanet_cli.head.text_adapter import Prompts, plain_text_features, tokenise
from dsanet_cli.models.presets import Preset
from dsanet_cli.train.ahead import loaded_ahead
from dsanet_cli.train.dataset import Batch, LabelledFeatures, Sampler, feature_statistics
from dsanet_cli.train.optim import WARMUP_ITERATIONS, StableAdamW, epoch_cosine, load_compiler, reset_rate, warm_cosine
from dsanet_cli.train.plain import linear_probe

if TYPE_CHECKING:
    import open_clip

Validate = Callable[[DSANet, Tensor], float]
"""Given the model and its class text features E, the figure to maximise."""


@dataclass(frozen=True)
class Step:
    """What one step of training did."""

    epoch: int
    """From 1."""
    number: int
    """Steps since the beginning, from 1."""
    losses: dict[str, float]
    """The total and each loss, by name."""
    learning_rate: float
    normality_learning_rate: float
    figure: float | None
    """Where the step ended with a validation."""
    best: float
    """Highest figure so far."""
    improved: bool
    """Whether this step's figure is higher than all before."""
    ends_epoch: bool


class Trainer:
    """The head in training: its parameters, both optimisers, both schedules and the best weights so far.

    Between two steps its state is whole: saved and loaded again, training goes on to the same weights.

    Args:
        preset: What to train and how.
        videos: To train on.
        clip: Both towers; frozen.
        device: Where to train.
        dtype: Of the matrix products, and of what lies between them; losses, gather loss included, stay in float32.

    Raises:
        SourceError: too few videos for a batch.
    """

    def __init__(
        self,
        preset: Preset,
        videos: Sequence[LabelledFeatures],
        clip: open_clip.CLIP,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        torch.manual_seed(preset.seed)
        self.preset = preset
        self.device = device
        self.dtype = dtype
        self.sampler = Sampler(videos, preset, torch.Generator().manual_seed(preset.seed))
        model = DSANet(preset.head)
        if model.head.standardise is not None:
            statistics = feature_statistics(videos, preset)
            model.head.standardise.fit(statistics.mean, statistics.deviation)
            if model.head.probe is not None:
                model.head.probe.fit(*linear_probe(videos, statistics.file_means, model.head.standardise))
                model.head.score.start_at_zero()
        self.model = model.to(device)
        self.clip = clip.to(device).requires_grad_(False).eval()
        self.prompts: Prompts = tokenise(preset.classes, context_length=clip.context_length).to(device)
        normality = list(self.model.normality.parameters())
        rest = [p for name, p in self.model.named_parameters() if not name.startswith("normality.")]
        load_compiler()
        self._optimiser = torch.optim.AdamW(rest, lr=preset.learning_rate)
        self._normality_optimiser = StableAdamW(normality, lr=preset.learning_rate)
        self._schedule = epoch_cosine(self._optimiser, preset.epochs)
        # The released code counts the batches of both kinds, so that the rate ends above its lowest.
        self._normality_schedule = warm_cosine(
            self._normality_optimiser,
            preset.epochs * self.sampler.batches_of_all_kinds,
            min(WARMUP_ITERATIONS, self.total_steps // 2),
        )
        self.steps = 0
        self.best = -math.inf
        self.unimproved = 0
        """Validations since the best one."""
        self._best_state = copy.deepcopy(self.model.state_dict())

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.preset.epochs * self.sampler.batches_per_epoch

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or validations have not improved for as long as the preset waits."""
        waited = self.preset.patience is not None and self.unimproved >= self.preset.patience
        return waited or self.steps == self.total_steps

    def text_features(self) -> Tensor:
        """Class text features E (C, D) of the current weights."""
        if self.preset.parts.text_adapter:
            return self.model.text_features(self.clip, self.prompts)
        return plain_text_features(self.clip, self.prompts)

    def train(self, validate: Validate) -> Iterator[Step]:
        """Train from the current step to the end of the last epoch, or until validations no longer improve.

        Every epoch ends with the weights that validated best so far, as the released code has it.

        Raises:
            TrainingError: loss or weights are not finite; the best weights are kept.
        """
        while not self.finished:
            yield from self._epoch(validate)

    def _epoch(self, validate: Validate) -> Iterator[Step]:
        """The steps that are left of the current epoch, or of the next one at its end."""
        epoch, first = divmod(self.steps, self.sampler.batches_per_epoch)
        if first == 0 and self.steps:
            self.sampler.shuffle()
        numbers = range(first, self.sampler.batches_per_epoch)
        with closing(loaded_ahead(self.sampler.batch, numbers)) as batches:
            for number, batch in zip(numbers, batches, strict=True):
                rates = self._learning_rates()
                values = {name: value.item() for name, value in self.step(batch).by_name().items()}
                if not math.isfinite(values["total"]):
                    raise self._diverged()
                self.steps += 1
                ends_epoch = number == numbers[-1]
                figure, best = None, self.best
                if self._validation_due(number):
                    figure = self._validate(validate)
                if ends_epoch:
                    self._schedule.step()
                    self.load_best()
                yield Step(epoch + 1, self.steps, values, *rates, figure, self.best, self.best > best, ends_epoch)
                if self.finished:
                    return

    def step(self, batch: Batch) -> Losses:
        """One step of both optimisers on one batch.

        Raises:
            TrainingError: the model's output is not finite, which the losses cannot take.
        """
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            output = self.model(batch.features, batch.lengths, self.text_features())
        if not output.logits1.isfinite().all():
            raise self._diverged()
        losses = all_losses(
            output.float(), batch.labels, batch.lengths, self.preset.alignment_weight, self.preset.parts
        )
        self._optimiser.zero_grad(set_to_none=True)
        self._normality_optimiser.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self._normality_optimiser.step()
        self._normality_schedule.step()
        return losses

    def start_from(self, head: Mapping[str, Tensor], text_adapter: Mapping[str, Tensor] | None) -> None:
        """Take the weights of another model's head and text adapter instead of random ones, before the first step."""
        self.model.head.load_state_dict(head)
        if text_adapter is not None:
            self.model.text_adapter.load_state_dict(text_adapter)
        self._best_state = copy.deepcopy(self.model.state_dict())

    def load_best(self) -> None:
        """Return to the weights that validated best."""
        self.model.load_state_dict(self._best_state)

    @contextmanager
    def best_weights(self) -> Iterator[DSANet]:
        """Within the block, the model with the weights that validated best, for use without gradients."""
        current = copy.deepcopy(self.model.state_dict())
        self.load_best()
        self.model.eval()
        try:
            with torch.inference_mode():
                yield self.model
        finally:
            self.model.load_state_dict(current)
            self.model.train()

    def state_dict(self) -> dict[str, Any]:
        """All that training depends on, as tensors and plain types."""
        return {
            "steps": self.steps,
            "best": self.best,
            "unimproved": self.unimproved,
            "model": self.model.state_dict(),
            "best_model": self._best_state,
            "optimiser": self._optimiser.state_dict(),
            "normality_optimiser": self._normality_optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "normality_schedule": self._normality_schedule.state_dict(),
            "sampler": self.sampler.epoch_state,
            "random": torch.get_rng_state(),
            "device_random": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where ``state_dict`` was taken."""
        self.steps, self.best, self.unimproved = state["steps"], state["best"], state.get("unimproved", 0)
        self.model.load_state_dict(state["model"])
        self._best_state = state["best_model"]
        self._optimiser.load_state_dict(state["optimiser"])
        self._normality_optimiser.load_state_dict(state["normality_optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self._normality_schedule.load_state_dict(state["normality_schedule"])
        self.sampler.return_to(state["sampler"].cpu())
        torch.set_rng_state(state["random"].cpu())
        if state["device_random"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["device_random"].cpu(), self.device)

    def reset_rates(self) -> None:
        """Take the learning rates of the preset's epochs, after a state of a training of another number of them."""
        self.unimproved = 0
        reset_rate(self._schedule)
        reset_rate(self._normality_schedule)

    def _learning_rates(self) -> tuple[float, float]:
        return self._optimiser.param_groups[0]["lr"], self._normality_optimiser.param_groups[0]["lr"]

    def _validation_due(self, number: int) -> bool:
        """Whether a validation follows the epoch's batch of this number, from 0 (released code).

        With 1,280 samples between validations, those of 128 numbered 10, 20, … are followed by one, and neither
        the first nor the last one of an epoch is. Epochs too short for that validate at their end: they would go
        back to the weights they began with.
        """
        every, size = self.preset.samples_per_validation, self.preset.batch_size
        last = self.sampler.batches_per_epoch - 1
        if every is None or last * size < every:
            return number == last
        return number > 0 and number * size // every > (number - 1) * size // every

    def _validate(self, validate: Validate) -> float:
        if not all(entry.isfinite().all() for entry in self.model.parameters()):
            raise self._diverged()
        self.model.eval()
        with torch.inference_mode():
            figure = validate(self.model, self.text_features())
        self.model.train()
        if not math.isfinite(figure):
            raise self._diverged()
        self.unimproved += 1
        if figure > self.best:
            self.unimproved = 0
            self.best, self._best_state = figure, copy.deepcopy(self.model.state_dict())
        return figure

    def _diverged(self) -> TrainingError:
        return TrainingError(
            f"training diverged in step {self.steps + 1}, numbers grew beyond all bounds; use a lower --learning-rate "
            f"({self.preset.learning_rate:g} here), and look for extreme values in the features"
        )


def agreement(model: DSANet, text_features: Tensor, batch: Batch, alignment_weight: float) -> float:
    """How well scores and classes agree with the labels of whole videos: the negative of those two losses.

    Unlike a ranking figure it does not saturate, so it can tell good weights from better ones even where
    every video is on the right side. To be called without gradients.
    """
    output = model.head(batch.features, batch.lengths, text_features)
    classification = classification_loss(output.logits1.sigmoid(), batch.labels, batch.lengths)
    alignment = alignment_loss(output.logits2, batch.labels, batch.lengths)
    return -float(classification + alignment_weight * alignment)
