"""How a training on the user's own list is set up, chosen from the list; presets stay as published.

Losses and optimisers are those of the published trainings. ``tests/benchmarks/small_sets.py`` measures
what comes of it on a list of one's own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from dsanet_cli.features.files import count_snippets
from dsanet_cli.models.presets import UCF_CRIME, Preset
from dsanet_cli.train.dataset import LabelledFeatures

MOST_WINDOW = 256
"""Snippets; what the published models see at once."""
_WHOLE = 0.95
"""Share of the videos that a window holds uncut."""
BATCHES_PER_EPOCH = 16
"""Batches that the rarer kind of video, normal or anomalous, is divided into, while that leaves one for each."""
LEAST_STEPS = 400
"""With a warm-up of 100."""
LEAST_EPOCHS = 15
"""Ten are published, for thousands of videos."""
PATIENCE = 1 / 3
"""Share of the epochs without improvement after which the rest of them is not made."""


def own_rate(preset: Preset) -> Preset:
    """The preset with its published learning rate for the width of its head: narrower ones take longer steps.

    The rate is in inverse proportion to the width, as is usual for Adam: 7e-5 at 512, 1.9e-4 at 192.
    """
    rate = UCF_CRIME.learning_rate * UCF_CRIME.head.width / preset.head.width
    return dataclasses.replace(preset, learning_rate=float(f"{rate:.2g}"))


def fit_window(preset: Preset, videos: Sequence[LabelledFeatures]) -> Preset:
    """The preset with a window no longer than the videos need, features centred and scaled, and a linear probe.

    A video of two seconds in a window of 256 snippets is padding for the most part, which costs time, and dilutes what
    the head learns from. Windows are a multiple of the snippets that attend to each other; of the longest videos, one
    in twenty may be longer and is shortened as all are to the published window. The linear probe keeps a head that is
    trained on few videos from ending below logistic regression (``linear_probe``).

    Raises:
        FeatureError: a file that is missing or no feature file.
    """
    longest = np.quantile([count_snippets(video.path) for video in videos], _WHOLE, method="higher")
    unit = preset.head.attention_window
    window = min(MOST_WINDOW, unit * math.ceil(longest / unit))
    return dataclasses.replace(
        preset, head=dataclasses.replace(preset.head, window=window, standardised=True, probed=True)
    )


def fit_steps(
    preset: Preset, training: Sequence[LabelledFeatures], epochs: int | None, batch_size: int | None
) -> Preset:
    """The preset with batches and epochs for the size of the list, where they are not given.

    Args:
        preset: Whose batches are the largest there are.
        training: What is left of the list to train on.
        epochs: Passes that the user wants.
        batch_size: Files in a step that the user wants.
    """
    normal = sum(video.normal for video in training)
    fewer = min(normal, len(training) - normal)
    if batch_size is None:
        batch_size = 2 * max(1, min(preset.batch_size // 2, fewer // BATCHES_PER_EPOCH))
    if epochs is not None:  # all of them
        return dataclasses.replace(preset, batch_size=batch_size, epochs=epochs)
    batches = max(1, fewer // (batch_size // 2))
    epochs = max(LEAST_EPOCHS, math.ceil(LEAST_STEPS / batches))
    patience = math.ceil(PATIENCE * epochs)
    return dataclasses.replace(preset, batch_size=batch_size, epochs=epochs, patience=patience)


def describe(preset: Preset) -> str:
    """What was chosen, in a line for the user."""
    scaled = ", features centred and scaled" if preset.head.standardised else ""
    scaled += ", scores that start from a linear probe" if preset.head.probed else ""
    patience = "" if preset.patience is None else f", ended early after {preset.patience} validations without a gain"
    return (
        f"windows of {preset.head.window} snippets, batches of {preset.batch_size}, learning rate "
        f"{preset.learning_rate:g}{scaled}{patience}"
    )
