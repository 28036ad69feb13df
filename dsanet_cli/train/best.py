"""The best weights of a training as a model directory, with an event threshold calibrated on normal videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from dsanet_cli.config import EventRule, ModelConfig, Notes, Parts
from dsanet_cli.features.files import DEFAULT_FEATURE_FPS
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.models.directory import save_model
from dsanet_cli.timeline.calibration import SECONDS_PER_EVENT, calibrate
from dsanet_cli.train.curves import feature_curve
from dsanet_cli.train.dataset import LabelledFeatures, one_crop_each
from dsanet_cli.train.encoder import TrainingEncoder
from dsanet_cli.train.held_out import HeldOut, judge_held_out
from dsanet_cli.train.lengths import SnippetLengths
from dsanet_cli.train.selection import Selection
from dsanet_cli.train.trainer import Trainer

FALSE_EVENTS_PER_HOUR = 3.0
"""False events that the calibrated threshold allows on normal videos."""


class BestModel:
    """Writes the best weights whenever they improve.

    Args:
        directory: The model directory to write or replace.
        encoder: The one that the features were made with.
        selection: What is trained on, and what was held out.
        snippet_seconds: That the model's snippets last where the features do not say how long theirs do.
    """

    def __init__(
        self, directory: Path, encoder: TrainingEncoder, selection: Selection, snippet_seconds: float | None
    ) -> None:
        self._directory = directory
        self._encoder = encoder
        self._selection = selection
        self._towers = encoder.towers()
        self._normal, self._which = _normal_videos(selection)
        self._lengths = SnippetLengths()
        videos = [video.path for video in one_crop_each([*selection.training, *selection.held_out])]
        self._snippet_seconds = self._lengths.typical(videos, snippet_seconds)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for the user where the time that false events are counted in is a guess."""
        unknown = self._lengths.unknown([video.path for video in self._normal])
        if not unknown:
            return ()
        told = (
            f"nothing says the frame rate of {unknown} of {len(self._normal)} normal videos, so false events an hour "
            f"are counted as if it were {float(DEFAULT_FEATURE_FPS):g}; dsanet extract notes it beside the features"
        )
        return (told,)

    def write(self, trainer: Trainer, metrics: Notes | None = None) -> ModelConfig:
        """Write the best weights of ``trainer``, with figures about them, without changing its current ones.

        Raises:
            OutputError: the directory cannot be written.
        """
        preset = trainer.preset
        with trainer.best_weights() as model:
            text_features = trainer.text_features()
            rule, how = self._calibrate(model.head, text_features, preset.temperature)
            config = ModelConfig(
                name=self._directory.resolve().parent.name,
                description=f"DSANet trained on {len(one_crop_each(self._selection.training))} videos",
                classes=preset.classes,
                encoder=self._encoder.config,
                preprocessing=self._encoder.preprocessing,
                encoder_sha256=self._encoder.sha256,
                head=preset.head,
                temperature=preset.temperature,
                events=rule,
                sampled_frames=self._encoder.sampled_frames,
                snippet_seconds=self._snippet_seconds,
                training={**self._procedure(trainer), "threshold": how},
                metrics=metrics or {},
            )
            head = model.head.state_dict()
            adapter = model.text_adapter.state_dict() if preset.parts.text_adapter else None
            return save_model(self._directory, config, head, text_features, *self._towers, adapter, overwrite=True)

    def judge(self, trainer: Trainer) -> HeldOut | None:
        """What the best weights of ``trainer`` reach on the held-out videos; None where that cannot be said."""
        with trainer.best_weights() as model:
            return judge_held_out(self._selection, model.head, trainer.text_features(), trainer.preset.temperature)

    def _calibrate(self, head: DSANetHead, text_features: Tensor, temperature: float) -> tuple[EventRule, str]:
        """How scores become events, and on what that was calibrated."""
        if not self._normal:
            return EventRule(), "not calibrated, there was no normal video"
        curves = [
            feature_curve(video.path, head, text_features, temperature, self._lengths.of(video.path))
            for video in self._normal
        ]
        hours = sum(curve.hours for curve in curves)
        how = (
            f"at most {FALSE_EVENTS_PER_HOUR:g} false events an hour, of {SECONDS_PER_EVENT:g} s each, "
            f"on {len(curves)} {self._which} ({hours:.3g} h)"
        )
        return calibrate(EventRule(), curves, FALSE_EVENTS_PER_HOUR), how

    def _procedure(self, trainer: Trainer) -> dict[str, str | int | float]:
        preset = trainer.preset
        left_out = [f.name for f in dataclasses.fields(Parts) if not getattr(preset.parts, f.name)]
        return {
            "data": f"{len(self._selection.training)} feature files, labels of whole videos",
            "preset": preset.name,
            "epochs": preset.epochs,
            "batch size": preset.batch_size,
            "learning rate": preset.learning_rate,
            "features": "centred and scaled" if preset.head.standardised else "as they are",
            **({"anomaly score": "of a linear probe, and what training adds to it"} if preset.head.probed else {}),
            "seed": preset.seed,
            "steps": f"{trainer.steps} of {trainer.total_steps}",
            "held out": "whole groups" if self._selection.by_groups else "single videos",
            "selected by": f"{self._selection.figure_name}, {trainer.best:.4f}",
            **({"without": ", ".join(left_out)} if left_out else {}),
        }


def _normal_videos(selection: Selection) -> tuple[Sequence[LabelledFeatures], str]:
    """One file of each normal video to calibrate on, and a description: held-out videos if there are any."""
    if held_out := [video for video in one_crop_each(selection.held_out) if video.normal]:
        return held_out, "held-out normal videos"
    training = [video for video in one_crop_each(selection.training) if video.normal]
    return training, "normal videos it was trained on, as none were held out"
