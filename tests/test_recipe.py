"""Training looks at sparsely rendered, degraded frames; detection at videos. Both must mean the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dsanet_cli.models.directory import load_model
from dsanet_cli.video.reader import open_video

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "samples"), str(ROOT / "weights")]

try:
    import frames
    import make as samples_make
    from scenes.renderer import gl_context

    gl_context()
except Exception as error:
    pytest.skip(f"no OpenGL: {error}", allow_module_level=True)


@pytest.fixture(scope="module")
def encoder():
    return load_model("scenes").frame_encoder(torch.device("cpu"), torch.float32)


def normalised(features):
    features = features - features.mean(axis=0)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_features_of_both_ways_agree(encoder, tmp_path):
    size = encoder.preprocessing.resize
    jobs = [samples_make.Job(f"clip{seed}", seed, kind, 1, 8) for seed, kind in ((501, "explosion"), (502, "fighting"))]
    sparse, decoded = [], []
    for job in jobs:
        scene = job.scene()
        sparse += [encoder.encode(pictures).mean(axis=0) for pictures in frames.sample_scene(scene, job.seed, 2, size)]
        scene.close()
        samples_make.render(job, tmp_path, samples_make.CRF)
        snippets = list(open_video(tmp_path / f"{job.name}.mp4", size, 2).snippets())
        decoded += [encoder.encode(snippet.frames).mean(axis=0) for snippet in snippets][: scene.frames // 16]
    cosines = (normalised(np.stack(sparse)) * normalised(np.stack(decoded))).sum(axis=1)
    assert np.median(cosines) > 0.9
    assert cosines.min() > 0.5
