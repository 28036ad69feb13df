"""Which videos of a training list are held out: whole groups where the list names them, else single videos."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from dsanet_cli.errors import SourceError
from dsanet_cli.train.dataset import LabelledFeatures, one_crop_each

UNNAMED = ""
"""The group of all videos without one, in a list that names groups."""
_DRAWS = 20
"""Times that the groups are dealt out to folds."""
_NEAR_ENOUGH = 0.02
"""Difference from the share, for each combination of classes, at which no other way is tried."""


@dataclass(frozen=True)
class Split:
    """The files to train on and the files held out."""

    training: list[LabelledFeatures]
    held_out: list[LabelledFeatures]
    by_groups: bool
    """Whether each group lies on one side as a whole."""
    remark: str
    """What was done, as the end of a sentence about the held-out videos."""
    doubt: str | None = None
    """Why figures of the held-out videos may be too good."""


def split_off(videos: Sequence[LabelledFeatures], share: float, seed: int) -> Split:
    """Hold out a share of the videos, of each combination of classes alike, all crops of a video on the same side.

    Args:
        videos: The training list. Where a video of it has a group, whole groups are held out; videos without one
            then count as one group, since nothing tells them apart.
        share: Of the videos; 0..1, without its ends.
        seed: Which ones.

    Raises:
        SourceError: files of one video in several groups.
    """
    if all(video.group is None for video in videos):
        remark = " (it has no group column, so videos of one camera may lie on both sides)"
        return Split(*hold_out(videos, share, seed), False, remark)
    group_of = _groups(videos)
    names = hold_out_groups(one_crop_each(videos), share, seed)
    if names is None:
        doubt = (
            f"the list's {len(set(group_of.values()))} groups cannot be divided, since a class would have no video to "
            "train on; single videos are held out, and those of one group lie on both sides, which makes figures too "
            "good; list videos of more groups"
        )
        return Split(*hold_out(videos, share, seed), False, ", not by its groups", doubt)
    remark = f": {len(names)} of its {len(set(group_of.values()))} groups, as a whole"
    if without := sum(group == UNNAMED for group in group_of.values()):
        remark += f" ({without} videos name none and count as one)"
    return Split(
        [video for video in videos if group_of[video.video] not in names],
        [video for video in videos if group_of[video.video] in names],
        True,
        remark,
    )


def group_of_video(video: LabelledFeatures) -> str:
    """The group of a video of a list that names groups."""
    return video.group or UNNAMED


def hold_out(
    videos: Sequence[LabelledFeatures], share: float, seed: int
) -> tuple[list[LabelledFeatures], list[LabelledFeatures]]:
    """Split off a share of the videos of each class, all crops of a video on the same side.

    Args:
        videos: The training list.
        share: Of the videos of each combination of classes, rounded; at least one stays for training.
        seed: Which ones.

    Returns:
        The files to train on and the files held out.
    """
    by_classes: dict[tuple[int, ...], dict[Path, None]] = {}
    for video in videos:
        by_classes.setdefault(video.classes, {})[video.video] = None
    rng = np.random.default_rng(seed)
    kept: set[Path] = set()
    for names in by_classes.values():
        count = min(round(share * len(names)), len(names) - 1)
        kept |= {list(names)[i] for i in rng.permutation(len(names))[:count]}
    return [v for v in videos if v.video not in kept], [v for v in videos if v.video in kept]


def hold_out_groups(videos: Sequence[LabelledFeatures], share: float, seed: int) -> set[str] | None:
    """The groups to hold out: about a share of the videos, and of each combination of classes as near to it as can be.

    Of many ways to deal out the groups, the one is taken that leaves normal and anomalous videos on both sides, if
    there is one, and then the one nearest to the share.

    Returns:
        None where every way leaves a class without a video to train on, or holds out nothing.
    """
    kinds = np.array([str(video.classes) for video in videos])
    groups = np.array([group_of_video(video) for video in videos])
    normal = np.array([video.normal for video in videos])
    count = Counter(kinds.tolist())
    best: tuple[bool, float] | None = None
    chosen: set[str] | None = None
    for held in _folds(kinds, groups, round(1 / share), seed):
        inside = Counter(kinds[held].tolist())
        if len(held) == 0 or any(inside[kind] == count[kind] for kind in count):
            continue
        one_sided = len(set(normal[held].tolist())) < 2
        rank = (one_sided, sum(abs(inside[kind] / count[kind] - share) for kind in count))
        if best is None or rank < best:
            best, chosen = rank, set(groups[held].tolist())
        if best < (False, _NEAR_ENOUGH * len(count)):
            break
    return chosen


def _folds(kinds: np.ndarray, groups: np.ndarray, number: int, seed: int) -> Iterator[np.ndarray]:
    """Indices of the videos of each fold, of several ways to deal the groups out to ``number`` folds."""
    number = min(number, len(set(groups.tolist())), max(Counter(kinds.tolist()).values()))
    if number < 2:
        return
    for draw in range(_DRAWS):
        dealt = StratifiedGroupKFold(number, shuffle=True, random_state=seed + draw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer videos than folds, which is no fault here
            yield from (held for _, held in dealt.split(kinds, kinds, groups))


def _groups(videos: Sequence[LabelledFeatures]) -> dict[Path, str]:
    """The group of each video."""
    found: dict[Path, str] = {}
    for video in videos:
        group = group_of_video(video)
        if found.setdefault(video.video, group) != group:
            raise SourceError(
                f"{video.path}: its video is listed in the groups {found[video.video]!r} and {group!r}; give all crops "
                "of a video the same group"
            )
    return found
