"""By what a training chooses its best weights: a part of the training list, or the test list as the authors do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dsanet_cli.errors import SourceError
from dsanet_cli.evaluate.evaluation import TruthFiles, label_map, load_videos, read_truth, score_videos
from dsanet_cli.evaluate.frame_metrics import frame_figures
from dsanet_cli.features.lists import ListedFeature
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.models.presets import Preset
from dsanet_cli.train.dataset import LabelledFeatures, hold_out, load_batch, one_crop_each
from dsanet_cli.train.trainer import Validate, agreement

HELD_OUT_SHARE = 0.2
"""Of the training videos, where the best weights are chosen on a part of them."""


@dataclass(frozen=True)
class Selection:
    """What is trained on, and the figure that the best weights maximise."""

    training: list[LabelledFeatures]
    figure_name: str
    remark: str
    """For the user."""
    validate: Validate


def on_training_list(videos: Sequence[LabelledFeatures], preset: Preset, device: torch.device) -> Selection:
    """Hold out a share of the training videos and choose by how well the weights agree with their labels.

    Raises:
        SourceError: too few videos to hold any out.
    """
    training, held_out = hold_out(videos, HELD_OUT_SHARE, preset.seed)
    few = one_crop_each(held_out)
    if not few:
        raise SourceError(
            f"{len(videos)} feature files are too few to hold some out for choosing the best weights; add videos, "
            "or choose on a test list (--select-on test)"
        )
    batch = load_batch(few, preset).to(device)

    def validate(model: DSANet, text_features: Tensor) -> float:
        return agreement(model, text_features, batch, preset.alignment_weight)

    return Selection(
        training,
        "agreement with the labels of held-out training videos (0 is best)",
        f"the best weights are chosen on {len(few)} videos held out of the training list",
        validate,
    )


def on_test_list(
    videos: Sequence[LabelledFeatures], preset: Preset, tested: Sequence[ListedFeature], truth_files: TruthFiles
) -> Selection:
    """Choose by the preset's figure over the frames of the test list (released code: train).

    Raises:
        SourceError: ground truth that does not fit the list.
        FeatureError: features that do not fit the head or the ground truth.
    """
    loaded = load_videos(tested, preset.head.width)
    labels = {**label_map([c.name for c in preset.classes]), **preset.labels}
    truth = read_truth(truth_files, [v.name for v in loaded], [v.frames for v in loaded], labels)

    def validate(model: DSANet, text_features: Tensor) -> float:
        scored = score_videos(model.head, text_features, preset.temperature, loaded)
        figures = frame_figures([video.scores for video in scored], truth.labels, truth.names)
        return figures.auc if preset.selection_metric == "auc" else figures.ap

    return Selection(
        list(videos),
        f"{preset.selection_metric.upper()} on the test list",
        "the best weights are chosen on the test list, as the authors do, so its figures promise nothing for other "
        "videos (--select-on train-split does not look at it)",
        validate,
    )
