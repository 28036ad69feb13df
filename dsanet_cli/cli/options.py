"""Options that mean the same in several commands, and the exit codes of all."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.errors import UsageError

ALL_FAILED, USAGE, SOME_FAILED, INTERRUPTED = 1, 2, 3, 130
STDOUT = "-"
"""For ``--output``."""
QUIET_AND_VERBOSE = "--quiet and --verbose contradict each other; give one of them"


class Format(StrEnum):
    """What is written of each result."""

    json = "json"
    csv = "csv"
    png = "png"
    srt = "srt"
    vtt = "vtt"
    otio = "otio"
    edl = "edl"
    clips = "clips"
    mp4 = "mp4"
    html = "html"


class Preset(StrEnum):
    """Data sets with published checkpoints."""

    ucf_crime = "ucf-crime"
    xd_violence = "xd-violence"


class Engine(StrEnum):
    """Where detect does its work."""

    local = "local"
    ray = "ray"


Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Folders with all they hold.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
EncoderDevice = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto, cpu, cuda, cuda:N or mps; with the extra openvino, also openvino:CPU, and, untested, openvino:GPU "
        "and openvino:NPU.",
    ),
]
EncoderPrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Of the encoder: auto, fp32, bf16, fp16, or, on CPUs with the extra openvino, int8.",
    ),
]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Frames encoded at once. (default: by device)")]
EncoderWeights = Annotated[Path | None, typer.Option(help="CLIP checkpoint, where open_clip cannot download it.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the feature files, where lists have other machines' paths.")]
SkipMissing = Annotated[bool, typer.Option("--skip-missing", help="Go on without missing files.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Videos decoded at once. (default: by cores)")]
StallTimeout = Annotated[float, typer.Option(min=1, help="Seconds without progress after which a video is given up.")]
Shard = Annotated[
    str | None, typer.Option(metavar="K/N", help="Take the K-th of N parts of the inputs, for job arrays.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also time spent per video.")]
Stream = Annotated[
    int | None, typer.Option(min=0, help="Number of the video stream, from 0, where a file has several.")
]
RegionText = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X,Y,W,H",
        help="Look at this part of the picture only: left, top, width, height as shares of it, 0 to 1.",
    ),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        help="PNG of the whole picture's shape that hides what it has in black; white or transparent is seen.",
    ),
]
ReuseStill = Annotated[
    float | None,
    typer.Option(
        "--reuse-still",
        metavar="LEVEL",
        min=0,
        max=255,
        help="Do not encode a picture in which no block of 8 x 8 pixels differs by more than LEVEL grey levels of 255 "
        "from the last one encoded, drifting light aside.",
    ),
]


Threshold = Annotated[
    float | None,
    typer.Option("--threshold", "-t", min=0, max=1, help="Score that starts an event. (default: the model's)"),
]
Release = Annotated[
    float | None, typer.Option(min=0, max=1, help="Score below which an event ends. (default: the model's)")
]
MergeGap = Annotated[
    float | None, typer.Option(min=0, help="Seconds between events that are one. (default: the model's)")
]
MinLength = Annotated[float | None, typer.Option(min=0, help="Seconds an event lasts at least. (default: the model's)")]
Profile = Annotated[
    Path | None, typer.Option("--profile", help="Rules of your cameras: a TOML file, as calibrate writes it.")
]

Start = Annotated[
    str | None,
    typer.Option("--start", metavar="TIME", help="When the one video began: 2026-11-27T14:03:00, or with a zone."),
]
Timezone = Annotated[
    str | None, typer.Option(help="Zone of the times of day, such as Europe/Berlin. (default: this machine's)")
]
NameTime = Annotated[
    str | None,
    typer.Option(
        metavar="PATTERN",
        help="How names say when videos began, as in strptime: %Y-%m-%d_%H.%M.%S. (default: metadata, taken for the "
        "start, then usual names of recorders)",
    ),
]

Pad = Annotated[float | None, typer.Option(min=0, help="Seconds in --format clips before and after an event. (2)")]
Exact = Annotated[bool, typer.Option("--exact", help="Encode clips anew; without, they begin at the key frame before.")]


def check_levels(threshold: float | None, release: float | None) -> None:
    """Refuse a release level above the threshold.

    Raises:
        UsageError: it is.
    """
    if threshold is not None and release is not None and release > threshold:
        raise UsageError(
            f"--release {release:g} is above --threshold {threshold:g}; an event ends below where it starts"
        )


def check_finite(**options: float | None) -> None:
    """Refuse ``nan`` and ``inf``, which no bounds of an option keep out.

    Raises:
        UsageError: one of the options is no number that can be reckoned with.
    """
    for name, value in options.items():
        if value is not None and not math.isfinite(value):
            raise UsageError(f"--{name.replace('_', '-')} {value}: use a finite number")


def parse_time(name: str, text: str | None) -> float | None:
    """Seconds of ``90.5``, ``1:30.5`` or ``0:01:30.5``; None where nothing is given.

    Raises:
        UsageError: it is none of these; ``name`` is the option's.
    """
    if text is None:
        return None
    if not re.fullmatch(r"([0-9]{1,6}:)?([0-9]{1,2}:)?[0-9]{1,9}([.][0-9]*)?", text):
        raise UsageError(f"{name} {text}: use seconds, or hours, minutes and seconds such as 1:02:03.5")
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def parse_region(text: str | None) -> tuple[float, float, float, float] | None:
    """``0,0.5,1,0.5`` as four shares; None where nothing is given. Whether they make a region, ``ReadOptions`` says.

    Raises:
        UsageError: it is no four numbers.
    """
    if text is None:
        return None
    try:
        left, top, width, height = (float(share) for share in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--region {text}: give left, top, width and height as four shares of the picture, such as 0,0.5,1,0.5 for "
            "its lower half"
        ) from error
    return left, top, width, height


def parse_shard(text: str | None) -> tuple[int, int]:
    """``3/16`` as (3, 16); everything, (1, 1), where nothing is given.

    Raises:
        UsageError: it is not K/N with K from 1 to N.
    """
    if text is None:
        return 1, 1
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text}: use K/N with K from 1 to N, such as 3/16")
    return int(number), int(count)
