from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_clip, tiny_config

from dsanet_cli.config import Preprocessing
from dsanet_cli.encoder.device import choose_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.images import crop_images
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


class Limited(torch.nn.Module):
    """Has memory for ``most`` images at once; says how many it was given."""

    def __init__(self, most, error=torch.OutOfMemoryError("CUDA out of memory")):  # noqa: B008
        super().__init__()
        self.most, self.error, self.sizes = most, error, []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise self.error
        return images.flatten(1).mean(1, keepdim=True)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_batch_that_does_not_fit_is_encoded_in_halves_and_so_are_the_next(error):
    frames = np.random.default_rng(0).integers(0, 256, (11, 32, 48, 3), dtype=np.uint8)
    expected = FrameEncoder(Limited(100), tiny_config().preprocessing, CPU, torch.float32).encode(frames)
    tower = Limited(3, error)
    encoder = FrameEncoder(tower, tiny_config().preprocessing, CPU, torch.float32)
    assert encoder.at_once(11) == 11
    np.testing.assert_array_equal(encoder.submit(frames).result(), expected)
    assert encoder.at_once(11) == 2
    assert list(encoder.notices) == [
        "11 frames at once do not fit the memory of cpu; going on with 5",
        "5 frames at once do not fit the memory of cpu; going on with 2",
    ]
    tower.sizes.clear()
    np.testing.assert_array_equal(encoder.submit(frames).result(), expected)
    assert tower.sizes == [2, 2, 2, 2, 2, 1]


def test_a_frame_that_fits_nowhere_says_so():
    encoder = FrameEncoder(Limited(0), tiny_config().preprocessing, CPU, torch.float32)
    with pytest.raises(UsageError, match="cpu: not even one frame fits its memory; free some"):
        encoder.submit(np.zeros((5, 32, 48, 3), np.uint8)).result()


class Broken(torch.nn.Module):
    """Fails on every device but the CPU, which stands for it here."""

    def __init__(self, good=0):
        super().__init__()
        self.left = good

    def forward(self, images):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be")
        return images.flatten(1).mean(1, keepdim=True)


def test_the_cpu_takes_over_from_a_device_that_fails():
    frames = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)
    encoder = FrameEncoder(Broken(good=1), tiny_config().preprocessing, CPU, torch.float32)
    encoder._spare = Broken(good=100)
    expected = encoder.submit(frames).result()
    futures = [encoder.submit(frames) for _ in range(4)]
    for future in futures:
        np.testing.assert_array_equal(future.result(), expected)
    assert list(encoder.notices) == [
        "cpu failed (CUDA error: an illegal memory access was encountered); encoding goes on on the CPU, "
        "which is slower"
    ]
    np.testing.assert_array_equal(encoder.submit(frames).result(), expected)


def test_a_failure_of_the_cpu_too_is_an_error():
    encoder = FrameEncoder(Broken(), tiny_config().preprocessing, CPU, torch.float32)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        encoder.encode(np.zeros((2, 32, 48, 3), np.uint8))


def test_a_mistake_of_the_program_is_no_failure_of_the_device():
    class Mistaken(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError("shapes cannot be multiplied")

    encoder = FrameEncoder(Mistaken(), tiny_config().preprocessing, CPU, torch.float32)
    with pytest.raises(RuntimeError, match="multiplied"):
        encoder.encode(np.zeros((2, 32, 48, 3), np.uint8))
    assert not encoder.notices


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
