"""Logistic regression on whole videos' features: the plain model that a head should beat, and one to start it from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from dsanet_cli.features.files import load_features
from dsanet_cli.head.layers import Standardise
from dsanet_cli.train.dataset import LabelledFeatures

INVERSE_PENALTY = 0.01
"""scikit-learn's C; its default of 1 is worse on sets of a hundred short videos, and alike on others."""
PROBE_INVERSE_PENALTY = 0.03
"""The same for means alone: at 0.01 and 0.03, four sets of short clips came out alike, and worse beyond."""
_ITERATIONS = 1000
_TOLERANCE = 1e-8
"""Of the gradient, so that the same features in other units give the same probe."""


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


def linear_probe(
    training: Sequence[LabelledFeatures], file_means: Tensor, standardise: Standardise
) -> tuple[Tensor, Tensor]:
    """Logistic regression on the mean of each file's features, by which a head's anomaly logit can start.

    A head that starts from random weights and is trained on few videos ends below this regression; one that starts
    from it, above or beside it (LP-FT: Kumar et al., ICLR 2022, https://arxiv.org/abs/2202.10054).

    Args:
        training: N files, normal ones and others; all files of a video together count as one.
        file_means: Of their features, (N, D) float64.
        standardise: How the head scales features, fitted.

    Returns:
        Weights (D,) and bias () for scaled features, float32.
    """
    files = Counter(video.video for video in training)
    each_alone = torch.ones(len(file_means), dtype=torch.long)
    regression = LogisticRegression(C=PROBE_INVERSE_PENALTY, tol=_TOLERANCE, max_iter=_ITERATIONS).fit(
        standardise(file_means[:, None], each_alone)[:, 0].numpy(),
        [not video.normal for video in training],
        sample_weight=[1 / files[video.video] for video in training],
    )
    return torch.from_numpy(regression.coef_[0]).float(), torch.tensor(float(regression.intercept_[0]))
