"""``dsanet detect``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import (
    ALL_FAILED,
    INTERRUPTED,
    QUIET_AND_VERBOSE,
    SOME_FAILED,
    STDOUT,
    BatchSize,
    EncoderDevice,
    EncoderPrecision,
    EncoderWeights,
    Engine,
    Exact,
    Format,
    Jobs,
    MaskFile,
    MergeGap,
    MinLength,
    NameTime,
    Pad,
    Profile,
    Recursive,
    RegionText,
    Release,
    ReuseStill,
    Shard,
    StallTimeout,
    Start,
    Stream,
    Threshold,
    Timezone,
    Verbose,
    check_finite,
    check_levels,
    parse_region,
    parse_shard,
    parse_time,
)
from dsanet_cli.errors import UsageError

SCAN_LEVEL = 0.1
"""Far below the usual release level: a key frame shows an event less clearly than the event's own frames."""


ONE_FILE_FORMATS = frozenset({Format.clips, Format.mp4, Format.otio, Format.edl})
"""What is made of, or names, the one file of a video."""


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Videos, URLs, feature files (.npy), folders, quoted globs, @list.txt, or - for a list on stdin; "
            "a folder or glob of pictures is one video.",
        ),
    ],
    recursive: Recursive = False,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder for results, or a URL; - writes one result to stdout.")
    ] = "dsanet-results",
    formats: Annotated[
        list[Format] | None,
        typer.Option(
            "--format", "-f", help="What to write beside the JSON; repeat for several. (default: csv and png)"
        ),
    ] = None,
    keep_features: Annotated[
        bool, typer.Option("--keep-features", help="Also OUTPUT/features, which events --model can score again.")
    ] = False,
    pad: Pad = None,
    exact: Exact = False,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Name or directory of the model. (default: what models use set, or the built-in)"),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Other classes in words: a TOML file, as train --classes takes it.")
    ] = None,
    profile: Profile = None,
    threshold: Threshold = None,
    release: Release = None,
    merge_gap: MergeGap = None,
    min_length: MinLength = None,
    frames_per_snippet: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Frames encoded of each snippet, evenly spread. (default: the model's)"),
    ] = None,
    snippet_seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=60, help="Seconds of a snippet, at any frame rate. (default: what the model was trained with)"
        ),
    ] = None,
    device: EncoderDevice = "auto",
    precision: EncoderPrecision = "auto",
    batch_size: BatchSize = None,
    encoder_weights: EncoderWeights = None,
    fps: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Frames per second of feature files (default: as noted beside them, or 30), of pictures (30), and of "
            "videos that give none (25).",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Analyse from here on: seconds, or h:mm:ss.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Analyse up to here.")] = None,
    stream: Stream = None,
    recorded: Start = None,
    timezone: Timezone = None,
    name_time: NameTime = None,
    by_camera: Annotated[
        str | None,
        typer.Option(
            "--by-camera",
            metavar="folder|PATTERN",
            help="Join the files of each camera to one result a day. A camera is a folder, or what the first group of "
            "a regular expression finds in names, such as 'cam([0-9]+)_'.",
        ),
    ] = None,
    region: RegionText = None,
    mask: MaskFile = None,
    reuse_still: ReuseStill = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Decode key frames only, and fully only around what looks suspicious.")
    ] = False,
    scan_level: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help=f"Score of a key frame from which --scan decodes all frames around it. (default: {SCAN_LEVEL})",
        ),
    ] = None,
    jobs: Jobs = None,
    stall_timeout: StallTimeout = 60,
    shard: Shard = None,
    engine: Annotated[
        Engine, typer.Option(help="This machine, or actors on a Ray cluster, which share inputs and output.")
    ] = Engine.local,
    skip_existing: Annotated[
        bool | None,
        typer.Option(
            "--skip-existing/--overwrite",
            help="Keep whole results of the same model and settings, or redo them and replace what is in the way. "
            "(default: keep in folders)",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Write nothing; say what would be done, and from a minute's trial how long it takes."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only events and errors.")] = False,
    verbose: Verbose = False,
) -> None:
    """Find abnormal events in videos: JSON and CSV timelines, a plot each, and a line per event.

    Exit codes: 0 all done, 1 every input failed, 2 wrong usage, 3 some inputs failed.
    """
    part = parse_shard(shard)
    begin, stop = parse_time("--from", start), parse_time("--to", end)
    if stop is not None and stop <= (begin or 0.0):
        raise UsageError(f"--to {end} is not after --from {start or 0}")
    check_finite(
        threshold=threshold,
        release=release,
        merge_gap=merge_gap,
        min_length=min_length,
        snippet_seconds=snippet_seconds,
        fps=fps,
        scan_level=scan_level,
        reuse_still=reuse_still,
        stall_timeout=stall_timeout,
        pad=pad,
    )
    check_levels(threshold, release)
    if keep_features and (scan or output == STDOUT):
        raise UsageError(f"--keep-features and {'--scan' if scan else '--output -'} contradict each other")
    if quiet and verbose:
        raise UsageError(QUIET_AND_VERBOSE)
    if by_camera is not None:
        _refuse(
            "--by-camera",
            {
                "--scan": scan,
                "--keep-features": keep_features,
                "--output -": output == STDOUT,
                "--from and --to": start is not None or end is not None,
                "--start": recorded is not None,
                "--engine ray, whose actors share single files (--shard keeps cameras whole)": engine is Engine.ray,
                **{f"--format {name}": True for name in sorted(ONE_FILE_FORMATS & set(formats or ()))},
            },
        )
    notes = {
        "--scan-level has no effect without --scan": scan_level is not None and not scan,
        "--pad and --exact have no effect without --format clips": (exact or pad is not None)
        and Format.clips not in (formats or ()),
        "--verbose has no effect with --dry-run, which analyses nothing": verbose and dry_run,
        "--skip-existing and --overwrite have no effect on stdout": skip_existing is not None and output == STDOUT,
    }
    from fractions import Fraction

    from dsanet_cli.detect.days import CameraRule
    from dsanet_cli.detect.profile import choose_for
    from dsanet_cli.detect.run import BatchSettings, run_batch
    from dsanet_cli.detect.settings import DetectSettings, RunnerSettings
    from dsanet_cli.models.default import choose_model
    from dsanet_cli.pipeline.pipeline import PipelineSettings
    from dsanet_cli.report.films import all_films, choose_films
    from dsanet_cli.report.run import FolderPages
    from dsanet_cli.timeline.formats import DEFAULT_FORMATS
    from dsanet_cli.timeline.recorded import ClockSettings, parse_start
    from dsanet_cli.video.mask import Mask
    from dsanet_cli.video.options import ReadOptions

    reading = ReadOptions(
        stream,
        None if fps is None else Fraction(str(fps)),
        begin or 0.0,
        stop,
        parse_region(region),
        None if mask is None else Mask.read(mask),
    )
    chosen = choose_model(model) if profile is None else choose_for(profile, model)
    wanted = tuple(dict.fromkeys(str(f) for f in formats)) if formats else DEFAULT_FORMATS
    if Format.html in wanted and output == STDOUT:
        raise UsageError("--format html takes a folder, in which the page finds its video; name one with --output")
    written, films = choose_films(wanted, pad, exact, to_stdout=output == STDOUT)
    work = RunnerSettings(
        output=None if output == STDOUT else output,
        formats=tuple(name for name in written if name != Format.html),
        films=films,
        other_films=tuple(film for film in all_films() if film.kind not in wanted),
        thumbnails=Format.png in wanted or Format.html in wanted,
        model=chosen.name,
        model_reason=chosen.reason,
        classes=classes,
        profile=profile,
        detect=DetectSettings(
            device=device,
            precision=precision,
            batch_size=batch_size,
            sampled_frames=frames_per_snippet,
            snippet_seconds=snippet_seconds,
            encoder_weights=encoder_weights,
            feature_fps=None if fps is None else Fraction(str(fps)),
            scan_level=(SCAN_LEVEL if scan_level is None else scan_level) if scan else None,
            keep_features=keep_features,
            reuse_still=reuse_still,
            clock=ClockSettings(None if recorded is None else parse_start(recorded), timezone, name_time),
            reading=reading,
        ),
        pipeline=PipelineSettings(jobs=jobs, stall_timeout=stall_timeout),
        threshold=threshold,
        release=release,
        merge_gap=merge_gap,
        min_length=min_length,
        replace_others=skip_existing is False,
    )
    pages = None if output == STDOUT else FolderPages(output, Format.html not in wanted, quiet)
    outcome = run_batch(
        BatchSettings(
            sources=tuple(sources),
            recursive=recursive,
            work=work,
            skip_existing=skip_existing,
            quiet=quiet,
            verbose=verbose,
            shard=part,
            on_ray=engine is Engine.ray,
            dry=dry_run,
            by_camera=None if by_camera is None else CameraRule.parse(by_camera),
            notes=tuple(note for note, holds in notes.items() if holds),
            on_written=None if pages is None else pages.add,
        )
    )
    failed = pages.finish(outcome.results) if pages is not None and outcome.results else 0
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.failed or failed or not outcome.summarised:
        raise typer.Exit(SOME_FAILED if outcome.done else ALL_FAILED)


def _refuse(option: str, others: Mapping[str, bool]) -> None:
    """Refuse what does not go with an option.

    Raises:
        UsageError: one of ``others`` is given.
    """
    for other in (other for other, is_given in others.items() if is_given):
        raise UsageError(f"{option} does not go with {other}")
