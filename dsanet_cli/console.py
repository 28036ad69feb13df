"""What a run over many inputs prints besides its results: log lines, errors, a progress bar; all on stderr."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from dsanet_cli.errors import DsanetError
from dsanet_cli.names import printable

DEBUG_VARIABLE = "DSANET_DEBUG"
WIDEST = 10_000
"""Characters in a line of a table that nobody's terminal has to hold."""


def plain_console(stderr: bool = False, quiet: bool = False) -> Console:
    """A console that prints lines as they are, neither coloured nor wrapped."""
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True, quiet=quiet)


def print_table(table: Table, stderr: bool = False) -> None:
    """Print a table: as wide as the terminal, or as wide as it is where it goes to a file or a pipe."""
    console = Console(stderr=stderr, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, console.measure(table, options=console.options.update(width=WIDEST)).maximum)
    console.print(table)


def progress_bar(quiet: bool) -> Progress:
    """A bar over inputs that vanishes at the end; none where nobody watches."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )


class DownloadBar:
    """Bytes that have arrived of a file; nothing where nobody watches."""

    def __init__(self, quiet: bool) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )

    def __enter__(self) -> DownloadBar:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def follow(self, name: str) -> Callable[[int, int | None], None]:
        """A bar for one more file; what comes back is called with the bytes there, and in all if that is known."""
        task = self._bars.add_task(name, total=None)

        def update(done: int, total: int | None) -> None:
            self._bars.update(task, completed=done, total=total)

        return update


def print_error(error: DsanetError, console: Console | None = None) -> None:
    """Print one line, and before it where the error came from if ``DSANET_DEBUG`` is set."""
    console = console or plain_console(stderr=True)
    if os.environ.get(DEBUG_VARIABLE) and not console.quiet:
        traceback.print_exception(error)
    console.print(f"error: {printable(str(error))}")


def print_missing(files: Iterable[Path], console: Console | None = None) -> None:
    """Name each file of a list that is not there and is left out; also where only errors are wanted."""
    for path in files:
        (console or plain_console(stderr=True)).print(f"missing, left out: {printable(str(path))}")


def unexpected(path: object, error: Exception) -> DsanetError:
    """An error that is the program's fault, as one of the input ``path``, so that it does not end the run."""
    wrapped = DsanetError(f"{path}: failed unexpectedly ({error!r}); set {DEBUG_VARIABLE}=1 for details")
    wrapped.__cause__ = error
    return wrapped
