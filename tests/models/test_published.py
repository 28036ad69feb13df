import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dsanet_cli.encoder.clip import build_clip
from dsanet_cli.errors import ModelError
from dsanet_cli.head.dsanet import DSANet
from dsanet_cli.models.presets import PUBLISHED_ENCODER, UCF_CRIME, XD_VIOLENCE, Preset
from dsanet_cli.models.published import split_published

SHAPES = json.loads((Path(__file__).parents[1] / "reference" / "state_dict_shapes.json").read_text())
PRESETS = {"ucf": UCF_CRIME, "xd": XD_VIOLENCE}


def published(data_set: str = "ucf", dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """A state dict of the published layout, without memory behind it."""
    return {n: torch.empty(shape, dtype=dtype, device="meta") for n, shape in SHAPES[data_set].items()}


@pytest.mark.parametrize("data_set", PRESETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_published_layout_fills_both_models(data_set: str, dtype: torch.dtype) -> None:
    preset: Preset = PRESETS[data_set]
    model_state, clip_state = split_published(published(data_set, dtype), preset.head)
    with torch.device("meta"):
        model = DSANet(preset.head)
    model.load_state_dict(model_state, strict=True, assign=True)
    build_clip(PUBLISHED_ENCODER, "meta").load_state_dict(clip_state, strict=True, assign=True)
    assert {t.dtype for t in (model_state | clip_state).values()} == {torch.float32}


def test_every_published_entry_is_used_but_the_known_ones() -> None:
    model_state, clip_state = split_published(published(), UCF_CRIME.head)
    repeated = sum(name.startswith("clip_adapter.clipmodel.") for name in SHAPES["ucf"])
    assert len(model_state) + len(clip_state) == len(SHAPES["ucf"]) - repeated - 1  # disAdj.sigma


def test_copies_masks_and_unused_entries_may_be_absent_or_present() -> None:
    state = {n: t for n, t in published().items() if not n.startswith("clip_adapter.clipmodel.")}
    del state["disAdj.sigma"]
    state["temporal.resblocks.0.attn_mask"] = torch.zeros(256, 256)
    assert len(split_published(state, UCF_CRIME.head)[0]) > 0


def test_missing_entries() -> None:
    state = published()
    for name in ("gc1.weight", "clipmodel.text_projection", "mlp2.c_fc.bias", "classifier.bias"):
        del state[name]
    with pytest.raises(ModelError, match=r"entries missing \(4\): .*gc1\.weight.*, …$") as caught:
        split_published(state, UCF_CRIME.head)
    assert "\n" not in str(caught.value)


def test_unknown_entries() -> None:
    state = published() | {"gc5.weight": torch.zeros(1), 7: torch.zeros(1)}
    with pytest.raises(ModelError, match=r"entries unknown \(2\): gc5\.weight, 7$"):
        split_published(state, UCF_CRIME.head)


def test_another_shape() -> None:
    state = published() | {"classifier.weight": torch.zeros(2, 512), "logit": 3}
    message = r"unknown \(1\): logit; of another shape \(1\): classifier\.weight: \(2, 512\), expected \(1, 512\)"
    with pytest.raises(ModelError, match=message):
        split_published(state, UCF_CRIME.head)


def test_entry_that_is_no_tensor() -> None:
    with pytest.raises(ModelError, match=r"linear\.bias: a dict, expected \(512,\)"):
        split_published(published() | {"linear.bias": {}}, UCF_CRIME.head)


def test_checkpoint_of_the_other_data_set() -> None:
    with pytest.raises(ModelError, match=r"missing \(14\): .*temporal\.|missing \(14\): .*adapter"):
        split_published(published("xd"), UCF_CRIME.head)
    with pytest.raises(ModelError, match=r"unknown \(14\)"):
        split_published(published("ucf"), XD_VIOLENCE.head)


def test_something_else_than_a_state_dict() -> None:
    with pytest.raises(ModelError, match="holds a list"):
        split_published([], UCF_CRIME.head)  # type: ignore[arg-type]
