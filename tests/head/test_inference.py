import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dsanet_cli.config import HeadConfig
from dsanet_cli.errors import FeatureError
from dsanet_cli.head.dsanet import DSANet, DSANetHead
from dsanet_cli.head.inference import class_probabilities, cut_windows, score_snippets, score_window

SMALL = HeadConfig(
    width=24,
    text_width=32,
    window=12,
    temporal_layers=1,
    attention_window=5,
    adapted_layers=1,
    adapter_weight=0.1,
    prototypes=3,
    normality_heads=2,
    normality_layers=1,
)
TEMPERATURE = 2.0


@pytest.fixture
def head() -> DSANetHead:
    torch.manual_seed(0)
    return DSANetHead(SMALL)


@pytest.fixture
def text_features() -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(4, 24), dim=-1)


@pytest.mark.parametrize(("count", "lengths"), [(1, [1]), (12, [12]), (13, [12, 1]), (36, [12, 12, 12])])
def test_windows_hold_every_snippet_once(count: int, lengths: list[int]) -> None:
    features = torch.randn(count, 24)
    windows, found = cut_windows(features, 12)
    assert found.tolist() == lengths
    flat = windows.flatten(0, 1)
    torch.testing.assert_close(flat[:count], features)
    assert (flat[count:] == 0).all()


def test_stream_of_windows_equals_whole_video(head: DSANetHead, text_features: torch.Tensor) -> None:
    features = torch.randn(30, 24)
    whole = score_snippets(head, features, text_features, TEMPERATURE)
    parts = [score_window(head, features[i : i + 12], text_features, TEMPERATURE) for i in range(0, 30, 12)]
    for name in ("logits1", "logits2", "scores", "probabilities"):
        streamed = torch.cat([getattr(part, name) for part in parts])
        torch.testing.assert_close(streamed, getattr(whole, name))


def test_windows_know_nothing_of_each_other(head: DSANetHead, text_features: torch.Tensor) -> None:
    features = torch.randn(36, 24)
    before = score_snippets(head, features, text_features, TEMPERATURE)
    features[12:24] = torch.randn(12, 24)
    after = score_snippets(head, features, text_features, TEMPERATURE)
    outside = [*range(12), *range(24, 36)]
    torch.testing.assert_close(before.logits2[outside], after.logits2[outside])
    assert (before.logits1[12:24] - after.logits1[12:24]).abs().min() > 0


def test_batch_size_changes_nothing(head: DSANetHead, text_features: torch.Tensor) -> None:
    features = torch.randn(61, 24)
    one, many = (score_snippets(head, features, text_features, TEMPERATURE, size) for size in (1, 32))
    torch.testing.assert_close(one.probabilities, many.probabilities)


def test_half_precision_features_are_scored_in_single(head: DSANetHead, text_features: torch.Tensor) -> None:
    features = torch.randn(5, 24).half()
    result = score_snippets(head, features, text_features, TEMPERATURE)
    expected = score_snippets(head, features.float(), text_features, TEMPERATURE)
    assert result.scores.dtype == torch.float32
    torch.testing.assert_close(result.scores, expected.scores)


def test_probabilities_share_out_what_is_abnormal() -> None:
    logits1, logits2 = torch.tensor([0.0, 6.0]), torch.tensor([[9.0, 1.0, 1.0], [-9.0, 4.0, 0.0]])
    probabilities = class_probabilities(logits1, logits2, 2.0)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(probabilities[0], torch.tensor([0.5, 0.25, 0.25]))
    p, q = torch.tensor(3.0).sigmoid(), torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(probabilities[1], torch.stack([1 - p, p * q, p * (1 - q)]))


def test_inference_weights_are_the_head_alone(tmp_path: Path, text_features: torch.Tensor) -> None:
    torch.manual_seed(1)
    trained = DSANet(SMALL)
    save_file(trained.head.state_dict(), tmp_path / "head.safetensors")
    head = DSANetHead(SMALL)
    head.load_state_dict(load_file(tmp_path / "head.safetensors"))
    features = torch.randn(12, 24)
    result = score_snippets(head, features, text_features, TEMPERATURE)
    in_training = trained(features[None], torch.tensor([12]), text_features)
    torch.testing.assert_close(result.logits1, in_training.logits1[0])
    torch.testing.assert_close(result.logits2, in_training.logits2[0])


@pytest.mark.parametrize(("shape", "found"), [((0, 24), "0 × 24"), ((5, 23), "5 × 23"), ((24,), "are 24,")])
def test_features_that_do_not_fit(
    head: DSANetHead, text_features: torch.Tensor, shape: tuple[int, ...], found: str
) -> None:
    with pytest.raises(FeatureError, match=found):
        score_snippets(head, torch.zeros(shape), text_features, TEMPERATURE)


def test_more_than_a_window(head: DSANetHead, text_features: torch.Tensor) -> None:
    with pytest.raises(FeatureError, match="13 snippets"):
        score_window(head, torch.zeros(13, 24), text_features, TEMPERATURE)


def test_a_head_centres_features_and_scales_all_by_one_number(head: DSANetHead, text_features: torch.Tensor) -> None:
    """The same as one that is given scaled features, padding and all; and its weights say by what."""
    scaling = DSANetHead(dataclasses.replace(SMALL, standardised=True))
    assert scaling.load_state_dict(head.state_dict(), strict=False).missing_keys == [
        "standardise.mean",
        "standardise.scale",
    ]
    features = (1 + torch.arange(24.0)) * torch.randn(17, 24) + 5
    mean, deviation = features.mean(dim=0), features.std(dim=0)
    unfitted = score_snippets(scaling, features, text_features, TEMPERATURE)
    torch.testing.assert_close(unfitted, score_snippets(head, features, text_features, TEMPERATURE))
    scaling.standardise.fit(mean, deviation)
    expected = score_snippets(head, (features - mean) / deviation.square().mean().sqrt(), text_features, TEMPERATURE)
    found = score_snippets(scaling, features, text_features, TEMPERATURE)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found.scores, unfitted.scores, atol=1e-4)


def test_a_feature_that_did_not_vary_in_training_says_nothing(text_features: torch.Tensor) -> None:
    head = DSANetHead(dataclasses.replace(SMALL, standardised=True))
    head.standardise.fit(torch.zeros(24), torch.arange(24.0))
    features = torch.randn(6, 24)
    changed = features.clone()
    changed[:, 0] += 1000
    one, other = (score_snippets(head, x, text_features, TEMPERATURE) for x in (features, changed))
    torch.testing.assert_close(one, other)


def test_a_head_as_it_was_has_no_such_weights(head: DSANetHead) -> None:
    assert not [name for name in head.state_dict() if "standardise" in name or "probe" in name]


def test_a_linear_probe_adds_to_the_anomaly_logit(head: DSANetHead, text_features: torch.Tensor) -> None:
    """Of scaled features; and where it is not fitted, nothing."""
    probed = DSANetHead(dataclasses.replace(SMALL, standardised=True, probed=True))
    probed.load_state_dict(head.state_dict(), strict=False)
    features = 3 * torch.randn(17, 24) + 5
    mean, deviation = features.mean(dim=0), features.std(dim=0)
    assert probed.standardise is not None
    assert probed.probe is not None
    probed.standardise.fit(mean, deviation)
    scaled = (features - mean) / deviation.square().mean().sqrt()
    expected = score_snippets(head, scaled, text_features, TEMPERATURE)
    unfitted = score_snippets(probed, features, text_features, TEMPERATURE)
    torch.testing.assert_close(unfitted.logits1, expected.logits1, atol=1e-4, rtol=1e-4)
    weight, bias = torch.randn(24), torch.tensor(0.7)
    probed.probe.fit(weight, bias)
    found = score_snippets(probed, features, text_features, TEMPERATURE)
    torch.testing.assert_close(found.logits1, expected.logits1 + scaled @ weight + bias, atol=1e-4, rtol=1e-4)


def test_a_head_that_starts_from_a_probe_says_what_it_says(text_features: torch.Tensor) -> None:
    probed = DSANetHead(dataclasses.replace(SMALL, standardised=True, probed=True))
    weight, bias = torch.randn(24), torch.tensor(0.7)
    assert probed.probe is not None
    probed.probe.fit(weight, bias)
    probed.score.start_at_zero()
    features = torch.randn(17, 24)
    found = score_snippets(probed, features, text_features, TEMPERATURE)
    torch.testing.assert_close(found.logits1, features @ weight + bias, atol=1e-5, rtol=1e-5)
