"""The ``train`` command: lists and classes in, a model directory out, also after an interruption."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from dsanet_cli.config import Parts
from dsanet_cli.console import plain_console, print_missing, progress_bar
from dsanet_cli.encoder.device import choose_device
from dsanet_cli.errors import OutputError, TrainingError, UsageError
from dsanet_cli.evaluate.evaluation import TruthFiles
from dsanet_cli.features.encoder_check import note_without_sidecar
from dsanet_cli.features.lists import ListedFeature, read_list, require_files
from dsanet_cli.models.classes import check_width, classes_of_labels, own_preset, read_classes
from dsanet_cli.models.directory import Model, load_model
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.models.presets import PRESETS, PUBLISHED_SNIPPET_SECONDS, Preset
from dsanet_cli.text import format_clock
from dsanet_cli.train.best import BestModel
from dsanet_cli.train.checkpoint import CHECKPOINT_FILE, go_on, read_checkpoint, save_checkpoint
from dsanet_cli.train.choice import describe, fit_steps, fit_window, own_rate
from dsanet_cli.train.dataset import LabelledFeatures, label_features
from dsanet_cli.train.encoder import TrainingEncoder, training_encoder
from dsanet_cli.train.log import TrainingLog
from dsanet_cli.train.selection import Selection, digest_files, on_test_list, on_training_list
from dsanet_cli.train.start import classes_of_model, start_from, with_head_of
from dsanet_cli.train.trainer import Step, Trainer

BEST, LAST = "best", "last"
WHAT_MADE_THEM = EncoderChoice()
"""No choice: the encoder that the features were made with."""
Stopping = Callable[[], AbstractContextManager[Callable[[], bool]]]
MEANINGFUL_STEPS = 10
"""Steps after which the time left is estimated."""


@dataclass(frozen=True)
class TrainSettings:
    """One run of ``dsanet train``; None means that the preset decides."""

    train_list: Path
    output: Path
    test_list: Path | None = None
    truth: TruthFiles | None = None
    """Ground truth of the test list."""
    preset: str | None = None
    """None: the user's own classes, from ``classes`` or from the labels of the list."""
    classes: Path | None = None
    root: Path | None = None
    skip_missing: bool = False
    select_on_test: bool = False
    start_from: str | None = None
    """A model whose head to start from."""
    encoder: EncoderChoice = WHAT_MADE_THEM
    without: tuple[str, ...] = ()
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    device: str = "auto"
    precision: torch.dtype = torch.float32
    resume: bool = False
    overwrite: bool = False
    tensorboard: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class TrainOutcome:
    """Whether training finished (if not, ``last/`` has what is needed to resume), and how many files are missing."""

    finished: bool
    missing: int


def never() -> AbstractContextManager[Callable[[], bool]]:
    """A training that nobody stops."""
    return nullcontext(lambda: False)


def run_training(settings: TrainSettings, stopping: Stopping = never) -> TrainOutcome:
    """Train, and write ``best/`` (a model directory), ``last/``, ``log.csv``, ``losses.png`` and ``held-out.json``.

    Args:
        settings: What to train on, and how.
        stopping: Entered while steps are made, it gives a function that says whether to stop after the current one.

    Raises:
        UsageError: settings that contradict each other, or those of the training to be resumed.
        SourceError: a list or ground truth that does not fit, or missing files.
        FeatureError: a feature file that does not fit.
        ModelError: the encoder does not load, or is not the one the features were made with.
        TrainingError: the training diverges.
        OutputError: the output folder holds a training already, or cannot be written.
    """
    log = plain_console(stderr=True, quiet=settings.quiet)
    _check(settings, log)
    listed, missing = _present(settings.train_list, settings, log)
    encoder = training_encoder(settings.encoder, [row.path for row in listed], settings.start_from)
    start = None if settings.start_from is None else load_model(settings.start_from)
    preset = _preset(settings, listed, encoder, start)
    if note := note_without_sidecar(row.path for row in listed):
        log.print(note)
    videos = label_features(listed, preset)
    device = choose_device(settings.device)
    if settings.preset is None and start is None:  # a model's head has a window of its own
        preset = fit_window(preset, videos)
    selection, untested = _selection(settings, videos, preset, encoder, device, log)
    if settings.preset is None:
        preset = fit_steps(preset, selection.training, settings.epochs, settings.batch_size)
    saved = read_checkpoint(settings.output / LAST / CHECKPOINT_FILE) if settings.resume else None
    if saved is not None and settings.epochs is None:
        preset = dataclasses.replace(preset, epochs=saved.epochs, patience=saved.patience)
    trainer = Trainer(preset, selection.training, encoder.clip, device, settings.precision)
    facts = {**_facts(settings, preset, selection), "start": "" if start is None else start.sha256}
    if start is not None:
        start_from(trainer, start)
    if saved is not None:
        go_on(saved, trainer, facts)
        more = f", {saved.epochs} epochs before" if preset.epochs > saved.epochs else ""
        log.print(f"resuming after step {trainer.steps} of {trainer.total_steps}{more}")
    log.print(
        f"training on {len(selection.training)} feature files for {preset.epochs} epochs of "
        f"{trainer.sampler.batches_per_epoch} steps, on {trainer.device}; {selection.remark}"
    )
    if settings.preset is None:
        log.print(describe(preset))
    best = BestModel(settings.output / BEST, encoder, selection, _snippet_seconds(settings, start))
    for line in (*(f"warning: {doubt}" for doubt in selection.warnings), *best.notes):
        log.print(line)
    finished = _train(trainer, selection, best, settings, facts, stopping, log)
    _conclude(trainer, selection, best, settings, finished, log)
    return TrainOutcome(finished, missing + untested)


def _selection(
    settings: TrainSettings,
    videos: Sequence[LabelledFeatures],
    preset: Preset,
    encoder: TrainingEncoder,
    device: torch.device,
    log: Console,
) -> tuple[Selection, int]:
    """What to train on and how to choose weights, and how many files of the test list are missing."""
    if settings.truth is None or settings.test_list is None or not settings.select_on_test:
        return on_training_list(videos, preset, device), 0
    tested, missing = _present(settings.test_list, settings, log)
    encoder.check([row.path for row in tested])
    return on_test_list(videos, preset, tested, settings.truth), missing


def _conclude(
    trainer: Trainer, selection: Selection, best: BestModel, settings: TrainSettings, finished: bool, log: Console
) -> None:
    """Write the model as it is in the end, and say how good it is."""
    judged = best.judge(trainer) if finished else None
    if trainer.best > -math.inf:
        config = best.write(trainer, None if judged is None else judged.comparison.as_metrics())
    if not finished:
        log.print(f"stopped after step {trainer.steps} of {trainer.total_steps}; go on with --resume")
        return
    if trainer.steps < trainer.total_steps:
        log.print(f"ended after step {trainer.steps}: no improvement in {trainer.unimproved} validations")
    if judged is not None:
        judged.write(settings.output)
        for line in judged.comparison.lines():
            log.print(line)
    log.print(
        f"best {selection.figure_name} {trainer.best:.4f}, event threshold {config.events.threshold}; "
        f"use it with --model {settings.output / BEST}"
    )


def _snippet_seconds(settings: TrainSettings, start: Model | None) -> float | None:
    """That snippets last where the features do not say; None counts frames."""
    if settings.preset is not None:
        return PUBLISHED_SNIPPET_SECONDS
    return None if start is None else start.config.snippet_seconds


def _check(settings: TrainSettings, log: Console) -> None:
    if settings.preset is not None and settings.classes is not None:
        raise UsageError("--preset and --classes both say which classes there are; give one of them")
    if (settings.test_list is None) != (settings.truth is None):
        raise UsageError("--test and --gt go together; give both or none")
    if settings.select_on_test and settings.test_list is None:
        raise UsageError("--select-on test needs --test and --gt")
    if settings.test_list is not None and not settings.select_on_test:
        log.print("note: --test and --gt have no effect with --select-on train; evaluate on them with dsanet eval")
    if settings.resume and settings.overwrite:
        raise UsageError("--resume goes on with a training, --overwrite begins it anew; give one of them")
    checkpoint = settings.output / LAST / CHECKPOINT_FILE
    if settings.resume and not checkpoint.is_file():
        raise UsageError(f"{checkpoint}: nothing to resume; drop --resume to begin")
    if checkpoint.is_file() and not settings.resume and not settings.overwrite:
        raise OutputError(f"{settings.output}: holds a training; go on with --resume, or begin anew with --overwrite")


def _present(path: Path, settings: TrainSettings, log: Console) -> tuple[list[ListedFeature], int]:
    """The rows of a list whose files exist, and how many do not; these are named."""
    found, missing = require_files(read_list(path, settings.root), path, settings.skip_missing)
    print_missing(missing)
    if missing:
        log.print(f"{path}: {len(missing)} feature files are missing, going on with {len(found)}")
    return found, len(missing)


def _preset(
    settings: TrainSettings, listed: Sequence[ListedFeature], encoder: TrainingEncoder, start: Model | None
) -> Preset:
    if settings.preset is not None:
        preset = dataclasses.replace(PRESETS[settings.preset], encoder=encoder.config)
        check_width(preset, encoder.config)
    else:
        name = (settings.classes or settings.train_list).stem
        if settings.classes is not None:
            own = read_classes(settings.classes)
        else:
            own = classes_of_labels({row.label for row in listed}, settings.train_list)
            own = own if start is None else classes_of_model(start, own)
        preset = own_rate(own_preset(name, own, encoder.config, encoder.clip))
    if start is not None:
        preset = with_head_of(preset, start, encoder, published=settings.preset is not None)
    parts = Parts(**{f.name: f.name not in settings.without for f in dataclasses.fields(Parts)})
    return dataclasses.replace(
        preset,
        parts=parts,
        epochs=settings.epochs or preset.epochs,
        batch_size=settings.batch_size or preset.batch_size,
        learning_rate=settings.learning_rate or preset.learning_rate,
        seed=preset.seed if settings.seed is None else settings.seed,
    )


def _facts(settings: TrainSettings, preset: Preset, selection: Selection) -> dict[str, str]:
    """What a resumed training must have in common with the interrupted one, by the name an error gives it."""
    return {
        "classes": repr(preset.classes),
        "head": repr(preset.head),
        "parts left out": repr(preset.parts),
        "encoder": repr(preset.encoder),
        "batch size": str(preset.batch_size),
        "learning rate": str(preset.learning_rate),
        "seed": str(preset.seed),
        "precision": str(settings.precision),
        "selection": selection.figure_name,
        "training files": digest_files(selection.training),
        **selection.facts,
    }


def _train(
    trainer: Trainer,
    selection: Selection,
    best: BestModel,
    settings: TrainSettings,
    facts: dict[str, str],
    stopping: Stopping,
    log: Console,
) -> bool:
    """Train to the end, or until ``stopping`` says so; whether it was the end."""
    training_log = TrainingLog(settings.output, selection.figure_name, trainer.steps, settings.tensorboard)
    checkpoint = settings.output / LAST / CHECKPOINT_FILE
    time_left = _TimeLeft(trainer)
    with stopping() as stop, progress_bar(settings.quiet) as progress:
        task = progress.add_task("", total=trainer.total_steps, completed=trainer.steps)
        try:
            for step in trainer.train(selection.validate):
                training_log.add(step)
                line = _line(step, trainer)
                progress.update(task, completed=step.number, description=line)
                if step.figure is not None and progress.disable:
                    log.print(f"{line}{time_left}")
                if step.improved:
                    best.write(trainer)
                interrupted = stop()
                if step.ends_epoch or interrupted:
                    training_log.write()  # before the checkpoint: rows that are ahead of it are dropped, none is missed
                    save_checkpoint(checkpoint, trainer, facts)
                if interrupted:
                    break
        except TrainingError as error:
            training_log.write()
            training_log.draw()
            left = "best/ holds the best weights before that" if trainer.best > -math.inf else "it leaves no model"
            raise TrainingError(f"{settings.output}: {error}; {left}") from error
    training_log.draw()
    return trainer.finished


def _line(step: Step, trainer: Trainer) -> str:
    line = f"epoch {step.epoch}/{trainer.preset.epochs} step {step.number}: loss {step.losses['total']:.3f}"
    if not math.isinf(step.best):
        line += f", best {step.best:.4f}"
    return line if step.figure is None else f"{line}, now {step.figure:.4f}"


class _TimeLeft:
    """The time left, as the end of a line; empty while it cannot be estimated."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._started, self._first = time.monotonic(), trainer.steps

    def __str__(self) -> str:
        done, left = self._trainer.steps - self._first, self._trainer.total_steps - self._trainer.steps
        if done < MEANINGFUL_STEPS or left == 0:
            return ""
        return f", about {format_clock((time.monotonic() - self._started) / done * left)} left"
