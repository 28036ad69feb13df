"""How a training chooses its best weights: on a part of the training list, or on the test list as the authors do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dsanet_cli.errors import SourceError
from dsanet_cli.evaluate.evaluation import LoadedVideo, TruthFiles, label_map, load_videos, read_truth, score_videos
from dsanet_cli.evaluate.frame_metrics import check_both_kinds, frame_figures
from dsanet_cli.features.lists import ListedFeature
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.models.presets import Preset
from dsanet_cli.train.dataset import LabelledFeatures, load_batch, one_crop_each
from dsanet_cli.train.split import Split, split_off
from dsanet_cli.train.trainer import Validate, agreement

HELD_OUT_SHARE = 0.2
"""Share of the training videos that is held out to choose the best weights on."""
FEW_HELD_OUT = 10
"""Held-out videos; with fewer, the choice is unreliable."""
FEW_TO_TRAIN_ON = 20
"""Training videos; fewer can be memorised."""
LEAST_FOR_HOLDING_OUT = 3
"""Videos that a class needs for one of them to be held out."""


@dataclass(frozen=True)
class Selection:
    """What is trained on, and the figure that the best weights maximise."""

    training: list[LabelledFeatures]
    held_out: list[LabelledFeatures]
    """Videos of the training list that are not trained on."""
    figure_name: str
    remark: str
    """How the weights are chosen, in a line for the user."""
    warnings: tuple[str, ...]
    """Why the choice may be unreliable."""
    facts: Mapping[str, str]
    """What the choice depends on, by the name that an error gives it."""
    validate: Validate
    by_groups: bool = False
    """Whether whole groups are held out, rather than single videos."""


def on_training_list(videos: Sequence[LabelledFeatures], preset: Preset, device: torch.device) -> Selection:
    """Hold out a share of the training videos and choose by how well the weights agree with their labels.

    Raises:
        SourceError: too few videos to hold any out, or files of one video in several groups.
    """
    split = split_off(videos, HELD_OUT_SHARE, preset.seed)
    few = one_crop_each(split.held_out)
    if not few:
        raise SourceError(
            f"{len(videos)} feature files are too few to hold some out for choosing the best weights; add videos, "
            "or choose on a test list (--select-on test)"
        )
    batch = load_batch(few, preset).to(device)

    def validate(model: DSANet, text_features: Tensor) -> float:
        return agreement(model, text_features, batch, preset.alignment_weight)

    return Selection(
        split.training,
        split.held_out,
        "agreement with the labels of held-out training videos (0 is best)",
        f"the best weights are chosen on {len(few)} videos held out of the training list{split.remark}",
        (*_too_few(split.training), *_doubts(few, split), *([split.doubt] if split.doubt else ())),
        {"held-out files": digest_files(split.held_out)},
        validate,
        split.by_groups,
    )


def on_test_list(
    videos: Sequence[LabelledFeatures], preset: Preset, tested: Sequence[ListedFeature], truth_files: TruthFiles
) -> Selection:
    """Choose by the preset's figure over the frames of the test list (released code: train).

    Raises:
        SourceError: ground truth that does not fit the list, or knows no anomalous or no normal frame.
        FeatureError: features that do not fit the head or the ground truth.
    """
    loaded = load_videos(tested, preset.head.width)
    labels = {**label_map([c.name for c in preset.classes]), **preset.labels}
    truth = read_truth(truth_files, [v.name for v in loaded], [v.frames for v in loaded], labels)
    check_both_kinds(truth.labels)

    def validate(model: DSANet, text_features: Tensor) -> float:
        scored = score_videos(model.head, text_features, preset.temperature, loaded)
        figures = frame_figures([video.scores for video in scored], truth.labels, truth.names)
        return figures.auc if preset.selection_metric == "auc" else figures.ap

    return Selection(
        list(videos),
        [],
        f"{preset.selection_metric.upper()} on the test list",
        "the best weights are chosen on the test list, as the authors do, so its figures promise nothing for other "
        "videos (--select-on train-split does not look at it)",
        _too_few(videos),
        {"test list": _digest_tested(tested, loaded), "ground truth": _digest_truth(truth_files)},
        validate,
    )


def digest_files(videos: Sequence[LabelledFeatures]) -> str:
    """SHA-256 (hex) over names and classes of feature files, wherever they lie."""
    return hashlib.sha256("\n".join(f"{video.path.name} {video.classes}" for video in videos).encode()).hexdigest()


def _digest_tested(tested: Sequence[ListedFeature], loaded: Sequence[LoadedVideo]) -> str:
    """SHA-256 (hex) over names and features of a test list, wherever its files lie."""
    digest = hashlib.sha256()
    for row, video in zip(tested, loaded, strict=True):
        digest.update(f"{row.path.name} {video.features.shape}\n".encode())
        digest.update(np.ascontiguousarray(video.features).data)
    return digest.hexdigest()


def _digest_truth(files: TruthFiles) -> str:
    """SHA-256 (hex) over the contents of ground truth files."""
    digest = hashlib.sha256()
    for path in (files.annotations, files.frames, files.segments, files.labels):
        if path is not None:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _too_few(training: Sequence[LabelledFeatures]) -> tuple[str, ...]:
    count = len(one_crop_each(training))
    if count >= FEW_TO_TRAIN_ON:
        return ()
    return (f"{count} videos are very few to train on, expect little of the model on others; add labelled videos",)


def _doubts(held_out: Sequence[LabelledFeatures], split: Split) -> tuple[str, ...]:
    """What is wrong with choosing weights on these videos, if anything."""
    normal = sum(video.normal for video in held_out)
    doubts = []
    for kind, count in (("normal", normal), ("anomalous", len(held_out) - normal)):
        if count == 0:
            doubts.append(
                f"no {kind} video is held out of the training list, so that the choice of the best weights does not "
                f"know how well such videos are told; list at least {LEAST_FOR_HOLDING_OUT} of them"
                + (" in groups of their own" if split.by_groups else "")
            )
    if not doubts and len(held_out) < FEW_HELD_OUT:
        doubts.append(
            f"only {len(held_out)} videos are held out of the training list, so that the choice of the best weights is "
            f"largely chance; list more than {round(FEW_HELD_OUT / HELD_OUT_SHARE)} videos"
        )
    return tuple(doubts)
