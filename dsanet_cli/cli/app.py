"""The command line: parses, builds one configuration, calls one function, maps errors to exit codes.

Whatever is slow to import is imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from typing import Annotated

import typer

from dsanet_cli.cli.calibrate import calibrate
from dsanet_cli.cli.detect import detect
from dsanet_cli.cli.evaluate import evaluate
from dsanet_cli.cli.events import events
from dsanet_cli.cli.extract import extract
from dsanet_cli.cli.home import do_without_home
from dsanet_cli.cli.models import models
from dsanet_cli.cli.options import (
    ALL_FAILED,
    USAGE,
)
from dsanet_cli.cli.report import report
from dsanet_cli.cli.signals import ending
from dsanet_cli.cli.streams import keep_streams
from dsanet_cli.cli.train import train
from dsanet_cli.errors import DsanetError, UsageError
from dsanet_cli.names import printable
from dsanet_cli.version import __version__

FEW_COLLECTIONS = 100_000
"""Objects made between two collections of garbage."""

app = typer.Typer(
    help="Find when something abnormal happens in a video, and what it is.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # the pretty help page alone takes longer to import than all the rest
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; a person never sees a traceback for bad input."""
    # The hundreds of thousands of objects that libraries make as they are imported stay to the end: looking through
    # them again and again for what could be freed takes a second of each start, and another one at the end.
    gc.set_threshold(FEW_COLLECTIONS)
    atexit.register(gc.freeze)
    keep_streams()
    ending.handle()
    try:
        do_without_home()
        _run()
    except SystemExit as error:
        sys.exit(ending.exit_code(error.code))
    except BaseException:
        if ending.signal is None:
            raise
        sys.exit(128 + ending.signal)  # it came amid an import, or where nobody expects it


def _run() -> None:
    try:
        app()
    except DsanetError as error:
        if os.environ.get("DSANET_DEBUG"):
            traceback.print_exc()
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(USAGE if isinstance(error, UsageError) else ALL_FAILED)
    except OSError as error:
        if "--install-completion" not in sys.argv:
            raise
        print(f"error: the completion cannot be installed ({error}); use --show-completion", file=sys.stderr)
        sys.exit(ALL_FAILED)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dsanet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find when something abnormal happens in a video, and what it is."""


app.command()(detect)
app.command()(events)
app.command()(report)
app.command()(calibrate)
app.command()(extract)
app.command()(train)
app.command("eval")(evaluate)
app.add_typer(models, name="models")
