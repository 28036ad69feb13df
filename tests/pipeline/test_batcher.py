from __future__ import annotations

from concurrent.futures import Future

import numpy as np
import pytest
import torch
from tiny import tiny_clip, tiny_config

from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.pipeline.batcher import BATCHES_PER_LANE, FrameBatcher
from dsanet_cli.video.reader import Snippet


def snippet(index, values):
    frames = np.array(values, np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=3)
    return Snippet(index, index, index + 1, 16, frames)


class FakeEncoder:
    """Gives each frame's value as its feature, at once or when told to."""

    lanes = 1

    def __init__(self, at_once=True):
        self.at_once = at_once
        self.batches = []
        self.futures = []

    def submit(self, frames, crop):
        self.batches.append((frames[:, 0, 0, 0].tolist(), crop))
        self.futures.append(Future())
        if self.at_once:
            self.answer()
        return self.futures[-1]

    def answer(self):
        for future, (values, _) in zip(self.futures, self.batches, strict=True):
            if not future.done():
                future.set_result(np.array(values, np.float32)[:, None])


def encode(snippets, encoder, batch_size, crops=(0,)):
    """The features (crops, k, D) of each snippet by its index."""
    batcher = FrameBatcher(encoder, batch_size, crops)
    for one in snippets:
        batcher.add(None, one)
    return [(ready.index, ready.features) for _, ready in batcher.rest()]


def test_every_batch_is_full_and_the_last_is_padded():
    encoder = FakeEncoder()
    encoded = encode([snippet(i, [10 * i, 10 * i + 1]) for i in range(1, 5)], encoder, 3, (5,))
    assert encoder.batches == [([10, 11, 20], 5), ([21, 30, 31], 5), ([40, 41, 0], 5)]
    assert [(index, features.ravel().tolist()) for index, features in encoded] == [
        (1, [10, 11]),
        (2, [20, 21]),
        (3, [30, 31]),
        (4, [40, 41]),
    ]


def test_a_snippet_can_be_longer_than_a_batch():
    encoder = FakeEncoder()
    ((_, features),) = encode([snippet(0, range(1, 8))], encoder, 3)
    assert features.ravel().tolist() == list(range(1, 8))
    assert [len(values) for values, _ in encoder.batches] == [3, 3, 3]


def test_batches_are_filled_across_videos():
    encoder = FakeEncoder()
    batcher = FrameBatcher(encoder, 4)
    batcher.add("a", snippet(0, [1, 2]))
    batcher.add("b", snippet(0, [3, 4]))
    assert encoder.batches == [([1, 2, 3, 4], 0)]
    assert [(key, ready.features.ravel().tolist()) for key, ready in batcher.encoded()] == [
        ("a", [1, 2]),
        ("b", [3, 4]),
    ]


def test_snippets_come_back_in_order_and_only_when_encoded():
    encoder = FakeEncoder(at_once=False)
    batcher = FrameBatcher(encoder, 2)
    batcher.add("a", snippet(0, [1]))
    assert list(batcher.encoded()) == []
    batcher.add("b", snippet(0, [2]))
    assert list(batcher.encoded()) == []
    encoder.answer()
    assert [key for key, *_ in batcher.encoded()] == ["a", "b"]


def test_a_snippet_without_frames_waits_for_its_turn():
    encoder = FakeEncoder(at_once=False)
    batcher = FrameBatcher(encoder, 1)
    batcher.add("a", snippet(0, [1]))
    batcher.add("a", snippet(1, []))
    assert list(batcher.encoded()) == []
    encoder.answer()
    assert [ready.features.shape[:2] for _, ready in batcher.encoded()] == [(1, 1), (1, 0)]


def test_the_encoder_is_not_given_more_than_it_can_take():
    encoder = FakeEncoder(at_once=False)
    batcher = FrameBatcher(encoder, 1)
    for index in range(BATCHES_PER_LANE):
        batcher.add("a", snippet(index, [index]))
    waited = []
    first = encoder.futures[0]
    first.exception = lambda: waited.append(True)
    batcher.add("a", snippet(9, [9]))
    assert waited == [True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_frame_has_the_same_features_wherever_it_stands(dtype):
    encoder = FrameEncoder(tiny_clip().visual, tiny_config().preprocessing, torch.device("cpu"), dtype)
    frames = np.random.default_rng(0).integers(0, 256, (7, 32, 48, 3), dtype=np.uint8)
    mine = Snippet(0, 0.0, 1.0, 16, frames[:2])
    ((_, alone),) = encode([mine], encoder, 4)
    others = [Snippet(i, i, i + 1, 16, frames[2 + i : 5 + i]) for i in range(3)]
    among = [features for _, features in encode([*others, mine], encoder, 4)]
    np.testing.assert_array_equal(among[-1], alone)


def test_each_crop_of_a_batch_is_encoded():
    encoder = FakeEncoder()
    ((_, features),) = encode([snippet(0, [7, 8])], encoder, 2, (0, 5, 9))
    assert encoder.batches == [([7, 8], 0), ([7, 8], 5), ([7, 8], 9)]
    assert features.tolist() == [[[7], [8]]] * 3


def test_what_was_added_can_be_written_over():
    encoder = FakeEncoder()
    batcher = FrameBatcher(encoder, 4)
    mine = snippet(3, [1, 2, 3])
    batcher.add("a", mine)
    mine.frames[:] = 9
    ((_, ready),) = batcher.rest()
    assert ready.features.ravel().tolist() == [1, 2, 3]
    assert ready.picture.ravel().tolist() == [2, 2, 2]
    assert (ready.index, ready.start, ready.end, ready.length) == (3, 3, 4, 16)
