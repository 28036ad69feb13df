"""Batches keep a GPU busy: frames from memory to features, against the encoder alone.

The one test that measures a speed. Run it without other work: ``pytest -n 0 -m gpu -s tests/pipeline``.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from tiny import ENCODER as TINY

from dsanet_cli.config import EncoderConfig, Preprocessing
from dsanet_cli.encoder.architecture import PUBLISHED_PREPROCESSING
from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.pipeline.batcher import FrameBatcher
from dsanet_cli.video.reader import Snippet

LEAST_SHARE = 0.5
"""Of the encoder's own speed that is left with copying, cropping and normalising."""
PUBLISHED = EncoderConfig(architecture="ViT-B-16-quickgelu", width=512)


def new_encoder(device):
    """Of the published size on a GPU, of the tests' size on a CPU; with random weights."""
    if device.type == "cuda":
        return FrameEncoder(build_clip(PUBLISHED).visual, PUBLISHED_PREPROCESSING, device, torch.bfloat16), 256
    preprocessing = Preprocessing((40, 60), (32, 48), (0.5,) * 3, (0.2,) * 3)
    return FrameEncoder(build_clip(TINY).visual, preprocessing, device, torch.float32), 8


def seconds_of(work, device):
    """The fewest of three, after a round that is not counted."""
    taken = []
    for _ in range(4):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])


@pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_frames_are_encoded_about_as_fast_as_the_encoder_can(name):
    device = torch.device(name)
    encoder, batch = new_encoder(device)
    height, width = encoder.preprocessing.resize
    pictures = np.random.default_rng(0).integers(0, 256, (16, height, width, 3), dtype=np.uint8)
    batches = 32 if name == "cuda" else 2
    snippets = [Snippet(at, at, at + 1, 16, pictures) for at in range(batches * batch // len(pictures))]
    ready = encoder.normalise(torch.zeros(batch, 3, *encoder.preprocessing.crop, dtype=torch.uint8, device=device))

    def alone():
        for _ in range(batches):
            encoder.embed(ready)

    def with_batches():
        batcher, encoded = FrameBatcher[None](encoder, batch), 0
        for snippet in snippets:
            batcher.add(None, snippet)
            encoded += sum(ready.features.shape[1] for _, ready in batcher.encoded())
        encoded += sum(ready.features.shape[1] for _, ready in batcher.rest())
        assert encoded == batches * batch

    rates = [batches * batch / seconds_of(work, device) for work in (alone, with_batches)]
    print(f"\n{name}: {rates[0]:.0f} frames/s by the encoder alone, {rates[1]:.0f} from frames in memory")
    if name == "cuda":
        assert rates[1] > LEAST_SHARE * rates[0]
