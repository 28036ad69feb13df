import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dsanet_cli.config import HeadConfig
from dsanet_cli.head.normality import NormalityModel, PrototypeAttention, ValidRows, gather_loss, select_normal

SMALL = HeadConfig(
    width=16,
    text_width=16,
    window=10,
    temporal_layers=1,
    attention_window=4,
    adapted_layers=1,
    adapter_weight=0.1,
    prototypes=3,
    normality_heads=2,
    normality_layers=2,
)


def test_lowest_scores_are_normal_and_constant() -> None:
    visual = torch.randn(2, 10, 4, requires_grad=True)
    scores = torch.rand(2, 10, requires_grad=True)
    normal = select_normal(visual, scores, 0.79)  # floor(7.9) snippets
    assert normal.shape == (2, 7, 4)
    assert not normal.requires_grad
    for video in range(2):
        expected = visual[video, scores[video].argsort()[:7]]
        assert {tuple(row) for row in normal[video].tolist()} == {tuple(row) for row in expected.tolist()}


def test_gather_loss_takes_the_nearest_prototype() -> None:
    normal, prototypes = torch.randn(2, 5, 4), torch.randn(2, 3, 4)
    distance = 1 - F.cosine_similarity(normal[:, :, None], prototypes[:, None], dim=-1)
    torch.testing.assert_close(gather_loss(normal, prototypes), distance.min(dim=-1).values.mean())


def test_prototype_attention_by_head() -> None:
    torch.manual_seed(0)
    attention = PrototypeAttention(8, heads=2)
    nn.init.uniform_(attention.learn_scale, 0.5, 2.0)
    x, prototypes = torch.randn(1, 5, 8), torch.randn(1, 3, 8)
    q, kv = attention.q(x)[0], attention.kv(prototypes)[0]
    heads = []
    for h in range(2):
        part = slice(4 * h, 4 * h + 4)
        query, key, value = q[:, part], kv[:, :8][:, part], kv[:, 8:][:, part]
        cosine = F.cosine_similarity(query[:, None], key[None], dim=-1)
        heads.append(F.relu(cosine * attention.learn_scale[h]) @ value)
    torch.testing.assert_close(
        attention(x[0], prototypes, ValidRows(None, 1, 5)), attention.proj(torch.cat(heads, dim=-1))
    )


def test_every_part_learns_and_shapes_hold() -> None:
    torch.manual_seed(0)
    model = NormalityModel(SMALL)
    visual = torch.randn(4, 10, 16)
    reconstruction, gather = model(visual, torch.rand(4, 10))
    assert reconstruction.shape == visual.shape
    assert gather.shape == ()
    ((reconstruction - visual).square().mean() + gather).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = NormalityModel(SMALL)
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    weights = torch.cat([linear.weight.flatten() for linear in linears])
    assert weights.std().item() == pytest.approx(0.01, rel=0.05)
    assert weights.abs().max().item() <= 0.03
    assert all((linear.bias == 0).all() for linear in linears)
    assert all(m.eps == 1e-8 for m in model.modules() if isinstance(m, nn.LayerNorm))


def test_padding_changes_nothing_but_itself() -> None:
    torch.manual_seed(0)
    model = NormalityModel(SMALL)
    visual, scores, lengths = torch.randn(3, 10, 16), torch.rand(3, 10), torch.tensor([4, 10, 1])
    whole, gather = model(visual, scores)
    packed, packed_gather = model(visual, scores, lengths)
    torch.testing.assert_close(packed_gather, gather)
    for video, length in enumerate(lengths):
        torch.testing.assert_close(packed[video, :length], whole[video, :length])
        assert (packed[video, length:] == 0).all()


def test_mixed_precision_multiplies_in_bfloat16_but_measures_distances_in_float32() -> None:
    torch.manual_seed(0)
    model = NormalityModel(dataclasses.replace(SMALL, width=64, prototypes=16, normality_heads=8))
    visual, scores = torch.randn(4, 10, 64), torch.rand(4, 10)
    rebuilt, gather = model(visual, scores)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, mixed_gather = model(visual, scores)
    assert (mixed.dtype, mixed_gather.dtype) == (torch.bfloat16, torch.float32)
    assert F.cosine_similarity(mixed.float(), rebuilt, dim=-1).min() > 0.99
    torch.testing.assert_close(mixed_gather, gather, rtol=0.005, atol=0)


def test_snippets_close_to_a_prototype_keep_their_distance_in_mixed_precision() -> None:
    torch.manual_seed(0)
    prototypes = torch.randn(1, 3, 64)
    normal = prototypes + 0.03 * torch.randn(1, 3, 64)
    distance = gather_loss(normal, prototypes)
    assert 0 < distance < 1e-3
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(gather_loss(normal, prototypes), distance)
