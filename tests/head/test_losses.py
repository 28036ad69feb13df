import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dsanet_cli.head.losses import (
    Losses,
    alignment_loss,
    background_loss,
    classification_loss,
    consistency_loss,
    event_loss,
    text_separation_loss,
    top_mean,
)

LENGTHS = torch.tensor([40, 33, 31, 16, 15, 1])
LABELS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 1]])


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def top_mean_of_one(values: Tensor, length: int) -> Tensor:
    k = int(length / 16 + 1)
    return values[:length].sort(dim=0, descending=True).values[:k].mean(dim=0)


@pytest.mark.parametrize("window", [40, 48, 250])
@pytest.mark.parametrize("tail", [(), (3,)])
def test_top_mean_video_by_video(window: int, tail: tuple[int, ...]) -> None:
    values = torch.randn(6, window, *tail)
    expected = [top_mean_of_one(v, n) for v, n in zip(values, LENGTHS.tolist(), strict=True)]
    torch.testing.assert_close(top_mean(values, LENGTHS), torch.stack(expected))


def test_top_mean_of_a_window_of_one() -> None:
    values = torch.randn(2, 1)
    torch.testing.assert_close(top_mean(values, torch.tensor([1, 1])), values[:, 0])


def test_top_mean_passes_gradients_to_the_chosen_alone() -> None:
    values = torch.randn(6, 40, requires_grad=True)
    top_mean(values, LENGTHS).sum().backward()
    assert (values.grad != 0).sum(dim=1).tolist() == [3, 3, 2, 2, 1, 1]
    torch.testing.assert_close(values.grad.sum(dim=1), torch.ones(6))


def test_classification_asks_whether_a_video_is_abnormal() -> None:
    scores = torch.rand(6, 40)
    p = torch.stack([top_mean_of_one(s, n) for s, n in zip(scores, LENGTHS.tolist(), strict=True)])
    target = torch.tensor([0.0, 1, 1, 1, 0, 1])
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    torch.testing.assert_close(classification_loss(scores, LABELS, LENGTHS), expected)


def test_alignment_shares_the_target_among_labels() -> None:
    logits = torch.randn(6, 40, 3)
    top = torch.stack([top_mean_of_one(v, n) for v, n in zip(logits, LENGTHS.tolist(), strict=True)])
    target = LABELS / LABELS.sum(dim=1, keepdim=True)
    expected = -(target * top.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(alignment_loss(logits, LABELS, LENGTHS), expected)


def test_event_and_background_targets_are_smoothed() -> None:
    logits = torch.randn(6, 3)
    shares = LABELS / LABELS.sum(dim=1, keepdim=True)
    background = torch.tensor([1.0, 0.01, 0.01]) / 1.02
    for loss, target in (
        (event_loss(logits, LABELS), shares),
        (background_loss(logits), background.expand(6, 3)),
    ):
        smooth = 0.9 * target + 0.1 / 3
        torch.testing.assert_close(loss, -(smooth * logits.log_softmax(dim=1)).sum(dim=1).mean())


def test_text_separation() -> None:
    features = torch.randn(4, 8)
    cosines = [abs(F.cosine_similarity(features[0], features[j], dim=0).item()) for j in (1, 2, 3)]
    assert text_separation_loss(features).item() == pytest.approx(sum(cosines) / 3, rel=1e-5)


def test_consistency_looks_at_valid_snippets_alone() -> None:
    scores, visual, rebuilt = torch.rand(6, 40), torch.randn(6, 40, 5), torch.randn(6, 40, 5)
    differences = [
        scores[b, t] - (1 - F.cosine_similarity(visual[b, t], rebuilt[b, t], dim=0)) / 2
        for b, length in enumerate(LENGTHS.tolist())
        for t in range(length)
    ]
    expected = torch.stack(differences).square().mean()
    torch.testing.assert_close(consistency_loss(scores, visual, rebuilt, LENGTHS), expected)


def test_total_weighs_alignment() -> None:
    losses = Losses(*(torch.tensor(float(10**i)) for i in range(7)), alignment_weight=5.0)
    assert losses.total.item() == 1111151.0
