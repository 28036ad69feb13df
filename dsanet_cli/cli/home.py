"""Machines without a home folder: containers with an unknown user, service accounts, home folders of others."""

from __future__ import annotations

import logging
import os
from pathlib import Path

NO_HOME = "/nonexistent"
"""What Debian gives to accounts without a home folder."""


def do_without_home() -> None:
    """Let libraries that keep caches in the home folder work where there is none, and say nothing about it.

    Only for a program's own process: it sets the environment and the level of a logger.
    """
    # matplotlib makes a temporary cache by itself then, but warns of it each time.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        Path.home()
    except RuntimeError:  # neither HOME nor an entry for the user: libraries would write into a folder called "~"
        os.environ["HOME"] = NO_HOME
