import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from dsanet_cli.train.optim import StableAdamW, epoch_cosine, warm_cosine, warm_cosine_share

LEARNING_RATE = 0.02


def by_the_rule(start: np.ndarray, gradients: list[np.ndarray], lr: float) -> np.ndarray:
    """Plain float64 transcription: AdamW with AMSGrad, decay first, step over max(1, RMS(g / d))."""
    p = start.astype(np.float64)
    m, v, v_max = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(gradients, start=1):
        p = p * (1 - lr * 1e-4)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        v_max = np.maximum(v_max, v)
        d = np.sqrt(v_max) / math.sqrt(1 - 0.999**t) + 1e-10
        rms = math.sqrt(np.mean((g / d) ** 2))
        p = p - lr / (1 - 0.9**t) / max(1.0, rms) * m / d
    return p


def run(optimiser: StableAdamW, parameter: nn.Parameter, gradients: list[np.ndarray]) -> None:
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient)
        optimiser.step()


@pytest.fixture
def gradients() -> list[np.ndarray]:
    """Calm, then a jump that is held back, then smaller ones for which AMSGrad remembers it."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal((3, 5)) * scale for scale in (0.1, 0.1, 0.1, 50.0, 0.2, 0.1, 1e-3, 0.0)]


def test_stable_adamw_follows_its_rule(gradients: list[np.ndarray]) -> None:
    start = np.random.default_rng(1).standard_normal((3, 5))
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    run(StableAdamW([parameter], lr=LEARNING_RATE), parameter, gradients)
    np.testing.assert_allclose(parameter.detach().numpy(), by_the_rule(start, gradients, LEARNING_RATE), rtol=1e-12)


def test_a_gradient_out_of_proportion_moves_less(gradients: list[np.ndarray]) -> None:
    parameter = nn.Parameter(torch.zeros(3, 5, dtype=torch.float64))
    optimiser = StableAdamW([parameter], lr=LEARNING_RATE)
    run(optimiser, parameter, gradients[:3])
    before = parameter.detach().clone()
    run(optimiser, parameter, gradients[3:4])
    plain = nn.Parameter(torch.zeros(3, 5, dtype=torch.float64))
    adamw = torch.optim.AdamW([plain], lr=LEARNING_RATE, eps=1e-10, weight_decay=1e-4, amsgrad=True)
    for gradient in gradients[:3]:
        plain.grad = torch.from_numpy(gradient)
        adamw.step()
    plain_before = plain.detach().clone()
    plain.grad = torch.from_numpy(gradients[3])
    adamw.step()
    torch.testing.assert_close(before, plain_before, rtol=0.2, atol=1e-3)
    assert (parameter - before).norm() < 0.7 * (plain - plain_before).norm()


def test_state_survives_saving(gradients: list[np.ndarray]) -> None:
    whole, resumed = (nn.Parameter(torch.ones(3, 5, dtype=torch.float64)) for _ in range(2))
    first = StableAdamW([whole], lr=LEARNING_RATE)
    run(first, whole, gradients[:4])
    resumed.data.copy_(whole.data)
    second = StableAdamW([resumed], lr=1.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(first, whole, gradients[4:])
    run(second, resumed, gradients[4:])
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_parameters_without_gradient_stay() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = StableAdamW([used, unused], lr=LEARNING_RATE)

    def closure() -> float:
        loss = (used**2).sum()
        loss.backward()
        return float(loss.detach())

    assert optimiser.step(closure) == 2.0
    assert (used != 1).all()
    assert (unused == 1).all()


def test_warm_cosine_over_a_training() -> None:
    optimiser = StableAdamW([nn.Parameter(torch.ones(1))], lr=LEARNING_RATE)
    schedule = warm_cosine(optimiser, iterations=1100)
    rates = []
    for _ in range(1101):
        rates.append(optimiser.param_groups[0]["lr"] / LEARNING_RATE)
        optimiser.step()
        schedule.step()
    np.testing.assert_allclose(rates[:100], np.linspace(0, 1, 100), atol=1e-12)
    expected = 0.1 + 0.45 * (1 + np.cos(np.pi * np.arange(1000) / 1000))
    np.testing.assert_allclose(rates[100:1100], expected, atol=1e-12)
    assert rates[1100] == pytest.approx(0.1)


def test_short_training_warms_up_for_half_of_it() -> None:
    shares = [warm_cosine_share(i, 41) for i in range(42)]
    np.testing.assert_allclose(shares[:20], np.linspace(0, 1, 20))
    assert shares[20] == 1
    assert all(np.diff(shares[20:]) < 0)
    assert shares[41] == pytest.approx(0.1)
    assert warm_cosine_share(0, 1) == 1


def test_epoch_cosine_falls_to_zero() -> None:
    optimiser = torch.optim.AdamW([nn.Parameter(torch.ones(1))], lr=LEARNING_RATE)
    schedule = epoch_cosine(optimiser, epochs=10)
    rates = []
    for _ in range(11):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    expected = LEARNING_RATE * (1 + np.cos(np.pi * np.arange(11) / 10)) / 2
    np.testing.assert_allclose(rates, expected, atol=1e-12)
