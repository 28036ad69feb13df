from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from filling import filled_state_dict
from safetensors.torch import save_file
from tiny import ENCODER, tiny_clip

from dsanet_cli.config import EncoderConfig
from dsanet_cli.encoder import clip as clip_module
from dsanet_cli.encoder.clip import build_clip, load_pretrained, load_pretrained_tower
from dsanet_cli.encoder.tower import load_image_tower
from dsanet_cli.errors import ModelError

REFERENCE = Path(__file__).parents[1] / "reference"
VIT = EncoderConfig(architecture="ViT-B-16-quickgelu", width=512, pretrained="openai")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(clip_module, "_reachable", lambda url: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_image_features_equal_the_reference():
    shapes = {name: entry.shape for name, entry in build_clip(VIT, device="meta").visual.state_dict().items()}
    tower = load_image_tower(VIT, filled_state_dict(shapes, prefix="clipmodel.visual."), Path("reference"))
    images = np.random.default_rng(5).random((2, 3, 224, 224), dtype=np.float32) * 2 - 1
    expected = np.load(REFERENCE / "clip_vit_b16.npz")["image_features"]
    with torch.inference_mode():
        np.testing.assert_allclose(tower(torch.from_numpy(images)).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_weights_that_do_not_fit_are_named():
    state = tiny_clip().visual.state_dict()
    state["surplus"] = torch.zeros(1)
    state["proj"] = torch.zeros(3, 3)
    del state["ln_pre.weight"]
    with pytest.raises(ModelError, match=r"file\.st: .*ln_pre.weight is missing; proj has shape.*surplus is unknown"):
        load_image_tower(ENCODER, state, Path("file.st"))


def test_an_unknown_architecture():
    with pytest.raises(ModelError, match="not an open_clip architecture"):
        build_clip(EncoderConfig(architecture="ViT-Z", width=512))


def test_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(ModelError, match=r"no weights tagged 'openia'; tags: .*openai"):
        load_pretrained(EncoderConfig(architecture="ViT-B-16", width=512, pretrained="openia"))


def test_weights_of_another_activation_are_an_error():
    with pytest.raises(ModelError, match=r"another activation; use ViT-B-16-quickgelu$"):
        load_pretrained(EncoderConfig(architecture="ViT-B-16", width=512, pretrained="openai"))


@pytest.mark.usefixtures("offline")
def test_offline_says_which_file_to_bring():
    with pytest.raises(ModelError) as caught:
        load_pretrained(VIT)
    message = str(caught.value)
    assert "timm/vit_base_patch16_clip_224.openai/open_clip_model.safetensors" in message
    assert "--encoder-weights FILE" in message
    assert "--model street" in message
    assert "\n" not in message


@pytest.mark.usefixtures("offline")
def test_a_weight_file_takes_the_place_of_the_download(tmp_path, monkeypatch):
    small = dict(json.loads(json.dumps(ENCODER.custom)))
    monkeypatch.setattr("dsanet_cli.encoder.architecture._shipped_config", lambda name: small)
    monkeypatch.setattr(clip_module, "get_pretrained_cfg", lambda name, tag: {"quick_gelu": True})
    state = tiny_clip().state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    loaded = load_pretrained(VIT, tmp_path / "weights.safetensors")
    for name, tensor in state.items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_weight_file_that_is_none(tmp_path, content):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.pt: not a checkpoint of ViT-B-16-quickgelu"):
        load_pretrained(VIT, path)


def test_a_weight_file_that_is_missing(tmp_path):
    with pytest.raises(ModelError, match="no such encoder weights"):
        load_pretrained(VIT, tmp_path / "weights.pt")


TINY_TEXT = {"context_length": 4, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
TINY_VISION = {"image_size": 32, "patch_size": 16, "width": 32, "layers": 1, "head_width": 16}
CAPTIONS = {"embed_cls": True, "output_tokens": True}
LATENTS = {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (open_clip.CLIP, {"vision_cfg": TINY_VISION, "text_cfg": TINY_TEXT}),
        (open_clip.CustomTextCLIP, {"vision_cfg": TINY_VISION, "text_cfg": TINY_TEXT}),
        (
            open_clip.CoCa,
            {
                "vision_cfg": TINY_VISION | LATENTS,
                "text_cfg": TINY_TEXT | CAPTIONS,
                "multimodal_cfg": TINY_TEXT | {"mlp_ratio": 4},
            },
        ),
    ],
)
def test_the_image_tower_of_any_kind_of_clip(tmp_path, kind, config):
    torch.manual_seed(0)
    clip = kind(embed_dim=16, **config).eval()
    save_file(clip.state_dict(), tmp_path / "weights.safetensors")
    extra = {"custom_text": True} if kind is not open_clip.CLIP else {}
    encoder = EncoderConfig("small", 16, custom={"embed_dim": 16, **config, **extra})
    tower = load_pretrained_tower(encoder, tmp_path / "weights.safetensors")
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(tower(images), clip.encode_image(images, normalize=False))


@pytest.mark.parametrize("state", [{}, {"proj": torch.zeros(1)}])
def test_a_weight_file_without_an_image_tower(tmp_path, state):
    save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"weights\.safetensors: not a checkpoint of tiny"):
        load_pretrained_tower(ENCODER, tmp_path / "weights.safetensors")


@pytest.mark.parametrize("load", [load_pretrained, load_pretrained_tower])
def test_a_program_is_not_opened(tmp_path, load):
    with zipfile.ZipFile(tmp_path / "ViT-B-16.pt", "w") as archive:
        archive.writestr("ViT-B-16/code/__torch__.py", "class Visual(Module): pass")
    with pytest.raises(ModelError, match=r"ViT-B-16\.pt: a TorchScript program and not opened; bring .* safetensors"):
        load(ENCODER, tmp_path / "ViT-B-16.pt")
