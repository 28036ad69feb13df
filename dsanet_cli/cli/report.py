"""``dsanet report``."""

from __future__ import annotations

from typing import Annotated

import typer

from dsanet_cli.cli.options import ALL_FAILED, SOME_FAILED


def report(
    results: Annotated[
        list[str],
        typer.Argument(metavar="RESULTS...", help="Results of detect (.json), or folders with all they hold."),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder for the pages. (default: beside the results)")
    ] = None,
    proxy: Annotated[
        bool, typer.Option("--proxy", help="Also a small copy of videos that not all browsers play (HEVC, AVI, TS).")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are no pages.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only errors.")] = False,
) -> None:
    """Write a page for each result to look at and review, and an index of several; they open without a server.

    Exit codes: 0 all done, 1 every result failed, 2 wrong usage, 3 some results failed.
    """
    from dsanet_cli.report.run import ReportSettings, run_report

    outcome = run_report(ReportSettings(tuple(results), output, proxy, overwrite, quiet))
    if outcome.failed:
        raise typer.Exit(SOME_FAILED if outcome.done else ALL_FAILED)
