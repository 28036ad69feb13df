"""Timelines of a few snippets, made without a video."""

from __future__ import annotations

import numpy as np

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.facts import ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.timeline import build_timeline


def timeline(scores, seconds=1.5, label="explosion", recorded=None):
    """Snippets of ``seconds`` with these scores, one event for each run from 0.5 on."""
    scores = np.array(scores, np.float32)
    times = np.arange(len(scores)) * seconds
    return build_timeline(
        VideoFacts("a.mp4", 16, float(times[-1] + seconds), recorded=recorded),
        ModelFacts("tiny", "00" * 32),
        ("normal", label),
        Sampling(16, 2, "fp32"),
        EventRule(0.5, 0.5, merge_gap=0.0, min_length=0.0),
        times,
        times + seconds,
        scores,
        np.stack([1 - scores, scores], axis=1),
    )
