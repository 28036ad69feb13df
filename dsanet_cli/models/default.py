"""The default model: the one set by ``dsanet models use``, else the built-in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dsanet_cli.errors import ModelError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.models.folders import BUILT_IN_MODEL, find_model, user_models_folder

DEFAULT_FILE = "default.txt"
"""In the user's models folder: the name or path of the model."""
LONGEST_DEFAULT = 2**16
"""Bytes."""


@dataclass(frozen=True)
class Choice:
    """A model, and the reason for taking it."""

    name: str
    """Name or directory."""
    reason: str
    """Printed in brackets after its name."""


def choose_model(named: str | None) -> Choice:
    """The model ``named`` on the command line, or the default one.

    Raises:
        ModelError: the default model no longer exists.
    """
    if named is not None:
        return Choice(named, "--model")
    name = _read_default()
    if name is None:
        return Choice(BUILT_IN_MODEL, "built in")
    try:
        find_model(name)
    except ModelError as error:
        raise ModelError(f"{error}; it was set with dsanet models use, which sets another one, too") from error
    return Choice(name, "set by dsanet models use")


def default_model() -> str:
    """Name or directory of the model that is taken where none is named, whether it is there or not."""
    return _read_default() or BUILT_IN_MODEL


def use_model(name: str) -> str:
    """Make the model ``name`` the default; a path is stored as an absolute one.

    Returns:
        What was set.

    Raises:
        ModelError: there is no such model.
        OutputError: the user's models folder cannot be written.
    """
    directory = find_model(name)
    chosen = str(directory.resolve()) if directory == Path(name) else name
    with atomic_write(user_models_folder() / DEFAULT_FILE) as stream:
        stream.write(chosen + "\n")
    return chosen


def _read_default() -> str | None:
    try:
        return read_regular(user_models_folder() / DEFAULT_FILE, LONGEST_DEFAULT).decode().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
