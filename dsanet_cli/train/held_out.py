"""What a trained head reaches on whole held-out videos, beside logistic regression on the same features."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score
from torch import Tensor

from dsanet_cli.config import Notes, Value
from dsanet_cli.features.files import load_features
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.head.losses import top_mean
from dsanet_cli.train.dataset import LabelledFeatures, one_crop_each
from dsanet_cli.train.plain import plain_scores
from dsanet_cli.train.selection import Selection
from dsanet_cli.train.split import group_of_video

HELD_OUT_FILE = "held-out.json"
FEWEST = 5
"""Held-out groups, or videos where there are no groups, of each kind; with fewer, an interval would say nothing."""
ALIKE = 0.02
"""Difference of two AUCs that makes none."""
_RESAMPLES = 2000
_CONFIDENCE = 0.95
_Z = 1.959964
"""Standard normal quantile of the interval's ends."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure with the ends of its 95 % interval, which are None where there are too few videos for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def as_notes(self) -> list[Value]:
        """Value, low and high end."""
        return [None if part is None else round(part, 4) for part in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class Comparison:
    """AUC over whole videos of the head and of logistic regression on mean and spread of their features."""

    normal: int
    """Held-out videos."""
    anomalous: int
    groups: int | None
    """Of the held-out videos; None where they were not held out by groups."""
    head: Figure
    plain: Figure
    difference: Figure
    """What the head adds."""

    @property
    def verdict(self) -> str:
        """What can be said of the difference, in a sentence."""
        unit = "videos" if self.groups is None else "groups"
        if self.head.low is None or self.difference.low is None or self.difference.high is None:
            return f"fewer than {FEWEST} {unit} of a kind are held out: too few to tell how good the head is"
        if self.head.low <= 0.5:
            return f"these {unit} are too few to tell the head from chance; list more {unit}, or make other features"
        if self.difference.low > 0:
            return f"the head adds {self.difference}"
        if self.difference.high < 0:
            return f"the head is worse, by {self.difference}: it is not worth its training here"
        if max(-self.difference.low, self.difference.high) < ALIKE:
            return f"head and logistic regression are alike: {self.difference}"
        return f"these {unit} are too few to tell whether the head adds anything: {self.difference}"

    def lines(self) -> list[str]:
        """For the console."""
        held_out = f"{self.anomalous} anomalous and {self.normal} normal held-out videos"
        if self.groups is not None:
            held_out += f" of {self.groups} groups"
        interval = "" if self.head.low is None else ", 95 % interval by bootstrap"
        if interval and self.groups is not None:
            interval += " over groups"
        return [
            f"{held_out}, AUC over whole videos{interval}:",
            f"  this head {self.head}, a little too good, as its weights were chosen by these videos",
            f"  logistic regression on mean and spread of the same features {self.plain}",
            f"  {self.verdict}",
        ]

    def as_metrics(self) -> Notes:
        """For the model's configuration."""
        return {
            "held-out videos": {"normal": self.normal, "anomalous": self.anomalous, "groups": self.groups},
            "held-out video AUC, 95 % interval": self.head.as_notes(),
            "the same of logistic regression on mean and spread": self.plain.as_notes(),
            "difference, 95 % interval": self.difference.as_notes(),
            "held-out videos say": self.verdict,
        }


@dataclass(frozen=True)
class HeldOut:
    """Scores of the held-out videos, and what they say."""

    videos: Sequence[LabelledFeatures]
    head: FloatArray
    """(V,) in 0..1."""
    plain: FloatArray
    """(V,) log-odds."""
    comparison: Comparison

    def write(self, folder: Path) -> None:
        """Write ``held-out.json``: the comparison, and each video's scores.

        Raises:
            OutputError: it cannot be written.
        """
        rows: list[dict[str, Any]] = [
            {
                "path": str(video.path),
                "normal": video.normal,
                "group": video.group,
                "head": round(float(head), 6),
                "logistic regression": round(float(plain), 6),
            }
            for video, head, plain in zip(self.videos, self.head, self.plain, strict=True)
        ]
        with atomic_write(folder / HELD_OUT_FILE) as stream:
            json.dump({**self.comparison.as_metrics(), "videos": rows}, stream, indent=2, ensure_ascii=False)
            stream.write("\n")


def judge_held_out(selection: Selection, head: DSANetHead, text_features: Tensor, temperature: float) -> HeldOut | None:
    """Score the held-out videos with the head, and with logistic regression fitted on the training part.

    Returns:
        None where a kind of video, normal or anomalous, is missing on one side.

    Raises:
        FeatureError: a file that is missing or does not fit.
    """
    training, videos = one_crop_each(selection.training), one_crop_each(selection.held_out)
    if len({video.normal for video in videos}) < 2 or len({video.normal for video in training}) < 2:
        return None
    scores = np.array([video_score(video.path, head, text_features, temperature) for video in videos])
    plain = plain_scores(training, videos, head.config.width)
    anomalous = np.array([not video.normal for video in videos])
    groups = [group_of_video(video) for video in videos] if selection.by_groups else None
    return HeldOut(videos, scores, plain, compare(anomalous, scores, plain, groups))


def video_score(path: Path, head: DSANetHead, text_features: Tensor, temperature: float) -> float:
    """The score (0..1) of a whole video as training has it: the mean of the highest sixteenth of its snippets'.

    Raises:
        FeatureError: a file that is missing or does not fit.
    """
    features = torch.from_numpy(load_features(path, head.config.width))
    scores = score_snippets(head, features, text_features, temperature).scores
    return float(top_mean(scores[None], torch.tensor([len(scores)])))


def compare(
    anomalous: NDArray[np.bool_], head: FloatArray, plain: FloatArray, groups: Sequence[str] | None
) -> Comparison:
    """The AUCs of two scorings of V videos, and their difference, with intervals from resampled videos or groups.

    Args:
        anomalous: (V,), at least one of each kind.
        head: Scores (V,), higher for anomalous videos.
        plain: The same of the other scoring.
        groups: Of each video; whole groups are resampled, since their videos do not vary independently of each other.
    """
    units = np.unique(np.arange(len(anomalous)) if groups is None else np.array(groups), return_inverse=True)[1]
    values = [float(roc_auc_score(anomalous, scores)) for scores in (head, plain)]
    values.append(values[0] - values[1])
    counts = [len(set(units[anomalous == kind].tolist())) for kind in (True, False)]
    if min(counts) < FEWEST:
        figures = [Figure(value) for value in values]
    else:
        weights = _resampled(units)
        one, other = (resampled_auc(anomalous, scores, weights) for scores in (head, plain))
        figures = [_with_interval(value, drawn) for value, drawn in zip(values, (one, other, one - other), strict=True)]
        figures[:2] = [_not_certain(figure, *counts) for figure in figures[:2]]
    return Comparison(
        int((~anomalous).sum()), int(anomalous.sum()), None if groups is None else len(set(groups)), *figures
    )


def _resampled(units: NDArray[np.int64]) -> FloatArray:
    """How often each video counts in each resample of its units: (resamples, V)."""
    number = int(units.max()) + 1
    rng = np.random.default_rng(0)
    times = rng.multinomial(number, np.full(number, 1 / number), _RESAMPLES)
    weights: FloatArray = times[:, units].astype(np.float64)
    return weights


def resampled_auc(anomalous: NDArray[np.bool_], scores: FloatArray, weights: FloatArray) -> FloatArray:
    """The AUC of scores (V,) with each row of weights (R, V): (R,), NaN where a kind has no weight."""
    above = scores[anomalous][:, None] - scores[~anomalous][None, :]
    wins = (above > 0) + 0.5 * (above == 0)  # (anomalous, normal)
    one, other = weights[:, anomalous], weights[:, ~anomalous]
    with np.errstate(invalid="ignore"):
        auc: FloatArray = ((one @ wins) * other).sum(axis=1) / (one.sum(axis=1) * other.sum(axis=1))
    return auc


def _with_interval(value: float, drawn: FloatArray) -> Figure:
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Figure(value, float(low), float(high))


def _not_certain(figure: Figure, anomalous: int, normal: int) -> Figure:
    """An AUC of 0 or 1 has an interval too, though all its resamples are alike: Newcombe's (2006, method 5)."""
    if figure.value not in (0.0, 1.0):
        return figure

    def beyond(auc: float) -> float:
        more = (anomalous + normal) / 2 - 1
        spread = 1 + more * (1 - auc) / (2 - auc) + more * auc / (1 + auc)
        return float(abs(figure.value - auc) - _Z * np.sqrt(auc * (1 - auc) * spread / (anomalous * normal)))

    end = float(brentq(beyond, 1e-9, 1 - 1e-9))
    return Figure(figure.value, min(figure.value, end), max(figure.value, end))
