from __future__ import annotations

import pytest
import torch
from tiny import ENCODER, tiny_config

from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import FeatureError
from dsanet_cli.features.sidecar import SIDECAR_FILE, Extraction, read_extraction, write_extraction

EXTRACTION = Extraction(
    encoder=ENCODER,
    weights_sha256="0" * 64,
    preprocessing=tiny_config().preprocessing,
    sampled_frames=16,
    crops=(0, 5),
    storage="float16",
    precision="fp32",
)


def test_the_sidecar_of_a_folder_is_found_from_below(tmp_path):
    write_extraction(tmp_path, EXTRACTION)
    below = tmp_path / "Abuse" / "old"
    below.mkdir(parents=True)
    assert read_extraction(below) == EXTRACTION


def test_no_sidecar(tmp_path):
    assert read_extraction(tmp_path) is None


def test_a_damaged_sidecar(tmp_path):
    (tmp_path / SIDECAR_FILE).write_text('{"encoder": 1}')
    with pytest.raises(FeatureError, match=r"extraction.json: damaged .* extract the features again"):
        read_extraction(tmp_path)


def test_the_hash_is_of_names_shapes_and_values():
    layer = torch.nn.Linear(2, 3)
    same = torch.nn.Linear(2, 3)
    same.load_state_dict(layer.state_dict())
    assert tower_sha256(layer) == tower_sha256(same.double())
    with torch.no_grad():
        same.weight[0, 0] += 1
    assert tower_sha256(layer) != tower_sha256(same)
