"""The commands for people who train and compare: extract, train, eval. As in ``cli.py``, heavy imports come late."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli_options import (
    ALL_FAILED,
    INTERRUPTED,
    SOME_FAILED,
    BatchSize,
    Device,
    EncoderPrecision,
    EncoderWeights,
    Preset,
    Recursive,
    Root,
    SkipMissing,
    Verbose,
)
from dsanet_cli.errors import UsageError


class Crops(StrEnum):
    """Parts of each frame that extract encodes."""

    centre = "center"
    ten = "ten"


class Storage(StrEnum):
    """Number format of feature files."""

    fp16 = "fp16"
    fp32 = "fp32"


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


def extract(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Videos, folders, quoted globs, @list.txt, or - for a list on stdin."),
    ],
    recursive: Recursive = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for feature files.")] = None,
    crops: Annotated[Crops | None, typer.Option(help="The centre, or ten crops. (default: center)")] = None,
    frames_per_snippet: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Frames encoded of each 16 and averaged, evenly spread. (default: 16)"),
    ] = None,
    storage: Annotated[Storage | None, typer.Option(help="Number format of the files. (default: fp32)")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Take the encoder of this model. (default: the published features')"),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", help="Take this open_clip architecture, with --tag or --encoder-weights.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="open_clip's name of the weights.")] = None,
    encoder_weights: EncoderWeights = None,
    list_file: Annotated[
        Path | None, typer.Option("--list", help="Also write a list CSV, labels being the folders' names.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV (path,label) with the labels for --list.")] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Compare this published feature file with one video, and write nothing.")
    ] = None,
    device: Device = "auto",
    precision: EncoderPrecision = "auto",
    batch_size: BatchSize = None,
    skip_existing: Annotated[
        bool | None,
        typer.Option("--skip-existing/--overwrite", help="Keep whole feature files, or redo them. (default: keep)"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
    verbose: Verbose = False,
) -> None:
    """Write CLIP features of videos in the published layout, or check one's own against a published file.

    Exit codes: 0 all done, 1 every input failed, 2 wrong usage, 3 some inputs failed.
    """
    from dsanet_cli.encoder_choice import EncoderChoice

    choice = EncoderChoice(model, encoder, tag, encoder_weights)
    if verify is not None:
        only_extraction = {
            "--output": output,
            "--crops": crops,
            "--frames-per-snippet": frames_per_snippet,
            "--storage": storage,
            "--list": list_file,
            "--labels": labels,
            "--skip-existing/--overwrite": skip_existing,
            "--recursive": recursive or None,
        }
        if given := [name for name, value in only_extraction.items() if value is not None]:
            raise UsageError(f"--verify writes nothing and decodes every frame; drop {', '.join(given)}")
        if len(sources) > 1:
            raise UsageError("--verify compares with one video; name one only")
        from dsanet_cli.verify import VerifySettings, run_verify

        run_verify(VerifySettings(verify, Path(sources[0]), choice, device, precision, batch_size, quiet))
        return
    if output is None:
        raise UsageError("extract needs a folder for the feature files; name it with --output DIR")
    from dsanet_cli.config import FRAMES_PER_SNIPPET
    from dsanet_cli.encoder import CENTRE_CROP, TEN_CROPS
    from dsanet_cli.extract import ExtractSettings, run_extract

    outcome = run_extract(
        ExtractSettings(
            sources=tuple(sources),
            output=output,
            recursive=recursive,
            encoder=choice,
            crops=TEN_CROPS if crops == Crops.ten else (CENTRE_CROP,),
            sampled_frames=frames_per_snippet or FRAMES_PER_SNIPPET,
            storage="float16" if storage == Storage.fp16 else "float32",
            device=device,
            precision=precision,
            batch_size=batch_size,
            list_file=list_file,
            labels=labels,
            overwrite=skip_existing is False,
            quiet=quiet,
            verbose=verbose,
        )
    )
    if outcome.failed:
        raise typer.Exit(SOME_FAILED if outcome.extracted or outcome.kept else ALL_FAILED)


def evaluate(
    list_file: Annotated[Path, typer.Option("--list", help="Feature files to evaluate on: a CSV, path,label.")],
    truth: Annotated[Path, typer.Option("--gt", help="Annotation file (text), or a gt*.npy of frames.")],
    model: Annotated[str, typer.Option("--model", help="Name or directory of the model.")],
    segments: Annotated[
        Path | None, typer.Option("--gt-segments", help="gt_segment*.npy to go with gt*.npy; for mAP.")
    ] = None,
    labels: Annotated[Path | None, typer.Option("--gt-labels", help="gt_label*.npy to go with gt*.npy.")] = None,
    root: Root = None,
    skip_missing: SkipMissing = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.")] = Path("dsanet-eval"),
    device: Device = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the figures and errors.")] = False,
) -> None:
    """Evaluate a model on feature files: AUC, AP and mAP, as tables, JSON, CSV and ROC and PR curves.

    Exit codes: 0 all done, 1 nothing evaluated, 2 wrong usage, 3 evaluated, but files are missing.
    """
    from dsanet_cli.eval_command import EvalSettings, run_eval

    outcome = run_eval(
        EvalSettings(
            model=model,
            list_file=list_file,
            truth=truth,
            segments=segments,
            labels=labels,
            output=output,
            root=root,
            skip_missing=skip_missing,
            device=device,
            quiet=quiet,
        )
    )
    if outcome.missing:
        raise typer.Exit(SOME_FAILED)


def train(
    train_list: Annotated[Path, typer.Option("--train", help="Feature files to train on: a CSV, path,label.")],
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
    model: Annotated[str | None, typer.Option(help="Model whose encoder made the features.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="open_clip model that made the features. (default: what extract noted)")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Of its weights in open_clip.")] = None,
    encoder_weights: EncoderWeights = None,
    device: Device = "auto",
    precision: Annotated[TrainPrecision, typer.Option(help="Of the head's matrix products.")] = TrainPrecision.fp32,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard scalars, too.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted training stopped.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew in a folder that holds one.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
) -> None:
    """Train a model on feature files with labels of whole videos; Ctrl-C leaves all that --resume needs.

    Exit codes: 0 trained, 1 it failed, 2 wrong usage, 3 trained, but files are missing, 130 interrupted.
    """
    import torch

    from dsanet_cli.encoder_choice import EncoderChoice
    from dsanet_cli.evaluate import truth_files
    from dsanet_cli.train_command import TrainSettings, run_training

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
        )
    )
    if not outcome.finished:
        raise typer.Exit(INTERRUPTED)
    if outcome.missing:
        raise typer.Exit(SOME_FAILED)
