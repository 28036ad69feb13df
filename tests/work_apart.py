"""What is called in another process, where it can be imported by name as here."""

from __future__ import annotations

import os
from pathlib import Path

from dsanet_cli.errors import VideoError


def crash(video, alive):
    Path(f".film.{os.getpid()}-12.part").touch()
    os.abort()


def hang(video, alive):
    while True:
        pass


def fail(video, alive):
    raise ValueError("odd")


def refuse(video, alive):
    raise VideoError(f"{video}: refused")
