"""Measure a model on scenes it never saw, by the same code that ``dsanet detect`` runs.

python weights/heldout.py MODEL FOLDER
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.evaluate.frame_metrics import Segment, VideoTruth
from dsanet_cli.evaluate.groundtruth import frame_truth, read_annotations
from dsanet_cli.models.directory import load_model
from dsanet_cli.timeline.timeline import Event, Timeline

SAMPLINGS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class HeldOutFigures:
    """What one sampling reaches and costs."""

    sampled_frames: int
    auc: float
    average_precision: float
    events: int
    found: int
    """Labelled events that a detected one overlaps."""
    right_class: int
    """Of the found ones."""
    false_per_10_minutes: float
    """Events detected in normal videos."""
    normal_minutes: float
    seconds_per_minute: float
    """Wall time of detection, per minute of video."""

    def as_metrics(self) -> dict[str, float | int]:
        """For the model's configuration."""
        return {
            "held-out frame AUC": round(self.auc, 4),
            "held-out frame AP": round(self.average_precision, 4),
            "held-out events": self.events,
            "held-out events found": self.found,
            "held-out events found with the right class": self.right_class,
            "held-out minutes of normal video": round(self.normal_minutes, 1),
            "held-out false events per 10 minutes of normal video": round(self.false_per_10_minutes, 2),
        }


def measure(
    model: Path, footage: Path, console: Console, samplings: Sequence[int] = SAMPLINGS
) -> dict[int, HeldOutFigures]:
    """Analyse all videos of ``footage`` with each number of frames per snippet and print the table."""
    truths = read_annotations(footage / "groundtruth.txt")
    loaded = load_model(str(model))
    figures = {}
    for sampled in samplings:
        detector = Detector(loaded, DetectSettings(sampled_frames=sampled))
        detector.load_encoder()
        started = time.monotonic()
        timelines = [detector.detect(footage / f"{truth.name}.mp4").timeline for truth in truths]
        figures[sampled] = _figures(sampled, truths, timelines, time.monotonic() - started)
    table = Table("frames", "AUC", "AP", "found", "right class", "false / 10 min", "s per minute of video", box=None)
    for f in figures.values():
        table.add_row(
            str(f.sampled_frames),
            f"{f.auc:.4f}",
            f"{f.average_precision:.4f}",
            f"{f.found} of {f.events}",
            f"{f.right_class} of {f.found}",
            f"{f.false_per_10_minutes:.2f}",
            f"{f.seconds_per_minute:.2f}",
        )
    console.print(table)
    return figures


def _figures(sampled: int, truths: Sequence[VideoTruth], timelines: list[Timeline], seconds: float) -> HeldOutFigures:
    truth_frames, score_frames = [], []
    events = found = right = false = 0
    normal_seconds = 0.0
    for truth, timeline in zip(truths, timelines, strict=True):
        frames = timeline.video.frames
        truth_frames.append(frame_truth(truth, frames))
        score_frames.append(np.repeat(timeline.scores, timeline.sampling.snippet_frames)[:frames])
        if not truth.segments:
            false += len(timeline.events)
            normal_seconds += timeline.video.duration
        for segment in truth.segments:
            best = _overlapping(segment, timeline)
            events += 1
            found += best is not None
            right += best is not None and best.label == str(segment.class_name).lower()
    labels: NDArray[np.uint8] = np.concatenate(truth_frames)
    scores = np.concatenate(score_frames)
    minutes = sum(timeline.video.duration for timeline in timelines) / 60
    return HeldOutFigures(
        sampled_frames=sampled,
        auc=float(roc_auc_score(labels, scores)),
        average_precision=float(average_precision_score(labels, scores)),
        events=events,
        found=found,
        right_class=right,
        false_per_10_minutes=false / (normal_seconds / 600),
        normal_minutes=normal_seconds / 60,
        seconds_per_minute=seconds / minutes,
    )


def _overlapping(segment: Segment, timeline: Timeline) -> Event | None:
    """The detected event that shares the most time with ``segment``, if any does."""
    rate = float(timeline.video.fps or 0)
    start, end = segment.start / rate, segment.end / rate
    shared = [(min(event.end, end) - max(event.start, start), event) for event in timeline.events]
    longest = max(shared, key=lambda pair: pair[0], default=(0.0, None))
    return longest[1] if longest[0] > 0 else None


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]), Console(highlight=False))
