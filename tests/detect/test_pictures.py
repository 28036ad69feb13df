"""Pictures and URLs through the installed command."""

from __future__ import annotations

import json
import os

import pytest
from commands import run
from media import picture, write_video
from PIL import Image
from web import served


@pytest.fixture
def detect(tiny_model, tmp_path):
    return lambda *arguments: run("detect", "--model", tiny_model, "-t", 0, "-f", "json", *arguments, cwd=tmp_path)


def test_pictures_are_analysed_as_one_video_and_kept_while_they_are_the_same(detect, tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(20):
        Image.fromarray(picture(number)).save(tmp_path / "frames" / f"{number}.png")
    result = detect("frames/*.png", "--fps", 10)
    assert result.returncode == 0, result.stderr
    assert "frames/*.png: 20 pictures as one video, 10 a second" in result.stderr
    assert result.stdout.startswith("[00:00.00 -> 00:02.00] ")
    video = json.loads((tmp_path / "dsanet-results" / "frames.json").read_text())["video"]
    assert (video["path"], video["frames"], video["fps"], video["codec"]) == ("frames/*.png", 20, "10/1", "png")

    def kept(fps=10):
        return "1 result of an earlier run kept" in detect("frames/*.png", "--fps", fps, "--skip-existing").stderr

    assert kept()
    assert not kept(fps=20)
    Image.fromarray(picture(21, 64, 64)).save(tmp_path / "frames" / "3.png")
    assert not kept(fps=20)


def test_a_video_behind_a_url(detect, tmp_path):
    write_video(tmp_path / "a.mp4", 40)
    with served(tmp_path) as address:
        result = detect(f"{address}/a.mp4?key=1", f"{address}/gone.mp4")
    assert result.returncode == 3
    assert f"{address}/a.mp4?key=1: [00:00.00 -> 00:01.60] " in result.stdout
    assert f"error: {address}/gone.mp4: cannot be read: 404" in result.stderr
    data = json.loads((tmp_path / "dsanet-results" / "a.json").read_text())
    assert data["video"]["path"] == f"{address}/a.mp4?key=1"
    assert data["video"]["bytes"] == (tmp_path / "a.mp4").stat().st_size


@pytest.mark.parametrize("folder", ["", "tagged/"])
def test_a_video_behind_a_url_that_was_replaced_is_analysed_again(detect, tmp_path, folder):
    path = tmp_path / folder / "a.mp4"
    path.parent.mkdir(exist_ok=True)
    write_video(path, 40)

    with served(tmp_path) as address:

        def kept():
            return "1 result of an earlier run kept" in detect(f"{address}/{folder}a.mp4", "--skip-existing").stderr

        assert [kept(), kept()] == [False, True]
        content, status = bytearray(path.read_bytes()), path.stat()
        content[-1] ^= 1  # of the same size
        path.write_bytes(content)
        os.utime(path, (status.st_atime, status.st_mtime + 10))
        assert [kept(), kept()] == [False, True]
        video = json.loads((tmp_path / "dsanet-results" / "a.json").read_text())["video"]
        assert ("etag" in video, video["mtime"] > 0) == ((True, False) if folder else (False, True))
