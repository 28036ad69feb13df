import math

import open_clip
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dsanet_cli.config import AnomalyClass, HeadConfig
from dsanet_cli.errors import ModelError
from dsanet_cli.head.text_adapter import Prompts, TextAdapter, tokenise

CLASSES = (
    AnomalyClass("normal", ("normal", "nothing happens at the crossing")),
    AnomalyClass("explosion", ("explosion",)),
    AnomalyClass("car accident", ("car accident", "a crash", "two cars collide")),
)


def small_clip(text_width: int = 32, layers: int = 3, **text: object) -> open_clip.CLIP:
    torch.manual_seed(0)
    clip = open_clip.CLIP(
        embed_dim=24,
        vision_cfg={"image_size": 32, "layers": 1, "width": 64, "patch_size": 32},
        text_cfg={"width": text_width, "heads": 2, "layers": layers, **text},
        quick_gelu=True,
    )
    return clip.requires_grad_(False)


def head(text_width: int = 32, width: int = 24, adapted_layers: int = 2) -> HeadConfig:
    return HeadConfig(
        width=width,
        text_width=text_width,
        window=8,
        temporal_layers=1,
        attention_window=4,
        adapted_layers=adapted_layers,
        adapter_weight=0.3,
    )


@pytest.fixture(scope="module")
def clip() -> open_clip.CLIP:
    return small_clip()


@pytest.fixture
def adapter() -> TextAdapter:
    torch.manual_seed(1)
    return TextAdapter(head())


def straightforward(adapter: TextAdapter, clip: open_clip.CLIP, prompt: str) -> Tensor:
    """One prompt over all 77 positions, step by step as the equations say."""
    tokens = open_clip.tokenize([prompt])
    x = clip.token_embedding(tokens) + clip.positional_embedding
    for i, block in enumerate(clip.transformer.resblocks):
        x = block(x, attn_mask=clip.attn_mask)
        if i < 2:
            a = F.leaky_relu(x @ adapter.layers[i].weight.T, 0.01)
            a = a * (x.norm(dim=-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) + 1e-6))
            x = 0.3 * a + 0.7 * x
    x = clip.ln_final(x)[0, tokens[0].argmax()]
    return F.leaky_relu(x @ adapter.layers[-1].weight.T, 0.01)


def test_trimmed_batch_equals_full_length_prompt_by_prompt(adapter: TextAdapter, clip: open_clip.CLIP) -> None:
    prompts = tokenise(CLASSES)
    assert prompts.tokens.shape[1] < 10
    expected = torch.stack(
        [
            F.normalize(torch.stack([straightforward(adapter, clip, p) for p in c.prompts]).mean(dim=0), dim=0)
            for c in CLASSES
        ]
    )
    torch.testing.assert_close(adapter(clip, prompts), expected, rtol=1e-5, atol=1e-6)


def test_padding_to_full_length_changes_nothing(adapter: TextAdapter, clip: open_clip.CLIP) -> None:
    prompts = tokenise(CLASSES)
    padded = F.pad(prompts.tokens, (0, 77 - prompts.tokens.shape[1]))
    full = Prompts(padded, prompts.classes, prompts.class_count)
    torch.testing.assert_close(adapter(clip, prompts), adapter(clip, full), rtol=1e-5, atol=1e-6)


def test_features_are_unit_vectors_of_the_heads_width() -> None:
    torch.manual_seed(0)
    adapter = TextAdapter(head(text_width=64, width=40, adapted_layers=1))
    features = adapter(small_clip(text_width=64), tokenise(CLASSES))
    assert features.shape == (3, 40)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(3))


def test_only_adapters_learn(adapter: TextAdapter, clip: open_clip.CLIP) -> None:
    adapter(clip, tokenise(CLASSES))[0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in adapter.parameters())
    assert all(p.grad is None for p in clip.parameters())


def test_tokens_end_with_the_longest_prompt() -> None:
    prompts = tokenise(CLASSES)
    start, end = open_clip.tokenize([""])[0, :2].tolist()
    longest = prompts.tokens[1].tolist()  # "nothing happens at the crossing": five words
    assert (longest[0], longest[-1], len(longest)) == (start, end, 7)
    assert prompts.tokens[0].tolist()[2:] == [end, 0, 0, 0, 0]
    assert prompts.classes.tolist() == [0, 0, 1, 2, 2, 2]
    assert prompts.class_count == 3


def test_prompt_that_just_fits() -> None:
    prompts = tokenise([AnomalyClass("long", ("car " * 75,))])
    assert prompts.tokens.shape == (1, 77)
    with pytest.raises(ModelError, match="longer than the 77 tokens"):
        tokenise([AnomalyClass("longer", ("car " * 76,))])


def test_another_tokenizer_and_context_length() -> None:
    prompts = tokenise(CLASSES[1:2], open_clip.get_tokenizer("ViT-B-16-quickgelu"), context_length=16)
    torch.testing.assert_close(prompts.tokens, open_clip.tokenize(["explosion"])[:, :3])
    with pytest.raises(ModelError, match="16 tokens"):
        tokenise([AnomalyClass("long", ("car " * 15,))], context_length=16)


@pytest.mark.parametrize("prompts", [(), ("",), ("fire", "  ")])
def test_class_without_words(prompts: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="'arson'"):
        tokenise([*CLASSES, AnomalyClass("arson", prompts)])


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (small_clip(text_width=48), "48 wide"),
        (small_clip(layers=1), "has 1 layers"),
        (small_clip(no_causal_mask=True), "not CLIP's"),
        (small_clip(pool_type="last"), "not CLIP's"),
        (torch.nn.Identity(), "not CLIP's"),
    ],
)
def test_unfit_text_towers(adapter: TextAdapter, clip: open_clip.CLIP, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        adapter(clip, tokenise(CLASSES))


def test_starts_xavier_uniform() -> None:
    torch.manual_seed(0)
    adapter = TextAdapter(head(text_width=200, width=96))
    bounds = [layer.weight.abs().max().item() for layer in adapter.layers]
    assert bounds == pytest.approx([math.sqrt(6 / 400)] * 2 + [math.sqrt(6 / 296)], rel=1e-2)
