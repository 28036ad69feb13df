from __future__ import annotations

import subprocess
import sys

import pytest

BEFORE_TORCH = """
import sys
from pathlib import Path
from dsanet_cli.video.decord_decoder import load_decord
before = sys.modules.get("nvidia")
load_decord()
assert sys.modules.get("nvidia") is before
print("cublas" in Path("/proc/self/maps").read_text())
import torch
x = torch.randn(1, 2, 8, 16)
torch.nn.functional.scaled_dot_product_attention(x, x, x)
print(bool(torch.isfinite(torch.randn(64, 64) @ torch.randn(64, 64)).all()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_decord_brings_no_cuda_libraries_along():
    result = subprocess.run([sys.executable, "-c", BEFORE_TORCH], check=False, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "False\nTrue\n"), result.stderr


@pytest.mark.parametrize("module", ["detect.run", "extract.run", "detect.ray_actor", "video.reader"])
def test_decord_is_not_loaded_before_a_video_is_opened(module):
    program = f"import sys, dsanet_cli.{module}; print('decord' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr
