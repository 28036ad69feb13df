"""Real clips with labels of whole clips, in a folder with ``clips.csv`` (path, label, source)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from dsanet_cli.video.reader import open_video

FOLDS = 5


@dataclass(frozen=True)
class Clip:
    """A short video; clips of one source show the same cameras, often the same minutes."""

    path: Path
    label: str
    source: str


def read_clips(folder: Path) -> list[Clip]:
    """The clips that ``clips.csv`` lists."""
    with (folder / "clips.csv").open(newline="", encoding="utf-8") as stream:
        return [Clip(folder / row["path"], row["label"], row["source"]) for row in csv.DictReader(stream)]


def snippets_of(clip: Clip, sampled: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """What ``detect`` would sample of the whole snippets of a clip.

    Returns:
        (N, ``sampled``, H, W, 3).
    """
    snippets = list(open_video(clip.path, size, sampled).snippets())
    return np.stack([snippet.frames for snippet in snippets if snippet.length == snippets[0].length])


def folds(sources: Sequence[str], labels: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
    """Which clips to train on and which to judge, ``FOLDS`` times; no source is on both sides."""
    for training, judged in GroupKFold(FOLDS).split(labels, labels, sources):
        yield list(training), list(judged)
