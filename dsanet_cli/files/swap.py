"""A directory that takes the place of another: whoever looks finds the old or the new one, whole, whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import sys
import time
from pathlib import Path

STALE = 24 * 3600.0
"""Seconds after which a draft is nobody's any more."""
_AT_CURRENT_FOLDER = -100
"""``AT_FDCWD`` of Linux."""
_EXCHANGE = 2
"""``RENAME_EXCHANGE`` of Linux and ``RENAME_SWAP`` of macOS."""


def draft_of(target: Path) -> Path:
    """Where to prepare a directory that is to become ``target``: beside it, and hidden.

    What runs that were killed left there is removed when it is a day old.
    """
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE:
                shutil.rmtree(left)
    return target.with_name(f".{target.name}.{os.getpid()}.partial")


def replace_directory(draft: Path, target: Path) -> None:
    """Rename ``draft`` to ``target``, a directory or nothing, in one step where the system can.

    Elsewhere the old directory steps aside for a moment; ``recover`` brings it back after a crash in between.

    Raises:
        OSError: the system refuses; ``target`` is as it was.
    """
    aside = _aside(target)
    if target.exists() and not _exchange(draft, target):
        shutil.rmtree(aside, ignore_errors=True)
        target.rename(aside)
        try:
            draft.rename(target)
        except OSError:
            aside.rename(target)
            raise
    elif not target.exists():
        draft.rename(target)
    for old in (draft, aside):
        shutil.rmtree(old, ignore_errors=True)


def recover(target: Path) -> None:
    """Bring back the directory that a crash left aside; to be called before ``target`` is looked for."""
    if target.name and not os.path.exists(target):
        with contextlib.suppress(OSError, ValueError):
            _aside(target).rename(target)


def recover_all(folder: Path) -> None:
    """``recover`` for all directories in ``folder``."""
    for aside in glob.glob(".*.old", root_dir=folder):
        recover(folder / aside[1 : -len(".old")])


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _exchange(one: Path, other: Path) -> bool:
    """Let two directories change names in one step; whether the system can."""
    names = os.fsencode(one), os.fsencode(other)
    try:
        system = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*names, _EXCHANGE) == 0)
        return bool(system.renameat2(_AT_CURRENT_FOLDER, names[0], _AT_CURRENT_FOLDER, names[1], _EXCHANGE) == 0)
    except (AttributeError, TypeError, OSError):  # Windows, and C libraries without it
        return False
