"""One training step, in float32 and in bfloat16, against the straightforward one in float32.

    python tests/benchmarks/train_step.py [--rounds N] [--batch-size B] [--classes C]

The straightforward step computes padding like snippets, and similarity adjacency and losses video by video and class
by class, as research code often has it. All run interleaved in one process on the full-size head of the UCF-Crime
preset with made-up features, lengths evenly spread from 20 snippets to the whole window. Prints whether losses and
gradients agree, seconds of wall clock and of processor a step, and the ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from dsanet_cli.head import losses as vectorised
from dsanet_cli.head import temporal
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.head.normality import NormalityModel
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


def padded_attention(encoder: temporal.TemporalEncoder, x: Tensor, _: Tensor) -> Tensor:
    for block in encoder.blocks:
        x = block(x)
    return x


REBUILD = NormalityModel.forward


def padded_normality(model: NormalityModel, visual: Tensor, scores: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
    return REBUILD(model, visual, scores)


STRAIGHTFORWARD = {
    (temporal.TemporalEncoder, "_locally_attended"): padded_attention,
    (NormalityModel, "forward"): padded_normality,
    (temporal, "similarity_adjacency"): looped_similarity,
    (vectorised, "classification_loss"): looped_classification,
    (vectorised, "alignment_loss"): looped_alignment,
    (vectorised, "text_separation_loss"): looped_separation,
    (vectorised, "consistency_loss"): looped_consistency,
}


@contextmanager
def straightforward() -> Iterator[None]:
    """Put loops and work on padding in place of what the package does."""
    with ExitStack() as stack:
        for (owner, name), function in STRAIGHTFORWARD.items():
            stack.enter_context(mock.patch.object(owner, name, function))
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

    def run_straightforward(self) -> float:
        with straightforward():
            return self.run()

    def gradient(self) -> Tensor:
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])


@dataclass(frozen=True)
class Took:
    """Seconds that a step took."""

    wall: float
    processor: float
    """Of all threads together: what is left of a comparison where others use the machine."""


def took(function: Callable[[], object]) -> Took:
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return Took(time.perf_counter() - wall, time.process_time() - processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=UCF_CRIME.batch_size)
    parser.add_argument("--classes", type=int, default=len(UCF_CRIME.classes))
    arguments = parser.parse_args()
    step = Step(arguments.batch_size, arguments.classes)
    print_agreement(step)
    kinds = {
        "straightforward, float32": step.run_straightforward,
        "float32": step.run,
        "bfloat16": lambda: step.run(torch.bfloat16),
    }
    rounds = [[took(run) for run in kinds.values()] for _ in range(arguments.rounds)]
    fastest = [
        Took(min(t.wall for t in column), min(t.processor for t in column)) for column in zip(*rounds, strict=True)
    ]
    plain = fastest[0]
    print(f"batch of {arguments.batch_size}, {torch.get_num_threads()} threads, the fastest of {arguments.rounds}")
    for name, step_took in zip(kinds, fastest, strict=True):
        print(
            f"{name}: {step_took.wall:.2f} s, processor {step_took.processor:.2f} s; ratio "
            f"{plain.wall / step_took.wall:.2f}, of processor time {plain.processor / step_took.processor:.2f}"
        )


def print_agreement(step: Step) -> None:
    """How far losses and gradients are from those of the straightforward step; the first steps also warm up."""
    loss = step.run_straightforward()
    gradient = step.gradient()
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        other = step.run(dtype)
        difference = float((step.gradient() - gradient).norm() / gradient.norm())
        print(f"{name}: loss {other:.6f} for {loss:.6f}, gradients differ by {difference:.1e} of their norm")


if __name__ == "__main__":
    main()
