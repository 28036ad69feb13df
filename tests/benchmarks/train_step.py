"""One training step, vectorised, against the same step with loops over the samples.

    python tests/benchmarks/train_step.py [--rounds N] [--batch-size B] [--classes C]

The two differ in how similarity adjacency and losses are written: for the whole batch, or video by video and
class by class, as research code often has it. Both run interleaved in one process on the full-size head of the
UCF-Crime preset with made-up features. Prints whether losses and gradients agree, seconds a step, and the ratio;
then steps a second in float32 and in bfloat16.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from dsanet_cli.head import losses as vectorised
from dsanet_cli.head import temporal
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.train.optim import StableAdamW


def looped_similarity(x: Tensor, lengths: Tensor) -> Tensor:
    adjacency = torch.zeros(len(x), x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
    for i in range(len(x)):
        n = int(lengths[i])
        video = F.normalize(x[i, :n], dim=-1)
        adjacency[i, :n, :n] = F.threshold(video @ video.T, 0.7, 0.0).softmax(dim=-1)
    return adjacency


def looped_classification(scores: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    instances = torch.zeros(0, device=scores.device)
    for i in range(len(scores)):
        n = int(lengths[i])
        highest, _ = scores[i, :n].topk(n // 16 + 1)
        instances = torch.cat([instances, highest.mean().view(1)])
    return F.binary_cross_entropy(instances, 1 - labels[:, 0])


def looped_alignment(logits2: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    instances = torch.zeros(0, labels.shape[1], device=logits2.device)
    for i in range(len(logits2)):
        n = int(lengths[i])
        row = torch.stack([logits2[i, :n, c].topk(n // 16 + 1)[0].mean() for c in range(labels.shape[1])])
        instances = torch.cat([instances, row[None]])
    return -((labels / labels.sum(dim=1, keepdim=True)) * instances.log_softmax(dim=1)).sum(dim=1).mean()


def looped_separation(text_features: Tensor) -> Tensor:
    total = torch.zeros((), device=text_features.device)
    normal = text_features[0] / text_features[0].norm()
    for j in range(1, len(text_features)):
        total = total + (normal @ (text_features[j] / text_features[j].norm())).abs()
    return total / (len(text_features) - 1)


def looped_consistency(scores: Tensor, visual: Tensor, reconstruction: Tensor, lengths: Tensor) -> Tensor:
    total, count = torch.zeros((), device=scores.device), 0
    for i in range(len(scores)):
        n = int(lengths[i])
        error = (1 - F.cosine_similarity(visual[i, :n], reconstruction[i, :n], dim=-1)) / 2
        total = total + (scores[i, :n] - error).square().sum()
        count += n
    return total / count


LOOPED = {
    (temporal, "similarity_adjacency"): looped_similarity,
    (vectorised, "classification_loss"): looped_classification,
    (vectorised, "alignment_loss"): looped_alignment,
    (vectorised, "text_separation_loss"): looped_separation,
    (vectorised, "consistency_loss"): looped_consistency,
}


@contextmanager
def looped() -> Iterator[None]:
    """Put the loops in place of the vectorised functions."""
    with ExitStack() as stack:
        for (module, name), function in LOOPED.items():
            stack.enter_context(mock.patch.object(module, name, function))
        yield


class Step:
    """The model, one made-up batch and both optimisers."""

    def __init__(self, batch_size: int, classes: int) -> None:
        torch.manual_seed(0)
        self.model = DSANet(UCF_CRIME.head)
        head = UCF_CRIME.head
        self.lengths = torch.randint(20, head.window + 1, (batch_size,))
        self.features = 0.3 * torch.randn(batch_size, head.window, head.width)
        self.features[torch.arange(head.window) >= self.lengths[:, None]] = 0
        self.labels = torch.zeros(batch_size, classes)
        self.labels[: batch_size // 2, 0] = 1
        self.labels[
            torch.arange(batch_size // 2, batch_size), torch.randint(1, classes, (batch_size - batch_size // 2,))
        ] = 1
        self.text_features = F.normalize(torch.randn(classes, head.width), dim=-1).requires_grad_()
        normality = list(self.model.normality.parameters())
        rest = [p for name, p in self.model.named_parameters() if name.startswith("head.")]
        self.optimisers = [torch.optim.AdamW(rest, lr=0.0), StableAdamW(normality, lr=0.0)]

    def run(self, dtype: torch.dtype = torch.float32) -> float:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            output = self.model(self.features, self.lengths, self.text_features)
        losses = vectorised.all_losses(output.float(), self.labels, self.lengths, UCF_CRIME.alignment_weight)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        for optimiser in self.optimisers:
            optimiser.step()
        return losses.total.item()

    def run_looped(self) -> float:
        with looped():
            return self.run()

    def gradient(self) -> Tensor:
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=UCF_CRIME.batch_size)
    parser.add_argument("--classes", type=int, default=len(UCF_CRIME.classes))
    arguments = parser.parse_args()
    step = Step(arguments.batch_size, arguments.classes)
    loss, gradient = step.run(), step.gradient()
    looped_loss, looped_gradient = step.run_looped(), step.gradient()
    difference = float((gradient - looped_gradient).norm() / gradient.norm())
    print(f"loss {loss:.6f} and {looped_loss:.6f}, gradients differ by {difference:.1e} of their norm")
    rounds = [
        (seconds(step.run), seconds(step.run_looped), seconds(lambda: step.run(torch.bfloat16)))
        for _ in range(arguments.rounds)
    ]
    whole, by_loops, half = (min(column) for column in zip(*rounds, strict=True))
    ratio = by_loops / whole
    print(f"batch of {arguments.batch_size}: vectorised {whole:.2f} s, looped {by_loops:.2f} s, ratio {ratio:.2f}")
    print(f"float32 {1 / whole:.4f} steps/s, bfloat16 {1 / half:.4f} steps/s")
    print(f"adjacency and losses alone: {forward_ratio(step, arguments.rounds)}")


def forward_ratio(step: Step, rounds: int) -> str:
    """How much longer the parts that differ take looped: similarity adjacency and losses, with their gradients."""
    with torch.no_grad():
        output = step.model(step.features, step.lengths, step.text_features)
    names = [f.name for f in dataclasses.fields(output)]
    leaves = {name: getattr(output, name).detach().requires_grad_() for name in names}
    x = step.features.clone().requires_grad_()

    def differing() -> None:
        losses = vectorised.all_losses(type(output)(**leaves), step.labels, step.lengths, UCF_CRIME.alignment_weight)
        (losses.total + temporal.similarity_adjacency(x, step.lengths).square().sum()).backward()

    timings = []
    for _ in range(rounds):
        plain = seconds(differing)
        with looped():
            timings.append((plain, seconds(differing)))
    plain, by_loops = (min(column) for column in zip(*timings, strict=True))
    return f"vectorised {plain:.3f} s, looped {by_loops:.3f} s, ratio {by_loops / plain:.1f}"


if __name__ == "__main__":
    main()
