"""Pictures that show nothing new are not encoded again."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import numpy as np
import pytest

from dsanet_cli.config import Preprocessing
from dsanet_cli.errors import UsageError
from dsanet_cli.pipeline import batcher as batcher_module
from dsanet_cli.pipeline.batcher import FrameBatcher
from dsanet_cli.pipeline.pipeline import still_rule
from dsanet_cli.pipeline.still import StillRule
from dsanet_cli.video.reader import Snippet

YARD = np.random.default_rng(0).integers(40, 200, (64, 90, 3), np.uint8)


def noisy(picture, deviation, seed=1):
    noise = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def with_person(picture, top=30, left=50, contrast=60):
    """Four by three pixels that are so much darker or brighter."""
    changed = picture.astype(int)
    changed[top : top + 4, left : left + 3] += contrast
    return np.clip(changed, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 90), (61, 47), (8, 8), (5, 3)])
def test_means_are_of_blocks_and_the_last_ones_reach_back(height, width):
    picture = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    brightness = picture @ np.array([0.299, 0.587, 0.114])
    tops, lefts = ([*range(0, side - 7, 8)] for side in (height, width))
    tops += [max(0, height - 8)] if height % 8 else []
    lefts += [max(0, width - 8)] if width % 8 else []
    expected = [[brightness[top : top + 8, left : left + 8].mean() for left in lefts] for top in tops]
    np.testing.assert_allclose(StillRule(1).means(picture), expected, rtol=1e-5)


def test_noise_is_no_difference_and_a_person_far_away_is_one():
    rule = StillRule(2)
    means = rule.means(noisy(YARD, 4))
    assert all(rule.is_same(means, rule.means(noisy(YARD, 4, seed))) for seed in range(2, 30))
    assert not rule.is_same(means, rule.means(noisy(with_person(YARD), 4)))
    # which the mean over the picture does not tell from noise
    assert abs(YARD.mean() - with_person(YARD).mean()) < 0.2


def test_the_level_is_in_grey_levels_of_a_block():
    flat = np.full((32, 32, 3), 100, np.uint8)
    other = flat.copy()
    other[8:16, 16:24] += 3
    assert StillRule(3).is_same(StillRule(3).means(flat), StillRule(3).means(other))
    assert not StillRule(2.9).is_same(StillRule(2.9).means(flat), StillRule(2.9).means(other))
    assert StillRule(0).is_same(StillRule(0).means(flat), StillRule(0).means(flat.copy()))


def test_drifting_light_is_no_difference_but_a_person_in_it_is_one():
    rule = StillRule(2)
    means = rule.means(YARD)
    assert rule.is_same(means, rule.means(YARD + 3))
    assert rule.is_same(means, rule.means(YARD - 3))
    assert not rule.is_same(means, rule.means(YARD + 5))
    assert not rule.is_same(means, rule.means(with_person(YARD) + 3))
    assert not rule.is_same(means, rule.means(with_person(YARD, contrast=-60) - 3))


@pytest.mark.parametrize("level", [-1, 256, float("nan")])
def test_levels_that_are_none(level):
    with pytest.raises(UsageError, match="give grey levels from 0 to 255"):
        StillRule(level)


def test_what_is_cropped_away_does_not_count():
    side = with_person(YARD, left=2)
    encoder = SimpleNamespace(preprocessing=Preprocessing((64, 90), (56, 64), (0.5,) * 3, (0.5,) * 3))
    assert still_rule(encoder, (0,), None) is None
    for crops, same in ((0,), True), ((0, 5), False), (range(10), False):
        rule = still_rule(encoder, crops, 1.0)
        assert rule.is_same(rule.means(YARD), rule.means(side)) == same
    centre = still_rule(encoder, (0,), 1.0)
    assert not centre.is_same(centre.means(YARD), centre.means(with_person(YARD)))


class Encoder:
    """Gives the brightest pixel of each picture as its feature; remembers how many pictures of worth it had."""

    lanes = 1

    def __init__(self):
        self.encoded = []

    def submit(self, frames, crop):
        self.encoded += [int(frame.max()) for frame in frames if frame.any()]
        future = Future()
        future.set_result(np.array([[frame.max()] for frame in frames], np.float32))
        return future


def snippet(index, *values):
    return Snippet(index, index, index + 1, 16, np.array(values, np.uint8)[:, None, None, None].repeat(3, 3))


def encoded(batcher):
    return [(key, one.index, one.features.ravel().tolist(), one.reused) for key, one in batcher.rest()]


def test_a_picture_that_is_the_same_gets_the_features_of_the_one_before():
    encoder = Encoder()
    batcher = FrameBatcher(encoder, 2, still=StillRule(2))
    for one in snippet(0, 10, 11), snippet(1, 12, 30), snippet(2, 31, 12), snippet(3):
        batcher.add("a", one)
    assert encoded(batcher) == [("a", 0, [10, 10], 1), ("a", 1, [10, 30], 1), ("a", 2, [30, 12], 1), ("a", 3, [], 0)]
    assert encoder.encoded == [10, 30, 12]


def test_slow_changes_add_up():
    encoder = Encoder()
    batcher = FrameBatcher(encoder, 4, still=StillRule(2))
    for index in range(10):
        batcher.add("a", snippet(index, 10 + index))
    assert [features for _, _, (features,), _ in encoded(batcher)] == [10, 10, 10, 10, 10, 15, 15, 15, 15, 15]


def test_videos_do_not_share_pictures():
    encoder = Encoder()
    batcher = FrameBatcher(encoder, 4, still=StillRule(2))
    for index in range(3):
        batcher.add("a", snippet(index, 10 + index))
        batcher.add("b", snippet(index, 11 + index))
    batcher.forget("a")
    batcher.forget("of which nothing came")
    batcher.add("a", snippet(3, 12))
    assert [(key, features) for key, _, (features,), _ in encoded(batcher)] == [
        *[("a", 10), ("b", 11)] * 3,
        ("a", 12),
    ]
    assert encoder.encoded == [10, 11, 12]


def test_the_picture_shown_is_the_one_that_was_encoded():
    batcher = FrameBatcher(Encoder(), 4, still=StillRule(2))
    frames = np.full((2, 4, 4, 3), 50, np.uint8)
    for index in range(3):
        frames += 1
        batcher.add("a", Snippet(index, index, index + 1, 16, frames))
    pictures = [one.picture for _, one in batcher.rest()]
    assert all(picture is pictures[0] for picture in pictures)  # so that memory does not grow with what is still
    assert (pictures[0] == 51).all()


def test_snippets_do_not_wait_for_a_full_batch_for_ever(monkeypatch):
    monkeypatch.setattr(batcher_module, "MOST_WAITING", 5)
    batcher = FrameBatcher(Encoder(), 100, still=StillRule(2))
    for index in range(5):
        batcher.add("a", snippet(index, 10))
    assert list(batcher.encoded()) == []
    batcher.add("a", snippet(5, 10))
    assert [one.index for _, one in batcher.encoded()] == list(range(6))
    batcher.add("a", snippet(6, 10))  # the batch that it is in was handed over long ago
    assert [one.index for _, one in batcher.encoded()] == [6]


def test_a_batch_that_fails_fails_what_shows_the_same():
    class Failing(Encoder):
        def submit(self, frames, crop):
            future = Future()
            future.set_exception(RuntimeError("no"))
            return future

    batcher = FrameBatcher(Failing(), 4, still=StillRule(2))
    batcher.add("a", snippet(0, 10))
    batcher.add("a", snippet(1, 10))
    assert [str(one) for _, one in batcher.rest()] == ["no", "no"]
