"""Score curves of feature files, to choose a threshold from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dsanet_cli.features.files import load_features
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.timeline.calibration import ScoreCurve


def feature_curve(
    path: Path, head: DSANetHead, text_features: Tensor, temperature: float, seconds: float
) -> ScoreCurve:
    """The curve of a feature file whose snippets last ``seconds`` each; the rest as for ``score_snippets``.

    Raises:
        FeatureError: the file does not fit the head.
    """
    features = torch.from_numpy(load_features(path, head.config.width))
    scores = score_snippets(head, features, text_features, temperature).scores.numpy()
    borders = np.arange(len(scores) + 1, dtype=np.float64) * seconds
    return ScoreCurve(borders[:-1], borders[1:], scores)
