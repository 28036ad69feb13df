"""Options that mean the same in several commands, and the exit codes of all."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

ALL_FAILED, USAGE, SOME_FAILED, INTERRUPTED = 1, 2, 3, 130


class Preset(StrEnum):
    """Data sets with published checkpoints."""

    ucf_crime = "ucf-crime"
    xd_violence = "xd-violence"


Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders with all they hold.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
EncoderPrecision = Annotated[str, typer.Option(help="Of the encoder: auto, fp32, bf16 or fp16.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Frames encoded at once. (default: by device)")]
EncoderWeights = Annotated[Path | None, typer.Option(help="CLIP checkpoint, where open_clip cannot download it.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the feature files, where lists have other machines' paths.")]
SkipMissing = Annotated[bool, typer.Option("--skip-missing", help="Go on without missing files.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also time spent per video.")]
