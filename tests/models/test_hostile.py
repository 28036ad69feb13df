"""Model directories that somebody made to do harm: each is one line, at once, and nothing of theirs is run."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from safetensors.torch import load_file, save_file

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import DsanetError, ModelError
from dsanet_cli.models.directory import HEAD_FILE, IMAGE_FILE, load_model, save_model
from dsanet_cli.models.folders import read_config

HUGE = 10**9
VISION = ("encoder", "custom", "vision_cfg")
TEXT = ("encoder", "custom", "text_cfg")


@pytest.fixture
def directory(tmp_path, tiny_model):
    shutil.copytree(tiny_model, tmp_path / "model")
    return tmp_path / "model"


def change(directory, keys, value):
    """Set one entry of ``config.json``."""
    path = directory / "config.json"
    data = json.loads(path.read_text())
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(data))


def use(directory):
    model = load_model(str(directory))
    return model.frame_encoder(torch.device("cpu"), torch.float32)


def refused(directory):
    with pytest.raises(ModelError) as caught:
        use(directory)
    message = str(caught.value)
    assert str(directory) in message
    assert "\n" not in message
    return message


NUMBERS = [
    ("head", "width"), ("head", "text_width"), ("head", "window"), ("head", "temporal_layers"),
    ("head", "attention_window"), ("head", "temporal_heads"), ("head", "prototypes"),
    ("head", "normality_heads"), ("head", "normality_layers"), ("encoder", "width"), ("temperature",),
    ("preprocessing", "resize", 0), ("preprocessing", "crop", 1), ("preprocessing", "std", 0),
    ("sampled_frames",), ("snippet_frames",), ("snippet_seconds",), ("encoder", "custom", "embed_dim"),
    (*VISION, "patch_size"), (*VISION, "width"), (*VISION, "layers"), (*VISION, "head_width"),
    (*VISION, "image_size", 0), (*TEXT, "context_length"), (*TEXT, "vocab_size"), (*TEXT, "width"),
    (*TEXT, "heads"), (*TEXT, "layers"),
]  # fmt: skip


@pytest.mark.parametrize("value", [0, -1, HUGE, 10**25, "16", True, None, [], {}, 1e300, float("nan"), float("inf")])
@pytest.mark.parametrize("keys", NUMBERS, ids=lambda keys: ".".join(map(str, keys)))
def test_a_number_out_of_bounds_or_of_another_type(directory, keys, value):
    if value is None and keys in {(*VISION, "layers"), ("snippet_seconds",)}:
        pytest.skip("means the default")
    change(directory, keys, value)
    message = refused(directory)
    assert "config.json: " in message
    assert keys[-2 if isinstance(keys[-1], int) else -1] in message or "not a number" in message


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", float("nan"), None])
@pytest.mark.parametrize("key", ["threshold", "release"])
def test_event_levels(directory, key, value):
    change(directory, ("events", key), value)
    assert key in (message := refused(directory)) or "NaN" in message


@pytest.mark.parametrize(
    ("keys", "value", "reason"),
    [
        (("preprocessing", "resize"), [10**6, 10**6], "preprocessing.resize"),
        (("preprocessing", "resize"), [16, 16], "cannot cut"),
        (("sampled_frames",), FRAMES_PER_SNIPPET + 1, "cannot encode 17 of 16 frames"),
        (("head", "temporal_heads"), 3, "3 attention heads"),
        (("classes",), [{"name": f"c{i}", "prompts": ["x"]} for i in range(5000)], "length <= 1000"),
        (("classes", 2, "name"), "fighting", "has the class fighting twice"),
        (("classes", 1, "name"), "\x1b[2J", "one printable line"),
        (("classes", 1, "name"), "a\nb", "one printable line"),
        (("classes", 1, "name"), "\ud800", "one printable line"),
        (("classes", 1, "prompts"), [], "length >= 1"),
        (("name",), "a\rb", "one printable line"),
        (("description",), "a\x00b", "one printable line"),
        (("training",), {"a\tb": 1}, "one printable line"),
        (("training",), {"a": "b\x1b"}, "one printable line"),
        (("metrics",), {"a": ["b\nc"]}, "one printable line"),
        (("metrics",), {"a": {"b": "c\r"}}, "one printable line"),
        (("metrics",), {"a": {"b": {"c": 1}}}, "metrics"),
        (("metrics",), {"a": 10**30}, "metrics"),
        (("schema",), 2, "schema"),
        (("encoder", "custom", "embed_dim"), 32, "is said to be 16 wide and 32"),
        (("encoder", "custom", "multimodal_cfg"), {}, "unknown entry 'encoder.custom.multimodal_cfg'"),
        ((*VISION, "act_kwargs"), {}, "unknown entry 'encoder.custom.vision_cfg.act_kwargs'"),
        ((*TEXT, "hf_model_name"), "evil/model", "unknown entry 'encoder.custom.text_cfg.hf_model_name'"),
        ((*TEXT, "hf_tokenizer_name"), "evil/model", "hf_tokenizer_name"),
        ((*VISION, "timm_model_pretrained"), True, "timm_model_pretrained"),
        ((*VISION, "timm_model_name"), "hf-hub:evil/model", "timm_model_name"),
        ((*VISION, "timm_model_name"), "../model", "timm_model_name"),
        ((*VISION, "timm_model_name"), "no_such_thing", "open_clip cannot build it"),
        ((*VISION, "head_width"), 10, "open_clip cannot build it"),
        ((*VISION, "patch_size"), 512, "weights do not fit"),
        (("encoder", "architecture"), "local-dir:/tmp", "encoder.architecture"),
        (("encoder", "architecture"), "hf-hub:evil/model", "encoder.architecture"),
        (("encoder", "pretrained"), "/tmp/weights.pt", "encoder.pretrained"),
        (("files",), {"../../etc/passwd": "0" * 64}, "files"),
        (("files",), {"/etc/passwd": "0" * 64}, "files"),
        (("files", "head.safetensors"), "0" * 63, "files"),
        (("files",), {}, "not listed in config.json"),
    ],
)  # fmt: skip
def test_what_a_config_may_not_say(directory, keys, value, reason):
    change(directory, keys, value)
    assert reason in refused(directory)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"1", b'"x"', b"\xff\xfe", b"[" * 10**6, b'{"a":' * 10**6, b"{}", b"9" * 10**6]
)
def test_a_config_that_is_none(directory, text):
    (directory / "config.json").write_bytes(text)
    assert "config.json: " in refused(directory)


@pytest.mark.parametrize("name", ["config.json", HEAD_FILE, IMAGE_FILE])
def test_pipes_devices_folders_and_links_that_lead_out(directory, tmp_path, name):
    path, outside = directory / name, tmp_path / "outside"
    outside.write_bytes(path.read_bytes())

    path.unlink()
    os.mkfifo(path)
    assert "Not a regular file" in refused(directory)

    path.unlink()
    path.symlink_to("/dev/zero")
    assert name in refused(directory)

    path.unlink()
    path.mkdir()
    assert "Not a regular file" in refused(directory)

    path.rmdir()
    path.symlink_to(outside)
    assert "Leads out of" in refused(directory)


def test_a_directory_may_itself_be_a_link(directory, tmp_path):
    (tmp_path / "link").symlink_to(directory)
    assert use(tmp_path / "link")


def test_a_config_of_an_implausible_size(directory):
    with (directory / "config.json").open("wb") as stream:
        stream.truncate(10**12)
    assert "Larger than 16 MiB" in refused(directory)


def rewrite(directory, name, tensors):
    """Replace a weight file, its hash included."""
    import hashlib  # noqa: PLC0415

    data = tensors if isinstance(tensors, bytes) else None
    if data is None:
        save_file(tensors, directory / name)
        data = (directory / name).read_bytes()
    (directory / name).write_bytes(data)
    change(directory, ("files", name), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", [HEAD_FILE, IMAGE_FILE])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        (2**62).to_bytes(8, "little") + b"{}",
        (10**8).to_bytes(8, "little") + b"{}",
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x05\0\0\0\0\0\0\0[[[[[",
        pickle.dumps({"a": 1}),
        b'\x5f\0\0\0\0\0\0\0{"proj":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'.ljust(
            300
        ),
    ],
)
def test_weights_that_are_none(directory, name, data):
    rewrite(directory, name, data)
    assert name in refused(directory)


@pytest.mark.parametrize("name", [HEAD_FILE, IMAGE_FILE])
def test_weights_that_are_not_finite(directory, name):
    tensors = load_file(directory / name)
    rewrite(directory, name, {key: torch.full_like(tensor, np.nan) for key, tensor in tensors.items()})
    assert "finite" in refused(directory)


class Mark:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_no_pickle_of_a_model_directory_is_run(directory, tmp_path):
    marker = tmp_path / "marker"
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": {}, "model_args": {}}))
    torch.save(Mark(marker), trap / "pytorch_model.bin")
    torch.save(Mark(marker), trap / "open_clip_pytorch_model.bin")
    (trap / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"embed_dim": 16}}))
    with pytest.raises(ModelError):
        load_model(str(trap))
    for keys, value in [
        ((*VISION, "timm_model_name"), f"local-dir:{trap}"),
        ((*VISION, "timm_model_pretrained"), True),
        (("encoder", "architecture"), f"local-dir:{trap}"),
        (("encoder", "pretrained"), f"{trap}/pytorch_model.bin"),
    ]:
        change(directory, keys, value)
        refused(directory)
    shutil.copy(trap / "pytorch_model.bin", directory / IMAGE_FILE)
    refused(directory)
    assert not marker.exists()
    torch.load(trap / "pytorch_model.bin", weights_only=False)
    assert marker.exists()  # it would have


def test_a_crop_that_the_encoder_does_not_take(directory):
    change(directory, ("preprocessing",), read(directory)["preprocessing"] | {"resize": [64, 64], "crop": [48, 48]})
    assert "frames are cut to (48, 48) pixels, its encoder takes (32, 48)" in refused(directory)


def read(directory):
    return json.loads((directory / "config.json").read_text())


def test_nothing_is_written_that_cannot_be_read(directory, tmp_path):
    config, state = read_config(directory), load_file(directory / HEAD_FILE)
    text_features = state.pop("text_features")
    with pytest.raises(DsanetError, match="one printable line"):
        save_model(tmp_path / "new", type(config)(**{**vars(config), "name": "a\nb"}), state, text_features)
    assert not (tmp_path / "new").exists()


def test_the_command_says_it_in_one_line(directory, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 16), np.float32))
    change(directory, ("head", "temporal_layers"), HUGE)
    for arguments in (("detect", tmp_path / "a.npy", "--model", directory, "-o", tmp_path / "out"),
                      ("models", "show", directory)):  # fmt: skip
        done = run(*arguments)
        assert done.returncode in (1, 2)
        assert done.stderr.count("\n") == 1
        assert "head.temporal_layers: expected `int` <= 64" in done.stderr


def test_a_program_that_has_read_a_model_ends_in_peace(directory):
    code = """
import gc, sys
import dsanet_cli.config as kept
from pathlib import Path
from dsanet_cli.records import decode_exactly
decode_exactly(kept.ModelConfig, Path(sys.argv[1]).read_bytes())
class Cycle: ...
cycle = Cycle()
cycle.itself, cycle.kept = cycle, kept
gc.disable()
"""
    done = subprocess.run([sys.executable, "-c", code, directory / "config.json"], check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
