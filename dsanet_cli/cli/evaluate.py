"""``dsanet eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import SOME_FAILED, Device, Root, SkipMissing


def evaluate(
    truth: Annotated[Path, typer.Option("--gt", help="Annotation file (text), or a gt*.npy of frames.")],
    list_file: Annotated[
        Path | None, typer.Option("--list", help="Feature files to evaluate on: a CSV, path,label.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Name or directory of the model.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Folder of detect's results, instead of --list and --model.")
    ] = None,
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
    """Evaluate a model on feature files or results of detect: AUC, AP and mAP, as tables, JSON, CSV and curves.

    Exit codes: 0 all done, 1 nothing evaluated, 2 wrong usage, 3 evaluated, but files are missing.
    """
    from dsanet_cli.evaluate.run import EvalSettings, run_eval

    outcome = run_eval(
        EvalSettings(
            model=model,
            list_file=list_file,
            results=results,
            truth=truth,
            segments=segments,
            labels=labels,
            output=output,
            root=root,
            skip_missing=skip_missing,
            device=device,
            quiet=quiet,
        ),
        silent=False,
    )
    if outcome.missing:
        raise typer.Exit(SOME_FAILED)
