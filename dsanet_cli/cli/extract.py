"""``dsanet extract``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import (
    ALL_FAILED,
    QUIET_AND_VERBOSE,
    SOME_FAILED,
    BatchSize,
    EncoderDevice,
    EncoderPrecision,
    EncoderWeights,
    Jobs,
    MaskFile,
    Recursive,
    RegionText,
    ReuseStill,
    Shard,
    StallTimeout,
    Stream,
    Verbose,
    check_finite,
    parse_region,
    parse_shard,
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
        typer.Option(min=1, max=16, help="Frames encoded of a snippet and averaged, evenly spread. (default: 16)"),
    ] = None,
    snippet_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=60,
            help="Seconds of a snippet, at any frame rate. (default: 16 frames, as published)",
        ),
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
    labels: Annotated[Path | None, typer.Option(help="CSV (path,label[,group]) with the labels for --list.")] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Compare this published feature file with one video, and write nothing.")
    ] = None,
    device: EncoderDevice = "auto",
    precision: EncoderPrecision = "auto",
    batch_size: BatchSize = None,
    jobs: Jobs = None,
    stall_timeout: StallTimeout = 60,
    shard: Shard = None,
    stream: Stream = None,
    region: RegionText = None,
    mask: MaskFile = None,
    reuse_still: ReuseStill = None,
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
    part = parse_shard(shard)
    check_finite(stall_timeout=stall_timeout, snippet_seconds=snippet_seconds, reuse_still=reuse_still)
    from dsanet_cli.models.encoder_choice import EncoderChoice
    from dsanet_cli.video.mask import Mask
    from dsanet_cli.video.options import ReadOptions

    if quiet and verbose:
        raise UsageError(QUIET_AND_VERBOSE)
    view = ReadOptions(region=parse_region(region), mask=None if mask is None else Mask.read(mask))
    choice = EncoderChoice(model, encoder, tag, encoder_weights)
    if verify is not None:
        only_extraction = {
            "--output": output,
            "--crops": crops,
            "--frames-per-snippet": frames_per_snippet,
            "--snippet-seconds": snippet_seconds,
            "--storage": storage,
            "--list": list_file,
            "--labels": labels,
            "--skip-existing/--overwrite": skip_existing,
            "--recursive": recursive or None,
            "--jobs": jobs,
            "--shard": shard,
            "--stream": stream,
            "--reuse-still": reuse_still,
            "--verbose": verbose or None,
        }
        if given := [name for name, value in only_extraction.items() if value is not None]:
            raise UsageError(f"--verify writes nothing and decodes every frame; drop {', '.join(given)}")
        if len(sources) > 1:
            raise UsageError("--verify compares with one video; name one only")
        from dsanet_cli.extract.verify import VerifySettings, run_verify
        from dsanet_cli.pipeline.pipeline import PipelineSettings

        pipeline = PipelineSettings(stall_timeout=stall_timeout)
        video = Path(sources[0])
        run_verify(VerifySettings(verify, video, choice, device, precision, batch_size, pipeline, quiet, view))
        return
    if output is None:
        raise UsageError("extract needs a folder for the feature files; name it with --output DIR")
    from dsanet_cli.config import FRAMES_PER_SNIPPET
    from dsanet_cli.encoder.choices import CENTRE_CROP, TEN_CROPS
    from dsanet_cli.extract.run import ExtractSettings, run_extract
    from dsanet_cli.pipeline.pipeline import PipelineSettings

    outcome = run_extract(
        ExtractSettings(
            sources=tuple(sources),
            output=output,
            recursive=recursive,
            encoder=choice,
            crops=TEN_CROPS if crops == Crops.ten else (CENTRE_CROP,),
            sampled_frames=frames_per_snippet or FRAMES_PER_SNIPPET,
            snippet_seconds=snippet_seconds,
            storage="float16" if storage == Storage.fp16 else "float32",
            device=device,
            precision=precision,
            batch_size=batch_size,
            list_file=list_file,
            labels=labels,
            shard=part,
            stream=stream,
            region=view.region,
            mask=view.mask,
            reuse_still=reuse_still,
            pipeline=PipelineSettings(jobs=jobs, stall_timeout=stall_timeout),
            overwrite=skip_existing is False,
            quiet=quiet,
            verbose=verbose,
        ),
        silent=False,
    )
    if outcome.failed:
        raise typer.Exit(SOME_FAILED if outcome.extracted or outcome.kept else ALL_FAILED)
