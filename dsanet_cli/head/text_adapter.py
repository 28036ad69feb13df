"""Text adapter: class features E by a frozen CLIP text tower with trainable adapters (paper section 3).

E depends on weights alone. Inference computes it once, or reads it from the model directory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dsanet_cli.config import AnomalyClass, HeadConfig
from dsanet_cli.errors import ModelError

if TYPE_CHECKING:
    from open_clip import CLIP

Tokenizer = Callable[..., Tensor]
"""open_clip's: called with (list of P texts, context_length=L), gives tokens (P, L), zeros after the end."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of all classes as tokens, cut after the end of the longest one.

    Nothing is lost by the cut: the text tower is causal, and a prompt is read out at its end token.
    """

    tokens: Tensor
    """(P, L) int64."""
    classes: Tensor
    """(P,) int64, the class of each prompt."""
    class_count: int

    def tokens_padded(self, context_length: int) -> Tensor:
        """Tokens (P, ``context_length``), as CLIP's own text encoder takes them."""
        return F.pad(self.tokens, (0, context_length - self.tokens.shape[1]))

    def to(self, device: torch.device | str) -> Prompts:
        """The same prompts on another device."""
        return Prompts(self.tokens.to(device), self.classes.to(device), self.class_count)


def tokenise(classes: Sequence[AnomalyClass], tokenizer: Tokenizer | None = None, context_length: int = 77) -> Prompts:
    """Tokens of all prompts of all classes.

    Args:
        classes: class 0 is normal.
        tokenizer: of the CLIP model (``open_clip.get_tokenizer(name)``); None takes OpenAI CLIP's.
        context_length: positions of the text tower.

    Raises:
        ModelError: a class without prompts, an empty prompt, or one longer than the text tower takes.
    """
    if tokenizer is None:
        from open_clip import tokenize  # noqa: PLC0415 - seconds of import that inference never needs

        tokenizer = tokenize
    texts = [(index, prompt) for index, c in enumerate(classes) for prompt in c.prompts]
    for c in classes:
        if not c.prompts or not all(prompt.strip() for prompt in c.prompts):
            raise ModelError(f"class {c.name!r}: needs at least one prompt, and none may be empty")
    # one position more than there is room for, since open_clip cuts long texts silently
    tokens = tokenizer([prompt for _, prompt in texts], context_length=context_length + 1)
    ends = tokens.argmax(dim=-1)  # the end token has the highest number
    for (_, prompt), end in zip(texts, ends.tolist(), strict=True):
        if end >= context_length:
            raise ModelError(f"prompt {prompt!r}: longer than the {context_length} tokens CLIP takes; shorten it")
    class_of = torch.tensor([index for index, _ in texts])
    return Prompts(tokens[:, : int(ends.max()) + 1], class_of, len(classes))


class TextAdapter(nn.Module):
    """The adapters' weights; CLIP itself is frozen, passed in, and not part of this module."""

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        widths = [config.text_width] * config.adapted_layers + [config.width]
        self.weight = config.adapter_weight
        self.layers = nn.ModuleList(_adapter(config.text_width, width) for width in widths)

    def forward(self, clip: CLIP, prompts: Prompts) -> Tensor:
        """Class features E, computed with the frozen text tower.

        Args:
            clip: open_clip's ``CLIP`` in float32, its text tower ``text_width`` wide.
            prompts: P prompts of C classes.

        Returns:
            E (C, D), mean over a class's prompts, then L2-normalised.

        Raises:
            ModelError: a text tower of another kind or width, or with fewer layers than adapters.
        """
        self._check(clip)
        *adapters, projection = self.layers
        tokens, length = prompts.tokens, prompts.tokens.shape[1]
        mask = clip.attn_mask[:length, :length]
        x = clip.token_embedding(tokens) + clip.positional_embedding[:length]  # (P, L, text width)
        for index, block in enumerate(clip.transformer.resblocks):
            x = block(x, attn_mask=mask)
            if index < len(adapters):
                x = self._adapt(adapters[index], x)
        ends = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=-1)]  # (P, text width)
        prompt_features = F.leaky_relu(projection(clip.ln_final(ends)))  # (P, D)
        return F.normalize(_class_means(prompt_features, prompts), dim=-1)

    def _adapt(self, adapter: nn.Module, x: Tensor) -> Tensor:
        """Mix in the adapter's output, rescaled to each token's own norm."""
        adapted: Tensor = F.leaky_relu(adapter(x))
        scale = x.norm(dim=-1, keepdim=True) / (adapted.norm(dim=-1, keepdim=True) + 1e-6)
        mixed: Tensor = self.weight * (adapted * scale) + (1 - self.weight) * x
        return mixed

    def _check(self, clip: CLIP) -> None:
        if not hasattr(clip, "token_embedding") or clip.attn_mask is None or clip.text_pool_type != "argmax":
            raise ModelError(
                "the encoder's text tower is not CLIP's (causal, read at the end token); "
                "use an open_clip model of class CLIP"
            )
        expected, found = self.layers[0].in_features, clip.token_embedding.embedding_dim
        if found != expected:
            raise ModelError(f"the encoder's text tower is {found} wide, the text adapter takes {expected}")
        adapters, blocks = len(self.layers) - 1, len(clip.transformer.resblocks)
        if adapters > blocks:
            raise ModelError(f"the encoder's text tower has {blocks} layers, {adapters} are to be adapted")


def plain_text_features(clip: CLIP, prompts: Prompts) -> Tensor:
    """Class features E (C, D) of CLIP as it is, without adapters: mean over a class's prompts, L2-normalised."""
    with torch.no_grad():
        prompt_features = clip.encode_text(prompts.tokens_padded(clip.context_length))  # (P, D)
        return F.normalize(_class_means(prompt_features, prompts), dim=-1)


def _adapter(width_in: int, width_out: int) -> nn.Linear:
    layer = nn.Linear(width_in, width_out, bias=False)
    nn.init.xavier_uniform_(layer.weight)
    return layer


def _class_means(prompt_features: Tensor, prompts: Prompts) -> Tensor:
    """Mean over the prompts of each class: (P, D) → (C, D)."""
    member = F.one_hot(prompts.classes, prompts.class_count).to(prompt_features.dtype)  # (P, C)
    return (member / member.sum(dim=0)).T @ prompt_features
