"""``dsanet calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import (
    SOME_FAILED,
    BatchSize,
    EncoderDevice,
    EncoderPrecision,
    EncoderWeights,
    Jobs,
    MaskFile,
    Recursive,
    RegionText,
    StallTimeout,
    check_finite,
    parse_region,
)
from dsanet_cli.errors import UsageError


def calibrate(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="NORMAL...",
            help="Footage in which nothing abnormal happens: videos, folders, results (.json); with --review, reviews.",
        ),
    ],
    false_alarms: Annotated[
        str, typer.Option("--false-alarms", metavar="N/TIME", help="How many are allowed: 1/day, 12/hour, 0.5/week.")
    ] = "1/day",
    review: Annotated[
        bool,
        typer.Option("--review", help="From reviews (NAME.review.json, beside their results), as pages save them."),
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="The profile to write.")] = Path("profile.toml"),
    recursive: Recursive = False,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Name or directory of the model. (default: as for detect)"),
    ] = None,
    min_length: Annotated[
        float | None, typer.Option(min=0, help="Seconds an event lasts at least. (default: the model's)")
    ] = None,
    region: RegionText = None,
    mask: MaskFile = None,
    device: EncoderDevice = "auto",
    precision: EncoderPrecision = "auto",
    batch_size: BatchSize = None,
    encoder_weights: EncoderWeights = None,
    jobs: Jobs = None,
    stall_timeout: StallTimeout = 60,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a profile that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
) -> None:
    """Choose the event threshold for your cameras from their normal footage or reviews; detect --profile takes it.

    Exit codes: 0 all done, 1 nothing to calibrate on, 2 wrong usage, 3 some inputs failed.
    """
    check_finite(min_length=min_length, stall_timeout=stall_timeout)
    from dsanet_cli.calibrate.run import CalibrateSettings, calibrate_reviews, run_calibrate
    from dsanet_cli.detect.settings import DetectSettings
    from dsanet_cli.models.default import choose_model
    from dsanet_cli.pipeline.pipeline import PipelineSettings
    from dsanet_cli.video.mask import Mask
    from dsanet_cli.video.options import ReadOptions

    if review and model is not None:
        raise UsageError("--model has no effect with --review: the results name the model that they are of")
    calibration = calibrate_reviews if review else run_calibrate
    outcome = calibration(
        CalibrateSettings(
            sources=tuple(sources),
            output=output,
            false_alarms=false_alarms,
            recursive=recursive,
            model="" if review else choose_model(model).name,
            detect=DetectSettings(
                device=device,
                precision=precision,
                batch_size=batch_size,
                encoder_weights=encoder_weights,
                reading=ReadOptions(region=parse_region(region), mask=None if mask is None else Mask.read(mask)),
            ),
            pipeline=PipelineSettings(jobs=jobs, stall_timeout=stall_timeout),
            min_length=min_length,
            overwrite=overwrite,
            quiet=quiet,
        ),
        silent=False,
    )
    if outcome.failed:
        raise typer.Exit(SOME_FAILED)
