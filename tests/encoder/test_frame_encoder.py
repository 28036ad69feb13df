from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_clip, tiny_config

from dsanet_cli.config import Preprocessing
from dsanet_cli.encoder.device import choose_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder, crop_images
from dsanet_cli.errors import UsageError

CPU = torch.device("cpu")


def test_encode_is_crop_scale_normalise_and_tower():
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    encoder = FrameEncoder(tiny_clip().visual, Preprocessing((40, 60), (32, 48), mean, std), CPU, torch.float32)
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), dtype=np.uint8)
    cropped = frames[:, 4:36, 6:54].astype(np.float32) / 255
    images = ((cropped - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.inference_mode():
        expected = tiny_clip().visual(torch.from_numpy(images)).numpy()
    features = encoder.encode(frames)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


def test_bfloat16_stays_close_to_float32():
    preprocessing = tiny_config().preprocessing
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)
    full = FrameEncoder(tiny_clip().visual, preprocessing, CPU, torch.float32).encode(frames)
    half = FrameEncoder(tiny_clip().visual, preprocessing, CPU, torch.bfloat16).encode(frames)
    cosine = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine.min() > 0.999
    assert not np.array_equal(full, half)


@pytest.mark.parametrize(("crop", "top", "left"), [(0, 16, 58), (1, 0, 0), (2, 0, 116), (3, 32, 0), (4, 32, 116)])
def test_the_ten_crops_of_the_protocol(crop, top, left):
    images = torch.arange(256 * 340).reshape(1, 1, 256, 340)
    cut = images[:, :, top : top + 224, left : left + 224]
    assert torch.equal(crop_images(images, (224, 224), crop), cut)
    assert torch.equal(crop_images(images, (224, 224), crop + 5), cut.flip(3))


def test_precision_names():
    assert precision_name(choose_precision("fp32", CPU)) == "fp32"
    assert precision_name(choose_precision("bf16", CPU)) == "bf16"


@pytest.mark.parametrize(("capable", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_precision_follows_the_hardware(monkeypatch, capable, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable}, raising=False)
    assert choose_precision("auto", CPU) == expected


def test_a_torch_that_does_not_know_the_hardware_encodes_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", CPU) == torch.float32


@pytest.mark.parametrize("name", ["fp8", "fp16"])
def test_a_precision_the_cpu_has_not(name):
    with pytest.raises(UsageError, match=f"--precision {name}"):
        choose_precision(name, CPU)


@pytest.mark.parametrize("name", ["tpu9", "cuda:99", "meta"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(UsageError, match=f"--device {name}"):
        choose_device(name)


def test_auto_device_is_one_that_works():
    torch.zeros(1, device=choose_device("auto"))


def test_a_batch_that_does_not_fit_says_so():
    class Huge(torch.nn.Module):
        def forward(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory")

    encoder = FrameEncoder(Huge(), tiny_config().preprocessing, CPU, torch.float32)
    with pytest.raises(
        UsageError, match="5 frames at once do not fit the memory of cpu; choose a smaller --batch-size"
    ):
        encoder.submit(np.zeros((5, 32, 48, 3), np.uint8)).result()


def test_each_lane_of_a_cpu_computes_with_one_thread():
    threads = []

    class Spy(torch.nn.Module):
        def forward(self, images):
            threads.append(torch.get_num_threads())
            return images.flatten(1)

    before = torch.get_num_threads()
    encoder = FrameEncoder(Spy(), tiny_config().preprocessing, CPU, torch.float32)
    for future in [encoder.submit(np.zeros((1, 32, 48, 3), np.uint8)) for _ in range(4)]:
        future.result()
    assert threads == [1] * 4
    assert torch.get_num_threads() == encoder.lanes == before
