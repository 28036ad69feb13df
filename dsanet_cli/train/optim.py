"""Optimiser and learning rates of the normality model (released code, after INP-Former and Dinomaly).

Everything but SG-NM is trained with torch's own ``AdamW`` and a cosine per epoch.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Of torch."""
WARMUP_ITERATIONS = 100
FINAL_SHARE = 0.1
"""Share of the highest learning rate at the end of ``warm_cosine``."""


def load_compiler() -> None:
    """Load torch's compiler, which its first optimiser does, without the folder that it makes for its cache at once.

    Nothing here is compiled, so the folder would stay empty among the temporary ones.
    """
    if "torch._dynamo" in sys.modules or CACHE_VARIABLE in os.environ:
        return
    with tempfile.TemporaryDirectory(prefix="dsanet-") as folder:
        os.environ[CACHE_VARIABLE] = folder
        try:
            importlib.import_module("torch._dynamo")
        finally:
            del os.environ[CACHE_VARIABLE]


class StableAdamW(Optimizer):
    """AdamW with AMSGrad whose step shrinks where a gradient is out of proportion (arXiv 2304.13013).

    Per tensor: p ← (1 − lr · weight decay) p, then p ← p − lr · m̂ / d / max(1, RMS(g / d))
    with d = √(max v) / √(1 − β₂ᵗ) + eps. No step waits for the device.

    Args:
        params: tensors or groups of them, as for any torch optimiser.
        lr: learning rate.
        betas: decay of the running averages m of g and v of g².
        eps: keeps the denominator above 0.
        weight_decay: applied first, in proportion to the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-10,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step along the gradients at hand; ``closure``, where given, computes them and the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
                state[name] = torch.zeros_like(parameter)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        average, square, largest = state["exp_avg"], state["exp_avg_sq"], state["max_exp_avg_sq"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        average.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        torch.maximum(largest, square, out=largest)
        denominator = (largest.sqrt() / math.sqrt(1 - beta2 ** state["step"])).add_(group["eps"])
        excess = (gradient / denominator).square().mean().sqrt().clamp(min=1.0)
        step_size = group["lr"] / (1 - beta1 ** state["step"])
        parameter.addcdiv_(average / excess, denominator, value=-step_size)


def warm_cosine(optimizer: Optimizer, iterations: int, warmup: int = WARMUP_ITERATIONS) -> LambdaLR:
    """Learning rate of SG-NM: linear from 0, then a cosine down to a tenth; step it every iteration.

    Args:
        optimizer: its learning rates are the highest ones.
        iterations: where the cosine ends; a training may stop before.
        warmup: iterations until the rate is highest.
    """
    return LambdaLR(optimizer, lambda iteration: warm_cosine_share(iteration, iterations, warmup))


def warm_cosine_share(iteration: int, iterations: int, warmup: int = WARMUP_ITERATIONS) -> float:
    """Share of the highest learning rate (0..1) at ``iteration``, counted from 0.

    Fewer ``iterations`` than twice the warm-up's: it takes half of them.
    """
    warmup = min(warmup, iterations // 2)
    if iteration < warmup:
        return iteration / max(1, warmup - 1)
    progress = min(1.0, (iteration - warmup) / max(1, iterations - warmup))
    return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * progress)) / 2


def epoch_cosine(optimizer: Optimizer, epochs: int) -> LambdaLR:
    """Learning rate of everything but SG-NM: a cosine from full to 0 over the epochs; step it every epoch.

    Unlike torch's ``CosineAnnealingLR`` it knows each rate from the epoch alone, so that ``reset_rate`` works.
    """
    return LambdaLR(optimizer, lambda epoch: (1 + math.cos(math.pi * epoch / epochs)) / 2)


def reset_rate(schedule: LambdaLR) -> None:
    """Give the optimiser the rate that its schedule has now, where it comes from a schedule of another length."""
    for group, base, share in zip(schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = base * share(schedule.last_epoch)
