import dataclasses
import math

import pytest
import torch
from torch.nn import functional as F

from dsanet_cli.config import HeadConfig
from dsanet_cli.head.temporal import (
    AttentionWindows,
    GraphLayer,
    LocalAttentionBlock,
    TemporalEncoder,
    distance_adjacency,
    similarity_adjacency,
)

SMALL = HeadConfig(
    width=16,
    text_width=16,
    window=12,
    temporal_layers=2,
    attention_window=4,
    adapted_layers=1,
    adapter_weight=0.1,
)


@pytest.mark.parametrize("length", [3, 4, 8, 11])
def test_local_attention_is_block_diagonal_attention(length: int) -> None:
    torch.manual_seed(0)
    block = LocalAttentionBlock(16, heads=1, window=4)
    x = torch.randn(2, length, 16)
    window_of = torch.arange(length) // 4
    forbidden = window_of[:, None] != window_of[None, :]

    y = block.ln_1(x)
    expected = x + block.attn(y, y, y, attn_mask=forbidden, need_weights=False)[0]
    expected = expected + block.mlp(block.ln_2(expected))

    torch.testing.assert_close(block(x), expected)


def test_similarity_adjacency_of_each_video_alone() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 9, 1) + 0.4 * torch.randn(3, 9, 4)  # some pairs above the threshold, some below
    lengths = torch.tensor([9, 5, 1])

    adjacency = similarity_adjacency(x, lengths)

    assert ((_cosine(x[0]) > 0.7) & ~torch.eye(9, dtype=torch.bool)).any()
    for video, length in enumerate(lengths.tolist()):
        cosine = _cosine(x[video, :length])
        expected = torch.zeros(9, 9)
        expected[:length, :length] = torch.where(cosine > 0.7, cosine, 0.0).softmax(dim=-1)
        torch.testing.assert_close(adjacency[video], expected)


def _cosine(x: torch.Tensor) -> torch.Tensor:
    return F.cosine_similarity(x[:, None], x[None, :], dim=-1)


def test_distance_adjacency() -> None:
    adjacency = distance_adjacency(torch.zeros(1, 5, 2))
    for i in range(5):
        for j in range(5):
            assert adjacency[i, j].item() == pytest.approx(math.exp(-abs(i - j) / math.e), rel=1e-6)


def test_graph_layer_keeps_its_input_as_residual_where_widths_agree() -> None:
    x = torch.randn(1, 6, 8)
    same, narrower = GraphLayer(8, 8), GraphLayer(8, 4)
    torch.testing.assert_close(same(x, torch.zeros(6, 6)), x)
    assert narrower(x, torch.zeros(6, 6)).shape == (1, 6, 4)
    assert same.residual is None
    assert narrower.residual is not None


def test_videos_of_a_batch_do_not_touch() -> None:
    torch.manual_seed(0)
    encoder = TemporalEncoder(dataclasses.replace(SMALL, attention_window=5))
    x, lengths = torch.randn(3, 12, 16), torch.tensor([12, 7, 1])
    together = encoder(x, lengths)
    for video in range(3):
        alone = encoder(x[video : video + 1], lengths[video : video + 1])
        torch.testing.assert_close(together[video], alone[0])


def test_starts_with_small_position_embeddings() -> None:
    torch.manual_seed(0)
    encoder = TemporalEncoder(dataclasses.replace(SMALL, window=256, width=64))
    assert encoder.position_embeddings.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("window", [12, 10])
@pytest.mark.parametrize("lengths", [(12, 4, 5, 1), (3, 2, 1, 4), (12, 12, 12, 12)])
def test_windows_of_padding_once_for_all_videos_change_nothing(window: int, lengths: tuple[int, ...]) -> None:
    """Training computes them once; so it is only where attention windows divide the whole, which 10 are not."""
    torch.manual_seed(0)
    encoder = TemporalEncoder(dataclasses.replace(SMALL, window=window))
    valid = torch.tensor(lengths).clamp(max=window)
    features = torch.randn(4, window, 16).masked_fill((torch.arange(window) >= valid[:, None])[:, :, None], 0.0)
    weights = torch.randn(4, window, 16)  # each padding of each video on its own
    results, gradients = [], []
    for training in (True, False):
        results.append(encoder.train(training)(features, valid))
        encoder.zero_grad()
        (results[-1] * weights).sum().backward()
        gradients.append({name: p.grad for name, p in encoder.named_parameters()})
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


def test_attention_is_spared_windows_of_padding() -> None:
    windows = AttentionWindows(torch.tensor([12, 4, 5]), 12, 4)
    x = torch.randn(3, 12, 2)
    padding = torch.randn(12, 2)
    packed = windows.pack(x, padding)
    expected = [x[0, :4], x[0, 4:8], x[0, 8:], x[1, :4], x[2, :4], x[2, 4:8], padding[:4], padding[4:8], padding[8:]]
    assert packed.tolist() == torch.stack(expected).tolist()
    whole = windows.unpack(packed)
    assert torch.equal(whole[0], x[0])
    assert torch.equal(whole[1], torch.cat([x[1, :4], padding[4:]]))
    assert torch.equal(whole[2], torch.cat([x[2, :8], padding[8:]]))
