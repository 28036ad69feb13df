"""The ``train`` command: lists and classes in, a model directory out, whatever interrupts it in between."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from dsanet_cli.config import FRAMES_PER_SNIPPET, EventRule, ModelConfig, Parts
from dsanet_cli.console import plain_console, print_missing, progress_bar
from dsanet_cli.encoder.device import choose_device
from dsanet_cli.errors import OutputError, UsageError
from dsanet_cli.evaluate.evaluation import TruthFiles
from dsanet_cli.features.files import DEFAULT_FEATURE_FPS
from dsanet_cli.features.lists import ListedFeature, read_list, require_files
from dsanet_cli.models.classes import check_width, classes_of_labels, own_preset, read_classes
from dsanet_cli.models.directory import save_model
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.models.presets import PRESETS, Preset
from dsanet_cli.timeline.calibration import calibrate
from dsanet_cli.train.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from dsanet_cli.train.curves import feature_curve
from dsanet_cli.train.dataset import LabelledFeatures, label_features, one_crop_each
from dsanet_cli.train.encoder import TrainingEncoder, training_encoder
from dsanet_cli.train.log import TrainingLog
from dsanet_cli.train.selection import Selection, on_test_list, on_training_list
from dsanet_cli.train.trainer import Step, Trainer

BEST, LAST = "best", "last"
OWN_STEPS = 1000
"""Steps that a training on one's own classes takes at least, unless told otherwise; UCF-Crime takes 1,250."""
OWN_BATCHES_PER_EPOCH = 4
"""At least, on a small list of one's own: batches shrink."""
WHAT_MADE_THEM = EncoderChoice()
"""The encoder that the features were made with."""
FALSE_EVENTS_PER_HOUR = 3.0
"""That the threshold may let through on normal training videos."""


@dataclass(frozen=True)
class TrainSettings:
    """One run of ``dsanet train``; None means that the preset decides."""

    train_list: Path
    output: Path
    test_list: Path | None = None
    truth: TruthFiles | None = None
    """Ground truth of the test list."""
    preset: str | None = None
    """None: classes of one's own, from ``classes`` or from the labels of the list."""
    classes: Path | None = None
    root: Path | None = None
    skip_missing: bool = False
    select_on_test: bool = False
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
    """Whether training came to its end (if not, ``last/`` holds all that is needed to go on), and missing files."""

    finished: bool
    missing: int


def run_training(settings: TrainSettings) -> TrainOutcome:
    """Train, and write ``best/`` (a model directory), ``last/``, ``log.csv`` and ``losses.png``.

    Raises:
        UsageError: settings that contradict each other, or those of the training to be resumed.
        SourceError: a list or ground truth that does not fit, or missing files.
        FeatureError: a feature file that does not fit.
        ModelError: the encoder does not load, or is not the one the features were made with.
        OutputError: the output folder holds a training already, or cannot be written.
    """
    _check(settings)
    log = plain_console(stderr=True, quiet=settings.quiet)
    listed, missing = _present(settings.train_list, settings, log)
    encoder = training_encoder(settings.encoder, listed[0].path.parent)
    preset = _preset(settings, listed, encoder)
    videos = label_features(listed, preset)
    device = choose_device(settings.device)
    if settings.truth is not None and settings.test_list is not None and settings.select_on_test:
        tested, untested = _present(settings.test_list, settings, log)
        missing += untested
        selection = on_test_list(videos, preset, tested, settings.truth)
    else:
        selection = on_training_list(videos, preset, device)
    preset = _sized(preset, settings, selection.training)
    trainer = Trainer(preset, selection.training, encoder.clip, device, settings.precision)
    facts = _facts(settings, preset, selection)
    if settings.resume:
        load_checkpoint(settings.output / LAST / CHECKPOINT_FILE, trainer, facts)
        log.print(f"resuming after step {trainer.steps} of {trainer.total_steps}")
    log.print(
        f"training on {len(selection.training)} feature files for {preset.epochs} epochs of "
        f"{trainer.sampler.batches_per_epoch} steps, on {trainer.device}; {selection.remark}"
    )
    finished = _train(trainer, selection, settings, facts, log)
    if trainer.best > -math.inf:
        config = _save_best(settings.output / BEST, trainer, encoder, selection, one_crop_each(videos))
    if finished:
        log.print(
            f"best {selection.figure_name} {trainer.best:.4f}, event threshold {config.events.threshold}; "
            f"use it with --model {settings.output / BEST}"
        )
    else:
        log.print(f"stopped after step {trainer.steps} of {trainer.total_steps}; go on with --resume")
    return TrainOutcome(finished, missing)


def _check(settings: TrainSettings) -> None:
    if settings.preset is not None and settings.classes is not None:
        raise UsageError("--preset and --classes both say which classes there are; give one of them")
    if (settings.test_list is None) != (settings.truth is None):
        raise UsageError("--test and --gt go together; give both or none")
    if settings.select_on_test and settings.test_list is None:
        raise UsageError("--select-on test needs --test and --gt")
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


def _preset(settings: TrainSettings, listed: Sequence[ListedFeature], encoder: TrainingEncoder) -> Preset:
    if settings.preset is not None:
        preset = dataclasses.replace(PRESETS[settings.preset], encoder=encoder.config)
        check_width(preset, encoder.config)
    else:
        name = (settings.classes or settings.train_list).stem
        if settings.classes is not None:
            own = read_classes(settings.classes)
        else:
            own = classes_of_labels({row.label for row in listed}, settings.train_list)
        preset = own_preset(name, own, encoder.config, encoder.clip)
    parts = Parts(**{f.name: f.name not in settings.without for f in dataclasses.fields(Parts)})
    return dataclasses.replace(
        preset,
        parts=parts,
        epochs=settings.epochs or preset.epochs,
        batch_size=settings.batch_size or preset.batch_size,
        learning_rate=settings.learning_rate or preset.learning_rate,
        seed=preset.seed if settings.seed is None else settings.seed,
    )


def _sized(preset: Preset, settings: TrainSettings, training: Sequence[LabelledFeatures]) -> Preset:
    """Batches and epochs that suit a list of one's own, where they are not given; presets stay as published."""
    if settings.preset is not None:
        return preset
    normal = sum(video.normal for video in training)
    fewer = min(normal, len(training) - normal)
    if settings.batch_size is None:
        half = min(preset.batch_size // 2, fewer // OWN_BATCHES_PER_EPOCH)
        preset = dataclasses.replace(preset, batch_size=2 * max(1, half))
    if settings.epochs is None:
        batches = max(1, fewer // (preset.batch_size // 2))
        preset = dataclasses.replace(preset, epochs=max(preset.epochs, math.ceil(OWN_STEPS / batches)))
    return preset


def _facts(settings: TrainSettings, preset: Preset, selection: Selection) -> dict[str, str]:
    """What a resumed training must have in common with the interrupted one, by the name an error gives it."""
    files = "\n".join(f"{video.path.name} {video.classes}" for video in selection.training)
    return {
        "classes": repr(preset.classes),
        "head": repr(preset.head),
        "parts left out": repr(preset.parts),
        "encoder": repr(preset.encoder),
        "epochs": str(preset.epochs),
        "batch size": str(preset.batch_size),
        "learning rate": str(preset.learning_rate),
        "seed": str(preset.seed),
        "precision": str(settings.precision),
        "selection": selection.figure_name,
        "training files": hashlib.sha256(files.encode()).hexdigest(),
    }


def _train(
    trainer: Trainer, selection: Selection, settings: TrainSettings, facts: dict[str, str], log: Console
) -> bool:
    """Train to the end or to the first Ctrl-C; whether it was the end."""
    training_log = TrainingLog(settings.output, selection.figure_name, trainer.steps, settings.tensorboard)
    checkpoint = settings.output / LAST / CHECKPOINT_FILE
    with _interruptible() as interrupted, progress_bar(settings.quiet) as progress:
        task = progress.add_task("", total=trainer.total_steps, completed=trainer.steps)
        for step in trainer.train(selection.validate):
            training_log.add(step)
            progress.update(task, completed=step.number, description=_line(step, trainer))
            if step.figure is not None and progress.disable:
                log.print(_line(step, trainer))
            if step.ends_epoch or interrupted():
                save_checkpoint(checkpoint, trainer, facts)
                training_log.write()
            if interrupted():
                break
    return trainer.steps == trainer.total_steps


def _line(step: Step, trainer: Trainer) -> str:
    line = f"epoch {step.epoch}/{trainer.preset.epochs} step {step.number}: loss {step.losses['total']:.3f}"
    if not math.isinf(step.best):
        line += f", best {step.best:.4f}"
    return line if step.figure is None else f"{line}, now {step.figure:.4f}"


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for an end at the next step; the second one is as ever."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _save_best(
    directory: Path,
    trainer: Trainer,
    encoder: TrainingEncoder,
    selection: Selection,
    videos: Sequence[LabelledFeatures],
) -> ModelConfig:
    preset = trainer.preset
    trainer.load_best()
    trainer.model.eval()
    with torch.inference_mode():
        text_features = trainer.text_features()
    normal = [video for video in videos if video.normal]
    seconds = float(FRAMES_PER_SNIPPET / DEFAULT_FEATURE_FPS)  # the files do not tell
    curves = [
        feature_curve(video.path, trainer.model.head, text_features, preset.temperature, seconds) for video in normal
    ]
    rule = calibrate(EventRule(), curves, FALSE_EVENTS_PER_HOUR) if curves else EventRule()
    image_tower, text_tower = encoder.towers()
    left_out = [f.name for f in dataclasses.fields(Parts) if not getattr(preset.parts, f.name)]
    config = ModelConfig(
        name=directory.resolve().parent.name,
        description=f"DSANet trained on {len(videos)} videos",
        classes=preset.classes,
        encoder=encoder.config,
        preprocessing=encoder.preprocessing,
        head=preset.head,
        temperature=preset.temperature,
        events=rule,
        sampled_frames=encoder.sampled_frames,
        training={
            "data": f"{len(selection.training)} feature files, labels of whole videos",
            "preset": preset.name,
            "epochs": preset.epochs,
            "batch size": preset.batch_size,
            "learning rate": preset.learning_rate,
            "seed": preset.seed,
            "steps": f"{trainer.steps} of {trainer.total_steps}",
            "selected by": f"{selection.figure_name}, {trainer.best:.4f}",
            **({"without": ", ".join(left_out)} if left_out else {}),
        },
    )
    head = trainer.model.head.state_dict()
    return save_model(directory, config, head, text_features, image_tower, text_tower, overwrite=True)
