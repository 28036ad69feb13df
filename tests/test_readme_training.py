"""The README's chapter on training: its commands take sorted videos to a model that detect uses."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from commands import ROOT, run
from media import write_video

CHAPTER = re.compile(r"^## Train your own\n.*?```sh\n(?P<commands>.*?)```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def videos(tmp_path):
    for label in ("Normal", "Fighting"):
        (tmp_path / "my-videos" / label).mkdir(parents=True)
        for number in range(8):
            write_video(tmp_path / "my-videos" / label / f"{number}.mp4", frames=40 + number)
    write_video(tmp_path / "new-video.mp4", frames=50)


@pytest.mark.usefixtures("videos")
def test_from_sorted_videos_to_a_model_of_ones_own(tiny_model, tmp_path):
    chapter = CHAPTER.search((ROOT / "README.md").read_text(encoding="utf-8"))
    commands = [shlex.split(line, comments=True)[1:] for line in chapter["commands"].splitlines()]
    assert [command[0] for command in commands] == ["extract", "train", "models", "detect"]
    # Small and offline: another encoder than the published one, and few steps.
    commands[0] += ["--model", str(tiny_model)]
    commands[1] += ["--epochs", "2"]
    for command in commands:
        result = run(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "dsanet-results" / "new-video.json").read_text())
    assert found["model"]["name"] == "my-model"
    assert list(found["snippets"][0]["probabilities"]) == ["normal", "fighting"]
