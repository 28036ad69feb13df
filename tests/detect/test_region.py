"""``--region`` and ``--mask`` on the installed command: two videos that differ in their left halves only.

Where the left half is cut off or hidden, they have the same scores; elsewhere they have not.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from commands import run
from media import write_halves, write_mask, write_video
from PIL import Image
from web import served

LEFT_HALF = np.arange(128)[None].repeat(96, 0) < 64
RIGHT = "0.5,0,0.5,1"
KEPT = "2 results of an earlier run kept"


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halves")
    for name, left in (("one", 100), ("two", 3000)):
        write_halves(folder / f"{name}.mkv", left, 900)
    return folder


@pytest.fixture
def detect(tiny_model, tmp_path, videos):
    write_mask(tmp_path / "m.png", LEFT_HALF)
    return lambda *arguments: run("detect", "--model", tiny_model, "-f", "json", "-o", "out", *arguments, cwd=tmp_path)


def result(tmp_path, name="one"):
    return json.loads((tmp_path / "out" / f"{name}.json").read_text())


def scores(tmp_path, name="one"):
    return [snippet["score"] for snippet in result(tmp_path, name)["snippets"]]


@pytest.mark.parametrize("scan", [(), ("--scan",), ("--scan", "--scan-level", "0")])
@pytest.mark.parametrize("options", [("--region", RIGHT), ("--mask", "m.png"), ()])
def test_what_is_hidden_changes_no_score(detect, videos, tmp_path, options, scan):
    done = detect(videos, *options, *scan)
    assert done.returncode == 0, done.stderr
    assert (scores(tmp_path, "one") == scores(tmp_path, "two")) == bool(options)


def test_what_was_looked_at_is_in_the_result_and_compared(detect, videos, tmp_path):
    assert "hides all of the region" in detect(videos, "--region", "0,0,0.5,1", "--mask", "m.png").stderr
    write_mask(tmp_path / "m.png", LEFT_HALF[:, ::-1] & (np.arange(96)[:, None] < 30))
    detect(videos, "--region", RIGHT, "--mask", "m.png")
    sampling = result(tmp_path)["sampling"]
    assert sampling["region"] == [0.5, 0, 0.5, 1]
    assert len(sampling["mask"]) == 64
    (tmp_path / "elsewhere.png").write_bytes((tmp_path / "m.png").read_bytes())
    assert KEPT in detect(videos, "--region", RIGHT, "--mask", "elsewhere.png").stderr
    assert "kept" not in detect(videos, "--region", "0.4,0,0.6,1", "--mask", "m.png").stderr
    write_mask(tmp_path / "m.png", LEFT_HALF[:, ::-1] & (np.arange(96)[:, None] < 40))
    assert "kept" not in detect(videos, "--region", "0.4,0,0.6,1", "--mask", "m.png").stderr
    assert result(tmp_path)["sampling"]["mask"] != sampling["mask"]
    assert "kept" not in detect(videos, "--region", "0.4,0,0.6,1").stderr
    assert "kept" not in detect(videos).stderr
    assert {"region", "mask"}.isdisjoint(result(tmp_path)["sampling"])
    assert KEPT in detect(videos, "--region", "0,0,1,1").stderr


def test_a_plot_shows_the_part_that_was_looked_at(tiny_model, videos, tmp_path):
    run("detect", "--model", tiny_model, videos / "one.mkv", "--region", RIGHT, "-f", "png", "-o", "out", cwd=tmp_path)
    part = np.asarray(Image.open(tmp_path / "out" / "one.png").convert("RGB")).astype(int)
    run("detect", "--model", tiny_model, videos / "one.mkv", "-f", "png", "-o", "whole", cwd=tmp_path)
    whole = np.asarray(Image.open(tmp_path / "whole" / "one.png").convert("RGB")).astype(int)
    # Pure red is in pictures only: in the whole one the left corner of each half, in the part that of its own.
    wide = [np.ptp(np.nonzero((image[..., 0] > 240) & (image[..., 1:].max(axis=2) < 16))[1]) for image in (part, whole)]
    assert 0 < 2 * wide[0] < wide[1]


def test_pictures_and_urls(detect, videos, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with av.open(str(videos / f"{name}.mkv")) as container:
            for number, frame in enumerate(container.decode(video=0)):
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(tmp_path / name / f"{number}.png")
    for options in (("--region", RIGHT), ("--mask", "m.png")):
        assert detect("one", "two", *options, "--overwrite").returncode == 0
        assert scores(tmp_path, "one") == scores(tmp_path, "two")
        with served(videos) as address:
            assert detect(f"{address}/one.mkv", f"{address}/two.mkv", *options, "--overwrite").returncode == 0
        assert result(tmp_path)["video"]["codec"] == "ffv1"
        assert scores(tmp_path, "one") == scores(tmp_path, "two")


def profile(tmp_path, text):
    (tmp_path / "cameras").mkdir(exist_ok=True)
    (tmp_path / "cameras" / "p.toml").write_text(text)
    return "--profile", "cameras/p.toml"


def test_cameras_have_regions_and_masks_of_their_own(detect, videos, tmp_path):
    (tmp_path / "cameras").mkdir()
    write_mask(tmp_path / "cameras" / "right.png", LEFT_HALF[:, ::-1])
    text = (
        'region = [0.5, 0, 0.5, 1]\n[[camera]]\nmatch = "two"\nregion = [0, 0, 1, 1]\nmask = "right.png"\n'
        '[[camera]]\nmatch = "three"\nmask = ""\n'
    )
    write_halves(tmp_path / "three.mkv", 2000, 900)
    for path in videos.iterdir():
        shutil.copy(path, tmp_path)
    arguments = ["one.mkv", "two.mkv", "three.mkv", *profile(tmp_path, text)]
    first = detect(*arguments)
    assert first.returncode == 0, first.stderr
    assert scores(tmp_path, "one") == scores(tmp_path, "three") != scores(tmp_path, "two")
    found = {name: result(tmp_path, name)["sampling"] for name in ("one", "two", "three")}
    assert [sampling.get("region") for sampling in found.values()] == [[0.5, 0, 0.5, 1], None, [0.5, 0, 0.5, 1]]
    assert [name for name, sampling in found.items() if "mask" in sampling] == ["two"]
    # Behind its mask, the second video is as any other with that left half.
    write_halves(tmp_path / "two.mkv", 3000, 77)
    before = scores(tmp_path, "two")
    assert detect("two.mkv", "--overwrite", *profile(tmp_path, text)).returncode == 0
    assert scores(tmp_path, "two") == before
    detect(*arguments, "--region", "0,0,1,1", "--mask", "m.png", "--overwrite")
    assert {str(result(tmp_path, name)["sampling"].get("region")) for name in found} == {"None"}
    assert len({result(tmp_path, name)["sampling"]["mask"] for name in found}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region = [0, 0, 2, 1]", "p.toml: .*region"),
        ("region = [0.5, 0, 0.6, 1]", "p.toml: region 0.5,0,0.6,1: give left, top"),
        ("region = [0, 0, 1]", "p.toml: .*region"),
        ('[[camera]]\nmatch = "one"\nregion = "0,0,1,1"', "p.toml: .*region"),
        ('mask = "none.png"', "mask cameras/none.png: cannot be read"),
        ('[[camera]]\nmatch = "one"\nmask = "none.png"', "mask cameras/none.png: cannot be read"),
    ],
)
def test_a_profile_with_a_region_or_mask_that_is_none(detect, videos, tmp_path, text, message):
    failed = detect(videos, *profile(tmp_path, text))
    assert failed.returncode == 2
    assert len(failed.stderr.splitlines()) == 1
    assert re.search(message, failed.stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--region", "0,0,1"), "error: --region 0,0,1: give left, top, width and height as four shares"),
        (("--region", "0 0 1 1"), "as four shares of the picture"),
        (("--region", "10,10,50,50"), "not in pixels"),
        (("--region", "0,0,nan,1"), "not in pixels"),
        (("--mask", "none.png"), "error: mask none.png: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_region_or_mask_ends_the_run_at_once(detect, videos, options, message):
    failed = detect(videos, *options)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_what_does_not_go_with_a_video_is_its_error(detect, videos, tmp_path):
    write_video(tmp_path / "small.mp4", 20, height=72, width=128)
    failed = detect("small.mp4", videos / "one.mkv", "--mask", "m.png")
    assert failed.returncode == 3
    assert "small.mp4: has pictures of 128 x 72 pixels, and the mask m.png of another shape, 128 x 96" in failed.stderr
    failed = detect(videos / "two.mkv", "--region", "0,0,0.1,0.1")
    assert failed.returncode == 1
    assert "two.mkv: the region is 13 x 10 of its 128 x 96 pixels" in failed.stderr
    done = detect(videos / "two.mkv", "--region", "0,0,0.25,1")
    assert done.returncode == 0
    assert "two.mkv: the region is only 32 x 96 pixels of the picture, in which little can be told" in done.stderr
    assert "little can be told" not in detect(videos / "two.mkv", "--region", "0,0,1,0.9").stderr


def test_features_know_of_which_region_they_are(detect, tiny_model, videos, tmp_path):
    extracted = run("extract", videos, "--model", tiny_model, "-o", "features", "--region", RIGHT, cwd=tmp_path)
    assert extracted.returncode == 0, extracted.stderr
    feature = "features/one__0.npy"
    assert detect(feature, "--region", RIGHT).returncode == 0
    for other in ("0,0,0.5,1", "0,0,1,1"):
        failed = detect(feature, "--region", other)
        assert failed.returncode == 1
        assert "one__0.npy: features of another region, 0.5,0,0.5,1, not" in failed.stderr
    assert "features made without a mask" in detect(feature, "--region", RIGHT, "--mask", "m.png").stderr
    assert "no effect" not in detect(feature, "--region", RIGHT).stderr
    assert detect(feature, "--overwrite").returncode == 0
    assert result(tmp_path, "one__0")["sampling"]["region"] == [0.5, 0, 0.5, 1]
    Path(tmp_path / "features" / "extraction.json").unlink()
    done = detect(feature, "--region", RIGHT)
    assert "note: --region or --mask has no effect on feature files" in done.stderr
