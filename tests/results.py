"""Results as detect leaves them, with the video beside them, without any model."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from media import picture, write_video

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.files import write_json
from dsanet_cli.timeline.thumbnails import THUMBNAILS, write_thumbnails
from dsanet_cli.timeline.timeline import build_timeline

CLASSES = ("normal", "fighting", "explosion", "road accidents")
SECONDS = 0.64
"""That a snippet lasts: 16 frames at 25 a second."""
BUMPS = ((5, 10, 1, 0.9), (20, 24, 3, 0.75), (30, 33, 2, 0.55))
"""First snippet, the one after the last, class and score of what stands out."""


def make_timeline(path="clip.mp4", snippets=40, bumps=BUMPS, classes=CLASSES, **changes):
    """A timeline of ``snippets``; ``changes`` are arguments of ``build_timeline``."""
    scores = np.full(snippets, 0.05)
    share = np.full((snippets, len(classes) - 1), 1 / (len(classes) - 1))
    for first, stop, kind, score in bumps:
        scores[first:stop] = score
        share[first:stop] = np.eye(len(classes) - 1)[kind - 1]
    frames = 16 * snippets
    facts = {
        "video": VideoFacts(str(path), frames, snippets * SECONDS, Fraction(25), 128, 96, "h264", 1000),
        "model": ModelFacts("scenes", "ab" * 32),
        "class_names": classes,
        "sampling": Sampling(16, 1, "fp32", "cpu"),
        "rule": EventRule(0.5, 0.35, 2.0, 0.5),
        "starts": np.arange(snippets) * SECONDS,
        "ends": np.arange(1, snippets + 1) * SECONDS,
        "scores": scores,
        "probabilities": np.concatenate([1 - scores[:, None], scores[:, None] * share], axis=1),
        "coverage": Coverage(),
    }
    return build_timeline(**(facts | changes))


def write_result(folder: Path, timeline, stem="clip", pictures=True) -> Path:
    """Write a timeline's JSON file and its pictures; the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_json(timeline, stream)
    if pictures:
        middles = (timeline.starts + timeline.ends) / 2
        peaks = {float(middles[at]): picture(16 * at + 8) for at in np.flatnonzero(timeline.scores > 0.2).tolist()}
        (folder / f"{stem}.{THUMBNAILS}").write_bytes(write_thumbnails(peaks, 4 / 3))
    return path


def write_analysed(folder: Path, name="clip.mp4", stem="clip", codec="libx264", **changes) -> Path:
    """Write a video whose frames show their number, and a result of it in ``out``; the result's JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    timeline = make_timeline(folder / name, **changes)
    pix_fmt = "yuv420p" if codec != "mjpeg" else "yuvj420p"
    write_video(folder / name, frames=timeline.video.frames, codec=codec, pix_fmt=pix_fmt)
    return write_result(folder / "out", timeline, stem)
