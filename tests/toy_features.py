"""Feature files in which anomalies are easy to tell, for training in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny import CLASSES, WIDTH

from dsanet_cli.train.dataset import LabelledFeatures


def write_toy_features(folder: Path, videos: int = 32, crops: int = 1) -> list[LabelledFeatures]:
    """Normal videos of noise; in anomalous ones, a few snippets are of another kind, one per class."""
    rng = np.random.default_rng(0)
    kinds = 3 * rng.standard_normal((len(CLASSES), WIDTH))
    listed = []
    for number in range(videos):
        label = 0 if number % 2 else 1 + number // 2 % 2
        features = rng.standard_normal((rng.integers(5, 20), WIDTH))
        if label:
            features[1:4] += kinds[label]
        for crop in range(crops):
            path = folder / f"{CLASSES[label].name}{number:03d}__{crop}.npy"
            np.save(path, (features + 0.01 * crop).astype(np.float32))
            listed.append(LabelledFeatures(path, (label,)))
    return listed


def write_list(path: Path, videos: list[LabelledFeatures]) -> Path:
    """The list CSV of ``videos``, labelled with their class names."""
    rows = "".join(f"{video.path},{CLASSES[video.classes[0]].name}\n" for video in videos)
    path.write_text(f"path,label\n{rows}", encoding="utf-8")
    return path
