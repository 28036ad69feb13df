"""``dsanet events``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import (
    ALL_FAILED,
    INTERRUPTED,
    SOME_FAILED,
    STDOUT,
    EncoderWeights,
    Exact,
    Format,
    MergeGap,
    MinLength,
    NameTime,
    Pad,
    Profile,
    Recursive,
    Release,
    Start,
    Threshold,
    Timezone,
    check_finite,
    check_levels,
)
from dsanet_cli.errors import UsageError


def events(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...", help="Results of detect (.json), folders of them, quoted globs, @list.txt, or -."
        ),
    ],
    recursive: Recursive = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Folder for results, or a URL; - writes one to stdout. (default: print)"),
    ] = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option("--format", "-f", help="What to write beside the JSON; repeat for several. (default: csv)"),
    ] = None,
    pad: Pad = None,
    exact: Exact = False,
    threshold: Threshold = None,
    release: Release = None,
    merge_gap: MergeGap = None,
    min_length: MinLength = None,
    profile: Profile = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Score features that were kept again, with this model.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option("--classes", help="Score them again, with classes in words, as train takes them.")
    ] = None,
    encoder_weights: EncoderWeights = None,
    review: Annotated[
        bool,
        typer.Option("--review", help="With what was said of them: NAME.review.json of pages, beside the results."),
    ] = False,
    list_file: Annotated[
        Path | None,
        typer.Option("--list", help="Also a list for train of what was reviewed: kept features, or else the videos."),
    ] = None,
    recorded: Start = None,
    timezone: Timezone = None,
    name_time: NameTime = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the way, and results in their own place.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only events and errors.")] = False,
) -> None:
    """Decide events anew from results that are there, by another threshold or rule; no video is opened.

    What is not given stays as it is in each result. With --review, JSON, CSV and summary say which events are true,
    false, relabelled or missed; subtitles, edit lists, clips and films leave out false ones and have the missed ones.
    In --list, a video's label is the class of its true, relabelled or missed events (of several, the one that lasts
    longest), and normal where all events are false; left out are videos without a review, and those with no true event
    but one that nobody judged. Exit codes: 0 all done, 1 every input failed, 2 wrong usage, 3 some inputs failed.
    """
    check_finite(threshold=threshold, release=release, merge_gap=merge_gap, min_length=min_length, pad=pad)
    check_levels(threshold, release)
    from dsanet_cli.detect.decider import DeciderSettings
    from dsanet_cli.detect.events import EventsSettings, run_events
    from dsanet_cli.report.films import all_films, choose_films
    from dsanet_cli.timeline.recorded import ClockSettings, parse_start

    to_stdout = output == STDOUT
    default = ("json",) if to_stdout else ("json", "csv")
    wanted = tuple(map(str, formats)) if formats else default
    written, films = choose_films(wanted, pad, exact, to_stdout)
    if Format.html in wanted and (output is None or to_stdout):
        raise UsageError("--format html takes a folder; name one with --output")
    outcome = run_events(
        EventsSettings(
            results=tuple(results),
            recursive=recursive,
            decider=DeciderSettings(
                output=None if to_stdout else output,
                formats=tuple(name for name in written if name != Format.html),
                films=films,
                other_films=tuple(film for film in all_films() if film.kind not in wanted),
                review=review or list_file is not None,
                threshold=threshold,
                release=release,
                merge_gap=merge_gap,
                min_length=min_length,
                rescore=model is not None or classes is not None,
                model=model,
                classes=classes,
                encoder_weights=encoder_weights,
                clock=ClockSettings(None if recorded is None else parse_start(recorded), timezone, name_time),
                overwrite=overwrite,
            ),
            profile=profile,
            list_file=list_file,
            to_stdout=to_stdout,
            quiet=quiet,
        )
    )
    failed = outcome.failed
    if outcome.results and output is not None:
        from dsanet_cli.report.run import FolderPages

        failed += FolderPages(output, Format.html not in wanted, quiet).finish(outcome.results)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if failed or not outcome.done or not outcome.summarised:
        raise typer.Exit(SOME_FAILED if outcome.done else ALL_FAILED)
