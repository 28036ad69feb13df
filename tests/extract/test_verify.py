from __future__ import annotations

import numpy as np
import pytest
import torch
from commands import run
from media import damage, write_video
from tiny import MARGINS, WIDTH, tiny_clip
from typer.testing import CliRunner

from dsanet_cli.cli.app import app
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.errors import FeatureError, UsageError, VideoError
from dsanet_cli.extract.verify import VerifySettings, cosine, run_verify
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.video.reader import open_video

POOLED = {
    "mean of all frames": lambda features: features.mean(axis=0),
    "first frame": lambda features: features[0],
    "middle frame": lambda features: features[8],
}


@pytest.fixture
def model(margins_model):
    return margins_model


@pytest.fixture
def published(tmp_path):
    """Write the feature file that a pooling of a crop gives for ``clip.mp4``."""
    encoder = FrameEncoder(tiny_clip().visual, MARGINS, torch.device("cpu"), torch.float32)

    def write(pooling, crop=0, name=None):
        snippets = open_video(tmp_path / "clip.mp4", MARGINS.resize, 16).snippets()
        features = [POOLED[pooling](encoder.encode(s.frames, crop)) for s in snippets if len(s.frames) == 16]
        path = tmp_path / (name or f"clip__{crop}.npy")
        np.save(path, np.stack(features))
        return path

    return write


@pytest.fixture
def verify(model, tmp_path):
    def run_in_process(path, **changes):
        settings = {
            "published": path,
            "video": tmp_path / "clip.mp4",
            "encoder": EncoderChoice(model=str(model)),
            "device": "cpu",
            "precision": "fp32",
        }
        return run_verify(VerifySettings(**{**settings, **changes}))

    return run_in_process


@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("batch_size", [None, 1])
def test_the_pooling_is_recognised(published, verify, tmp_path, capsys, pooling, batch_size):
    write_video(tmp_path / "clip.mp4", frames=16 * 3 + 5)
    comparison = verify(published(pooling), batch_size=batch_size)
    assert comparison.ranking[0] == pooling
    assert (comparison.extracted, comparison.published) == (3, 3)
    np.testing.assert_allclose(comparison.cosines[pooling], 1, atol=1e-5)
    assert all(values.mean() < 0.999 for name, values in comparison.cosines.items() if name != pooling)
    np.testing.assert_allclose(comparison.starts, [0, 0.64, 1.28])
    output = capsys.readouterr().out
    assert f"the {pooling} fits best: mean cosine 1.0000, " in output
    assert "      2   00:01.28  1.0000" in output
    assert "lengths differ" not in output
    assert "something else differs" not in output


def test_cosines_of_the_poolings_are_those_of_the_frames(published, verify, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=32)
    mean, first = (np.load(published(name, name=f"{name}.npy")) for name in ("mean of all frames", "first frame"))
    expected = (mean * first).sum(1) / np.linalg.norm(mean, axis=1) / np.linalg.norm(first, axis=1)
    np.testing.assert_allclose(verify(published("first frame")).cosines["mean of all frames"], expected, atol=1e-5)


def test_the_crop_is_the_one_the_file_name_says(published, verify, tmp_path, capsys):
    write_video(tmp_path / "clip.mp4", frames=32)
    comparison = verify(published("mean of all frames", crop=7))
    np.testing.assert_allclose(comparison.cosines["mean of all frames"], 1, atol=1e-5)
    assert "crop 7 (as the file name says)" in capsys.readouterr().err
    other = verify(published("mean of all frames", crop=7, name="clip.npy"))
    assert other.cosines["mean of all frames"].max() < 0.9999
    assert "crop 0 (which no file name says)" in capsys.readouterr().err


@pytest.mark.parametrize("frames", [37, 64])
def test_different_lengths(published, verify, tmp_path, capsys, frames):
    write_video(tmp_path / "clip.mp4", frames=48)
    path = published("mean of all frames")
    write_video(tmp_path / "clip.mp4", frames=frames)
    comparison = verify(path)
    assert (comparison.extracted, comparison.published) == (frames // 16, 3)
    compared = min(frames // 16, 3)
    assert len(comparison.starts) == len(comparison.cosines["first frame"]) == compared
    output = capsys.readouterr().out
    assert f"clip.mp4 has {frames // 16} whole snippets, {path} has 3; the first {compared} were compared" in output


def test_features_of_something_else(verify, tmp_path, capsys):
    write_video(tmp_path / "clip.mp4", frames=32)
    np.save(tmp_path / "clip__0.npy", np.random.default_rng(0).standard_normal((2, WIDTH)).astype(np.float16))
    comparison = verify(tmp_path / "clip__0.npy")
    assert comparison.cosines[comparison.ranking[0]].mean() < 0.9
    output = capsys.readouterr().out
    assert "below 0.9, something else differs: check the encoder and its activation" in output


def test_a_published_file_of_another_width(verify, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    np.save(tmp_path / "clip__0.npy", np.ones((1, 512), np.float32))
    with pytest.raises(FeatureError, match=r"clip__0\.npy: features are 512 wide"):
        verify(tmp_path / "clip__0.npy")


def test_a_video_that_is_none(verify, tmp_path):
    np.save(tmp_path / "clip__0.npy", np.ones((1, WIDTH), np.float32))
    (tmp_path / "clip.mp4").write_text("not a video")
    with pytest.raises(VideoError, match=r"clip\.mp4: not a video"):
        verify(tmp_path / "clip__0.npy")


def test_snippets_that_cannot_be_decoded_are_not_compared(published, verify, tmp_path):
    path = write_video(tmp_path / "clip.mp4", frames=96, gop=8)
    features = published("mean of all frames")
    damage(path, 28, 24)
    comparison = verify(features)
    np.testing.assert_allclose(comparison.starts, [0, 0.64, 1.92, 2.56, 3.2], atol=1e-6)
    assert (comparison.extracted, comparison.published) == (6, 6)
    # Of the second and the fourth snippet some frames are missing.
    np.testing.assert_allclose(comparison.cosines["mean of all frames"][[0, 3, 4]], 1, atol=1e-5)


def test_a_video_of_which_nothing_can_be_compared(verify, tmp_path):
    damage(write_video(tmp_path / "clip.mp4", frames=64, gop=8), 0, 20)
    np.save(tmp_path / "clip__0.npy", np.ones((1, WIDTH), np.float32))
    with pytest.raises(VideoError, match=r"clip\.mp4: none of its first 1 snippets can be decoded; copy it again"):
        verify(tmp_path / "clip__0.npy")


def test_cosine_of_an_empty_feature():
    assert cosine(np.zeros(3, np.float32), np.ones(3, np.float32)) == 0
    assert cosine(np.array([3, 0], np.float32), np.array([1, 1], np.float32)) == pytest.approx(0.5**0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "out"), "drop --output"),
        (("--crops", "center", "--storage", "fp16"), "drop --crops, --storage"),
        (("--frames-per-snippet", "4"), "drop --frames-per-snippet"),
        (("--overwrite",), "drop --skip-existing/--overwrite"),
        (("--list", "list.csv"), "drop --list"),
        (("other.mp4",), "name one only"),
    ],
)
def test_wrong_usage(options, message):
    result = CliRunner().invoke(app, ["extract", "clip.mp4", "--verify", "clip__0.npy", *options])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_the_command(model, published, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=40)
    published("middle frame")
    options = ("--model", model, "--precision", "fp32")
    result = run("extract", "--verify", "clip__0.npy", "clip.mp4", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "snippet      start  cosine (middle frame)"
    assert lines[1] == "      0   00:00.00  1.0000"
    assert lines[-1].startswith("the middle frame fits best: mean cosine 1.0000, ")
    assert {file.name for file in tmp_path.iterdir()} == {"clip.mp4", "clip__0.npy"}
