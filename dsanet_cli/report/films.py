"""The formats that open the video, by the names that ``--format`` has for them."""

from __future__ import annotations

from collections.abc import Iterable

from dsanet_cli.errors import UsageError
from dsanet_cli.report.burnt_in import BurntInFilm
from dsanet_cli.report.clips import PAD, ClipFilm

Film = ClipFilm | BurntInFilm


def all_films(pad: float | None = None, exact: bool = False) -> tuple[Film, ...]:
    """Whatever opens the video; the arguments are as below."""
    return ClipFilm(PAD if pad is None else pad, exact), BurntInFilm()


def choose_films(
    formats: Iterable[str], pad: float | None, exact: bool, to_stdout: bool
) -> tuple[tuple[str, ...], tuple[Film, ...]]:
    """Tell the formats that need the video from those that do not.

    Args:
        formats: As on the command line.
        pad: Seconds before and after an event; None is the usual.
        exact: Encode clips anew.
        to_stdout: Whether the result goes there, and not to a folder.

    Returns:
        The others, and what makes those that do.

    Raises:
        UsageError: there is no folder for them.
    """
    known = {film.kind: film for film in all_films(pad, exact)}
    formats = list(dict.fromkeys(formats))
    asked = [name for name in formats if name in known]
    if asked and to_stdout:
        raise UsageError(f"--format {asked[0]} needs a folder; name one with --output")
    return tuple(name for name in formats if name not in known), tuple(known[name] for name in asked)
