"""What ``dsanet train`` reaches on a small set, beside logistic regression on the same features: folds by group.

    python tests/benchmarks/small_sets.py LIST.csv [--folds N] [--seeds N] [--model M]

``LIST.csv`` is a feature list with a group column (path,label,group), as ``dsanet extract --list --labels`` writes
it. For each fold, the videos of its groups are left out; a model is trained on the others as ``dsanet train`` does
without a preset (a fifth of them held out to choose the weights on), and logistic regression is fitted on the same
training part, and on training and held-out part together. Prints what was chosen, seconds a training, and the AUC over
whole videos: pooled over the folds, and the mean of the folds' own, for each seed and on average. Features of any width
will do: only the text tower is the model's.

The clips that the rule of choice was measured on are 174 of the Surveillance Camera Fight Dataset
(github.com/seymanurakti/fight-detection-surv-dataset), with the source video of each clip as its group.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from dsanet_cli.features.files import open_array
from dsanet_cli.features.lists import read_list
from dsanet_cli.models.classes import classes_of_labels, own_preset
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.models.presets import Preset
from dsanet_cli.train.choice import fit_steps, fit_window, own_rate
from dsanet_cli.train.dataset import LabelledFeatures, label_features, one_crop_each
from dsanet_cli.train.encoder import TrainingEncoder, training_encoder
from dsanet_cli.train.held_out import video_score
from dsanet_cli.train.plain import plain_scores
from dsanet_cli.train.selection import on_training_list
from dsanet_cli.train.trainer import Trainer

CPU = torch.device("cpu")
JUDGES = ("head", "regression, training part", "regression, with held-out part")


def read(listing: Path, model: str) -> tuple[Preset, list[LabelledFeatures], TrainingEncoder]:
    rows = read_list(listing)
    encoder = training_encoder(EncoderChoice(model=model), [])
    width = open_array(rows[0].path).shape[1]
    own = classes_of_labels({row.label for row in rows}, listing)
    config = dataclasses.replace(encoder.config, width=width, custom=None)
    preset = own_rate(own_preset(listing.stem, own, config, encoder.clip))
    return preset, label_features(rows, preset), encoder


def scores_of_fold(
    preset: Preset, videos: list[LabelledFeatures], judged: list[LabelledFeatures], encoder: TrainingEncoder
) -> list[np.ndarray]:
    """The scores of the videos of a fold by each of ``JUDGES``, trained on ``videos``."""
    started = time.monotonic()
    preset = fit_window(preset, videos)
    selection = on_training_list(videos, preset, CPU)
    preset = fit_steps(preset, selection.training, None, None)
    trainer = Trainer(preset, selection.training, encoder.clip, CPU)
    for _ in trainer.train(selection.validate):
        pass
    with trainer.best_weights() as model:
        text = trainer.text_features()
        head = np.array([video_score(video.path, model.head, text, preset.temperature) for video in judged])
    print(
        f"    window {preset.head.window}, batches of {preset.batch_size}, {trainer.steps} of {trainer.total_steps} "
        f"steps, {time.monotonic() - started:.0f} s",
        flush=True,
    )
    width = preset.head.width
    parts = one_crop_each(selection.training), one_crop_each(videos)
    return [head, *(plain_scores(part, judged, width) for part in parts)]


def figures(anomalous: np.ndarray, scores: np.ndarray, folds: Sequence[np.ndarray]) -> tuple[float, float]:
    """AUC of all, and the mean of the folds' own."""
    own = [roc_auc_score(anomalous[fold], scores[fold]) for fold in folds if len(set(anomalous[fold])) == 2]
    return roc_auc_score(anomalous, scores), float(np.mean(own))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="scenes", help="whose text tower")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    preset, videos, encoder = read(arguments.list, arguments.model)
    files = one_crop_each(videos)
    anomalous = np.array([not video.normal for video in files])
    groups = [video.group or "" for video in files]
    print(f"{len(files)} videos of {len(set(groups))} groups, {anomalous.sum()} of them anomalous")
    found: dict[str, list[tuple[float, float]]] = {judge: [] for judge in JUDGES}
    for seed in range(arguments.seeds):
        dealt = StratifiedGroupKFold(arguments.folds, shuffle=True, random_state=seed)
        folds = [held for _, held in dealt.split(files, anomalous, groups)]
        scores = np.zeros((len(JUDGES), len(files)))
        for fold in folds:
            left_out = {files[i].video for i in fold}
            training = [video for video in videos if video.video not in left_out]
            preset = dataclasses.replace(preset, seed=seed)
            scores[:, fold] = scores_of_fold(preset, training, [files[i] for i in fold], encoder)
        for judge, row in zip(JUDGES, scores, strict=True):
            found[judge].append(figures(anomalous, row, folds))
            print(f"  seed {seed}, {judge}: {found[judge][-1][0]:.3f} pooled, {found[judge][-1][1]:.3f} by fold")
    for judge, values in found.items():
        pooled, by_fold = np.mean(values, axis=0)
        print(f"{judge}: {pooled:.3f} pooled, {by_fold:.3f} by fold, over {arguments.seeds} seeds")


if __name__ == "__main__":
    main()
