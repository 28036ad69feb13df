from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from toy_features import write_toy_features

from dsanet_cli.errors import SourceError
from dsanet_cli.train.dataset import LabelledFeatures
from dsanet_cli.train.split import hold_out, split_off


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_toy_features(tmp_path_factory.mktemp("features"))


def listed(*rows):
    """Rows of (class, group), one video each."""
    return [LabelledFeatures(Path(f"{n}__0.npy"), (label,), group) for n, (label, group) in enumerate(rows)]


def groups(videos):
    return {video.group for video in videos}


def test_a_held_out_video_goes_with_all_its_crops(tmp_path):
    videos = write_toy_features(tmp_path, crops=3)
    training, held_out = hold_out(videos, 0.25, seed=1)
    assert len(held_out) == 3 * 8
    assert len(training) + len(held_out) == len(videos)
    assert not {v.video for v in training} & {v.video for v in held_out}
    assert [sum(v.classes == (c,) for v in held_out) for c in range(3)] == [12, 6, 6]
    assert hold_out(videos, 0.25, seed=1) == (training, held_out)
    assert hold_out(videos, 0.25, seed=2) != (training, held_out)


def test_a_class_keeps_a_video_to_train_on(videos):
    training, _ = hold_out(videos, 1.0, seed=0)
    assert sorted(v.classes for v in training) == [(0,), (1,), (2,)]


def test_without_groups_single_videos_are_held_out(videos):
    split = split_off(videos, 0.2, seed=3)
    assert (split.training, split.held_out) == hold_out(videos, 0.2, seed=3)
    assert not split.by_groups
    assert "no group column" in split.remark


@pytest.mark.parametrize("seed", range(5))
def test_no_group_lies_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    rows = [(int(rng.random() < 0.5), f"camera {number}") for number in range(30) for _ in range(rng.integers(1, 12))]
    split = split_off(listed(*rows), 0.2, seed)
    assert split.by_groups
    assert not groups(split.training) & groups(split.held_out)
    assert sorted(split.training + split.held_out, key=str) == sorted(listed(*rows), key=str)
    for label in (0, 1):
        count = sum(row[0] == label for row in rows)
        assert sum(video.classes == (label,) for video in split.held_out) / count == pytest.approx(0.2, abs=0.06)
    assert f"{len(groups(split.held_out))} of its 30 groups, as a whole" in split.remark


def test_the_seed_says_which_groups():
    videos = listed(*((number % 2, f"camera {number // 4}") for number in range(80)))
    held_out = [frozenset(groups(split_off(videos, 0.2, seed).held_out)) for seed in (1, 1, 200, 300)]
    assert held_out[0] == held_out[1]
    assert len(set(held_out)) > 1


def test_normal_and_anomalous_videos_are_held_out_though_groups_show_one_kind():
    videos = listed(*((number % 2, f"camera {number % 2} {number // 8}") for number in range(80)))
    held_out = split_off(videos, 0.2, seed=0).held_out
    assert sum(video.normal for video in held_out) == len(held_out) / 2 == 8


def test_crops_go_with_their_video(tmp_path):
    videos = [
        dataclasses.replace(video, group=f"camera {number // 6}")
        for number, video in enumerate(write_toy_features(tmp_path, crops=3))
    ]
    split = split_off(videos, 0.2, seed=0)
    assert not {video.video for video in split.training} & {video.video for video in split.held_out}
    assert not groups(split.training) & groups(split.held_out)


def test_videos_without_a_group_count_as_one():
    videos = listed(*((number % 2, None if number < 20 else f"camera {number // 4}") for number in range(100)))
    for seed in range(10):
        split = split_off(videos, 0.2, seed)
        assert not groups(split.training) & groups(split.held_out)
    assert split.remark.endswith("of its 21 groups, as a whole (20 videos name none and count as one)")


@pytest.mark.parametrize(
    "rows",
    [
        [(number % 2, "the only camera") for number in range(40)],
        [(number % 2, f"camera {number % 2}") for number in range(40)],
        [(0, "a"), (1, "b")],
    ],
    ids=["one group", "a group for each class", "two videos"],
)
def test_groups_that_cannot_be_divided(rows):
    """A class would be left without a video to train on; single videos are held out, with a word about it."""
    split = split_off(listed(*rows), 0.2, seed=0)
    assert not split.by_groups
    assert (split.training, split.held_out) == hold_out(listed(*rows), 0.2, seed=0)
    assert "groups cannot be divided" in split.doubt
    assert split.remark == ", not by its groups"


def test_a_class_of_one_group_stays_for_training():
    videos = listed(*((number % 2, f"camera {number // 4}") for number in range(40)), *[(2, "camera x")] * 3)
    for seed in range(5):
        split = split_off(videos, 0.2, seed)
        assert split.by_groups
        assert sum(video.classes == (2,) for video in split.training) == 3


def test_a_video_in_two_groups(tmp_path):
    one, other, *rest = write_toy_features(tmp_path, videos=6, crops=2)
    videos = [dataclasses.replace(one, group="gate"), dataclasses.replace(other, group="yard"), *rest]
    with pytest.raises(SourceError, match=r"__1.npy: its video is listed in the groups 'gate' and 'yard'"):
        split_off(videos, 0.2, seed=0)
