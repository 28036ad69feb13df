from __future__ import annotations

import subprocess
import sys

import pytest
from media import write_video

from dsanet_cli.video import decoder_pool
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.messages import DecodeJob, Decoding, Finished

HEAVY = ("torch", "open_clip", "matplotlib", "typer", "sklearn", "fsspec", "safetensors", "scipy")
LIST_MODULES = """
import runpy, sys
from dsanet_cli.video.reader import VideoReader
decode = VideoReader.snippets
def snippets(self, wanted):
    yield from decode(self, wanted)
    with open({path!r}, "w") as stream:
        stream.write(" ".join(sys.modules))
VideoReader.snippets = snippets
runpy.run_module("dsanet_cli.video.decoder_process", run_name="__main__")
"""


def test_nothing_heavy_is_loaded_where_videos_are_decoded(tmp_path):
    listing = tmp_path / "modules"
    command = (sys.executable, "-P", "-c", LIST_MODULES.format(path=str(listing)))
    pool = DecoderPool(1, 60, 8, command)
    job = DecodeJob(write_video(tmp_path / "a.mp4", 40), Decoding((32, 48), 2, 16), 1)
    messages = [item[1] for item in pool.run([Task(job)]) if item is not None]
    assert isinstance(messages[-1], Finished)
    loaded = set(listing.read_text().split())
    assert {"av", "decord", "dsanet_cli.video.reader"} <= loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("stdin", [b"", b"anything\n"])
def test_started_by_hand_it_removes_nothing(tmp_path, stdin):
    folder = tmp_path / "precious"
    folder.mkdir()
    command = [*decoder_pool.COMMAND, str(folder)]
    result = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.decode() == (
        "error: this is the part of dsanet that decodes, and started by it; use dsanet detect\n"
    )
    assert folder.is_dir()
