"""``dsanet train``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import INTERRUPTED, SOME_FAILED, Device, EncoderWeights, Preset, Root, SkipMissing
from dsanet_cli.cli.signals import ending


class SelectOn(StrEnum):
    """By what training chooses the best weights."""

    test = "test"
    train_split = "train-split"


class Part(StrEnum):
    """Parts of the method that training can leave out."""

    sg_nm = "sg-nm"
    dcsa = "dcsa"
    text_adapter = "text-adapter"


class TrainPrecision(StrEnum):
    """Number formats of training."""

    fp32 = "fp32"
    bf16 = "bf16"


def train(
    train_list: Annotated[Path, typer.Option("--train", help="Feature files to train on: a CSV, path,label[,group].")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for best/ (the model), last/, the log and loss curves.")
    ] = Path("dsanet-training"),
    preset: Annotated[Preset | None, typer.Option(help="Classes and settings of a published training.")] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="TOML file of your own classes. (default: one class for each label of the list)"),
    ] = None,
    test_list: Annotated[Path | None, typer.Option("--test", help="Test list, to choose the best weights on.")] = None,
    truth: Annotated[Path | None, typer.Option("--gt", help="The test list's ground truth, as for eval.")] = None,
    select_on: Annotated[
        SelectOn | None,
        typer.Option(help="Choose the best weights on the test list, or on videos held out of the training list."),
    ] = None,
    root: Root = None,
    skip_missing: SkipMissing = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the list. (default: the preset's)")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="Feature files in a step. (default: the preset's)")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", min=1e-9, help="(default: the preset's)")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="(default: the preset's)")] = None,
    without: Annotated[list[Part] | None, typer.Option(help="Leave out a part of the method; repeat for more.")] = None,
    start_from: Annotated[
        str | None, typer.Option("--start-from", help="Model whose head to start from, instead of random weights.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model whose encoder made the features.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="open_clip model that made the features. (default: what extract noted)")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Of its weights in open_clip.")] = None,
    encoder_weights: EncoderWeights = None,
    device: Device = "auto",
    precision: Annotated[TrainPrecision, typer.Option(help="Of the matrix products.")] = TrainPrecision.fp32,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard scalars, too.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew in a folder that holds one.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
) -> None:
    """Train a model on feature files with labels of whole videos; Ctrl-C leaves all that --resume needs.

    Exit codes: 0 trained, 1 it failed, 2 wrong usage, 3 trained, but files are missing, 130 interrupted.
    """
    import torch

    from dsanet_cli.evaluate.evaluation import truth_files
    from dsanet_cli.models.encoder_choice import EncoderChoice
    from dsanet_cli.train.run import TrainSettings, run_training

    on_test = test_list is not None if select_on is None else select_on is SelectOn.test
    outcome = run_training(
        TrainSettings(
            train_list=train_list,
            output=output,
            test_list=test_list,
            truth=None if truth is None else truth_files(truth),
            preset=None if preset is None else str(preset),
            classes=classes,
            root=root,
            skip_missing=skip_missing,
            select_on_test=on_test,
            start_from=start_from,
            encoder=EncoderChoice(model=model, architecture=encoder, tag=tag, weights=encoder_weights),
            without=tuple(str(part).replace("-", "_") for part in without or ()),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            device=device,
            precision=torch.bfloat16 if precision is TrainPrecision.bf16 else torch.float32,
            resume=resume,
            overwrite=overwrite,
            tensorboard=tensorboard,
            quiet=quiet,
        ),
        ending.noted,
    )
    if not outcome.finished:
        raise typer.Exit(INTERRUPTED)
    if outcome.missing:
        raise typer.Exit(SOME_FAILED)
