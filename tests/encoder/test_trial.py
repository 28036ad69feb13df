from __future__ import annotations

import numpy as np
import pytest

from dsanet_cli.encoder.trial import check_agreement, some_frames
from dsanet_cli.errors import UsageError

EXACT = np.eye(4, dtype=np.float32) * 3


def turned(cosine, row=2):
    """The same features but for one, which is at an angle to the exact one."""
    features = EXACT.copy() * 2
    features[row] = 0
    features[row, row], features[row, row - 1] = cosine, np.sqrt(1 - cosine**2)
    return features


def test_lengths_make_no_difference_and_angles_do():
    check_agreement(EXACT * 5, EXACT, "int8", "the samples")
    check_agreement(turned(0.991), EXACT, "int8", "the samples")
    with pytest.raises(UsageError, match=r"int8: refused, since on 4 frames of it .* of 0\.9973, the lowest 0\.9890, "):
        check_agreement(turned(0.989), EXACT, "int8", "it")


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_what_are_no_features_is_refused(value):
    features = EXACT.copy()
    features[1] = value
    with pytest.raises(UsageError, match="refused"):
        check_agreement(features, EXACT, "int8", "it")


def test_a_few_frames_of_a_batch_that_is_not_full():
    frames = np.zeros((40, 2, 2, 3), np.uint8)
    frames[:30] = np.arange(1, 31, dtype=np.uint8)[:, None, None, None]
    few = some_frames(frames)[:, 0, 0, 0]
    assert len(few) == 8
    assert (few[0], few[-1]) == (1, 30)
    assert np.ptp(np.diff(few.astype(int))) <= 1
    assert some_frames(frames[:3]).shape == (3, 2, 2, 3)
    assert some_frames(frames[30:]).shape == (8, 2, 2, 3)  # black ones, where there are no others
