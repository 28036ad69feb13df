"""Logistic regression on mean and spread of a video's features: the plain model that a head should beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dsanet_cli.features.files import load_features
from dsanet_cli.train.dataset import LabelledFeatures

INVERSE_PENALTY = 0.01
"""scikit-learn's C; its default of 1 is worse on sets of a hundred short videos, and alike on others."""
_ITERATIONS = 1000


def mean_and_spread(videos: Sequence[LabelledFeatures], width: int) -> NDArray[np.float64]:
    """Mean and standard deviation over the snippets of each video's file: (V, 2 · ``width``).

    Raises:
        FeatureError: a file that is missing or does not fit.
    """
    rows = np.empty((len(videos), 2 * width))
    for row, video in zip(rows, videos, strict=True):
        features = load_features(video.path, width)
        row[:width], row[width:] = features.mean(axis=0), features.std(axis=0)
    return rows


def plain_scores(
    training: Sequence[LabelledFeatures], judged: Sequence[LabelledFeatures], width: int
) -> NDArray[np.float64]:
    """How abnormal logistic regression finds each video of ``judged``: log-odds (V,); it is fitted on ``training``.

    Args:
        training: One file of each video; normal ones and others.
        judged: One file of each video.
        width: Of the features.

    Raises:
        FeatureError: a file that is missing or does not fit.
    """
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=_ITERATIONS))
    regression.fit(mean_and_spread(training, width), [not video.normal for video in training])
    scores: NDArray[np.float64] = regression.decision_function(mean_and_spread(judged, width))
    return scores
