"""The reference predictions, ground truth and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dsanet_cli.evaluate.frame_metrics import Segment, VideoTruth
from dsanet_cli.models.presets import Preset

REFERENCE = Path(__file__).parent / "reference"


TOLERANCE = 1e-9


class Case(NamedTuple):
    probabilities: list[np.ndarray]
    labels: list[np.ndarray]
    truths: list[VideoTruth]
    numbers: Any

    @property
    def names(self) -> list[str]:
        return [truth.name for truth in self.truths]

    @property
    def scores(self) -> list[np.ndarray]:
        return [1 - p[:, 0] for p in self.probabilities]


def names_of(preset: Preset) -> list[str]:
    return [c.name for c in preset.classes]


def load(name: str) -> Case:
    with np.load(REFERENCE / f"metrics_{name}.npz") as file:
        numbers = {key: file[key] for key in file.files}
    ends = np.cumsum(numbers["snippet_counts"])[:-1]
    segments: list[list[Segment]] = [[] for _ in numbers["snippet_counts"]]
    for video, (start, end), label in zip(
        numbers["segment_video"], numbers["segment_bounds"], numbers["segment_label"], strict=True
    ):
        segments[video].append(Segment(int(start), int(end), str(label)))
    truths = [
        VideoTruth(f"video{i}", tuple(str(s.class_name) for s in spans), tuple(spans))
        for i, spans in enumerate(segments)
    ]
    return Case(
        np.split(numbers["snippet_probabilities"], ends),
        np.split(numbers["frame_labels"], ends * 16),
        truths,
        numbers,
    )


def save_lists(path: Path, values: list[list[object]]) -> Path:
    """Save as the research repositories do: a pickled object array of lists."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    np.save(path, array, allow_pickle=True)
    return path
