"""The encoder on a GPU does what it does on a CPU; where there is no GPU, the same checks run on the CPU alone."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_clip, tiny_config

from dsanet_cli.encoder.choices import TEN_CROPS
from dsanet_cli.encoder.device import PRECISIONS, choose_device, choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.models.directory import load_model
from dsanet_cli.video.reader import open_video

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
LEAST_COSINE = {"fp32": 0.9999, "bf16": 0.998, "fp16": 0.9995}
"""To the features in float32 on the CPU. In float32, too, GPUs may round the products of a convolution to TF32."""


@pytest.fixture(scope="module")
def scenes():
    return load_model("scenes")


@pytest.fixture(scope="module")
def frames(scenes):
    """Real pictures, (24, H, W, 3) uint8."""
    reader = open_video(SAMPLES / "Fighting001.mp4", scenes.config.preprocessing.resize, 1)
    return np.concatenate([snippet.frames for snippet in reader.snippets()])[:24]


def encoder_on(device, scenes, dtype=torch.float32):
    return scenes.frame_encoder(torch.device(device), dtype)


def cosines(one, other):
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


@pytest.mark.parametrize("precision", LEAST_COSINE)
@pytest.mark.parametrize("device", DEVICES)
def test_features_are_those_of_the_cpu(device, precision, scenes, frames):
    expected = encoder_on("cpu", scenes).encode(frames)
    features = encoder_on(device, scenes, PRECISIONS[precision]).encode(frames)
    assert features.dtype == np.float32
    assert cosines(features, expected).min() > LEAST_COSINE[precision]


@pytest.mark.parametrize("crop", TEN_CROPS)
@pytest.mark.parametrize("device", DEVICES)
def test_crops_are_those_of_the_cpu(device, crop):
    preprocessing = tiny_config().preprocessing
    larger = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    expected = FrameEncoder(tiny_clip().visual, preprocessing, torch.device("cpu"), torch.float32).encode(larger, crop)
    encoder = FrameEncoder(tiny_clip().visual, preprocessing, torch.device(device), torch.float32)
    assert cosines(encoder.encode(larger, crop), expected).min() > LEAST_COSINE["fp32"]


@pytest.mark.parametrize("device", DEVICES)
def test_batches_side_by_side_are_those_one_after_the_other(device, scenes, frames):
    encoder = encoder_on(device, scenes)
    batches = [np.roll(frames, shift, axis=0) for shift in range(12)]
    expected = [encoder.encode(batch) for batch in batches]
    for future, features in zip([encoder.submit(batch) for batch in batches], expected, strict=True):
        np.testing.assert_allclose(future.result(), features, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
def test_each_lane_has_a_stream_of_its_own():
    device = torch.device("cuda")
    together = threading.Barrier(2, timeout=60)
    streams = []

    class Spy(torch.nn.Module):
        def forward(self, images):
            together.wait()  # both lanes are at work
            streams.append(torch.cuda.current_stream(device).cuda_stream)
            return images.flatten(1)

    encoder = FrameEncoder(Spy(), tiny_config().preprocessing, device, torch.float32)
    assert encoder.lanes == 2
    for future in [encoder.submit(np.zeros((1, 32, 48, 3), np.uint8)) for _ in range(2)]:
        future.result()
    assert len(set(streams)) == 2
    assert torch.cuda.default_stream(device).cuda_stream not in streams
    assert torch.cuda.current_stream(device) == torch.cuda.default_stream(device)


@pytest.mark.gpu
def test_auto_takes_the_gpu_and_bfloat16_where_it_multiplies_in_it():
    device = choose_device("auto")
    assert device.type == "cuda"
    capable = torch.cuda.get_device_capability(device) >= (8, 0)
    assert choose_precision("auto", device) == (torch.bfloat16 if capable else torch.float32)
