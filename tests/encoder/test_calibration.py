from __future__ import annotations

import av
import numpy as np
from commands import ROOT

from dsanet_cli.encoder.calibration import TILE, calibration_frames


def test_the_frames_are_those_of_the_samples():
    frames = calibration_frames(TILE).astype(np.float32)
    assert frames.shape == (60, *TILE, 3)
    with av.open(str(ROOT / "samples" / "Arson001.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    expected = np.stack([shown[len(shown) * place // 20] for place in range(1, 20, 2)]).astype(np.float32)
    assert np.abs(frames[:10] - expected).mean() < 4
    assert np.abs(frames[10:20] - expected).mean() > 20  # of another video


def test_they_are_resized():
    assert calibration_frames((32, 48)).shape == (60, 32, 48, 3)
