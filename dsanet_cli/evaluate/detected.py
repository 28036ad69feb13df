"""Results that ``detect`` wrote, as scores to be evaluated: ground truth counts frames, results have times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import SourceError
from dsanet_cli.evaluate.evaluation import ScoredVideo
from dsanet_cli.evaluate.groundtruth import video_name
from dsanet_cli.files.result_names import may_be_result
from dsanet_cli.timeline.facts import TIME_STEP, ModelFacts
from dsanet_cli.timeline.files import read_timeline
from dsanet_cli.timeline.timeline import Timeline


@dataclass(frozen=True)
class Detected:
    """The results in a folder; all of one model."""

    model: ModelFacts
    class_names: tuple[str, ...]
    videos: tuple[ScoredVideo, ...]
    incomplete: int
    """Videos of which some was not analysed; it counts as score 0."""


def read_results(folder: Path) -> Detected:
    """Read all results in a folder and the folders below it.

    Raises:
        SourceError: there are none, or they are of several models.
        OutputError: a result that is damaged.
    """
    paths = sorted(path for path in folder.rglob("*.json") if may_be_result(path.name))
    if not paths:
        raise SourceError(f"{folder}: no results in it; name the folder that detect wrote (its -o)")
    timelines = [read_timeline(path) for path in paths]
    first = timelines[0]
    for path, timeline in zip(paths, timelines, strict=True):
        if (timeline.model, timeline.class_names) != (first.model, first.class_names):
            raise SourceError(
                f"{path}: a result of the model {timeline.model.name} ({timeline.model.sha256[:12]}…), {paths[0]} is "
                f"of {first.model.name} ({first.model.sha256[:12]}…); evaluate results of one model at a time"
            )
    scored = [_scored(timeline, path) for timeline, path in zip(timelines, paths, strict=True)]
    incomplete = sum(timeline.coverage.analysed < 1 for timeline in timelines)
    return Detected(first.model, first.class_names, tuple(scored), incomplete)


def _scored(timeline: Timeline, path: Path) -> ScoredVideo:
    """The timeline on a grid of 16 frames, each with the snippet that shows at its middle, or a score of 0."""
    fps = timeline.video.fps
    if not fps:
        raise SourceError(f"{path}: does not say the frames per second of its video; analyse that again")
    snippets = max(1, round(timeline.video.duration * fps) // FRAMES_PER_SNIPPET)
    shown = _shown(timeline, snippets, fps)  # (N,)
    seen = shown >= 0
    nothing = np.zeros(len(timeline.class_names), dtype=np.float32)
    nothing[0] = 1
    return ScoredVideo(
        video_name(timeline.video.path),
        np.where(seen, timeline.scores[shown], np.float32(0)),
        None,
        np.where(seen[:, None], timeline.probabilities[shown], nothing),
    )


def _shown(timeline: Timeline, snippets: int, fps: Fraction) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """(N,) the timeline's snippet at the middle of each 16 frames; -1 where there is none."""
    middles = (np.arange(snippets) + 0.5) * float(FRAMES_PER_SNIPPET / fps)
    last = np.searchsorted(timeline.starts, middles + TIME_STEP, side="right") - 1
    return np.where((last >= 0) & (middles < timeline.ends[last] + TIME_STEP), last, -1)


def without_result(annotated: Sequence[str], videos: Sequence[ScoredVideo]) -> list[str]:
    """Annotated videos of which there is no result."""
    found = {video.name for video in videos}
    return [name for name in annotated if name not in found]
