"""``dsanet train``: the installed command on feature files made in the test."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from media import write_video
from test_cli import DSANET, run
from tiny import CLASSES, ENCODER, tiny_clip, tiny_config
from toy_features import write_list, write_toy_features

from dsanet_cli.sidecar import Extraction, tower_sha256, write_extraction
from dsanet_cli.weights import load_model

CLASSES_TOML = """
[[class]]
name = "calm"
labels = ["normal"]

[[class]]
name = "trouble"
prompts = ["people fighting", "an explosion"]
labels = ["fighting", "explosion"]
"""


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """A folder with a list of toy features, and ground truth for them as if they were a test set."""
    folder = tmp_path_factory.mktemp("features")
    videos = write_toy_features(folder)
    write_list(folder / "train.csv", videos)
    lines = [
        f"{video.video.name}  {CLASSES[video.classes[0]].name}  {'-1  -1' if video.normal else '16  64'}  -1  -1"
        for video in videos
    ]
    (folder / "gt.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def train(features, tiny_model, tmp_path):
    def command(*arguments, **options):
        usual = ("train", "--train", features / "train.csv", "--model", tiny_model)
        return run(*usual, "--lr", "2e-3", *arguments, cwd=tmp_path, **options)

    return command


def weights(folder: Path):
    return (folder / "best" / "head.safetensors").read_bytes()


def test_the_result_is_a_model_that_detect_takes(train, tmp_path):
    result = train("-o", "cams", "--epochs", "12", "--batch-size", "8")
    assert result.returncode == 0, result.stderr
    assert "training on 25 feature files for 12 epochs of 3 steps" in result.stderr
    assert "chosen on 7 videos held out of the training list" in result.stderr
    model = load_model(str(tmp_path / "cams" / "best"))
    assert model.config.name == "cams"
    assert model.config.class_names == ("normal", "explosion", "fighting")
    assert model.config.training["steps"] == "36 of 36"
    assert model.config.preprocessing == tiny_config().preprocessing
    write_video(tmp_path / "clip.mp4", frames=40)
    found = run("detect", "clip.mp4", "--model", "cams/best", "-f", "json", "-o", "-", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert list(json.loads(found.stdout)["snippets"][0]["probabilities"]) == ["normal", "explosion", "fighting"]


def test_training_tells_the_toy_classes_apart(train, features, tmp_path):
    assert train("-o", "out", "--epochs", "60", "--batch-size", "16").returncode == 0
    model = load_model(str(tmp_path / "out" / "best"))
    assert 0.3 < model.config.events.threshold < 1.0
    verdicts = run("detect", features / "*.npy", "--model", "out/best", "-f", "csv", "-o", "found", cwd=tmp_path)
    assert verdicts.returncode == 0, verdicts.stderr
    with (tmp_path / "found" / "summary.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    right = [row["label"] == Path(row["path"]).name.rstrip("_0123456789.npy").rstrip("0123456789") for row in rows]
    assert len(rows) == 32
    assert np.mean(right) > 0.8


def test_log_and_loss_curves(train, tmp_path):
    assert train("-o", "out", "--epochs", "3", "--batch-size", "8").returncode == 0
    with (tmp_path / "out" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == [str(n) for n in range(1, 10)]
    assert [bool(row["validation"]) for row in rows] == [False, False, True] * 3
    losses = ["classification", "alignment", "text_separation", "event", "background", "consistency", "gather"]
    total = sum(float(rows[4][name]) for name in losses) + 0.1 * float(rows[4]["alignment"])
    assert float(rows[4]["total"]) == pytest.approx(total, rel=1e-5)
    assert (tmp_path / "out" / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_weights_chosen_on_the_test_list(train, features, tmp_path):
    result = train("-o", "out", "--test", features / "train.csv", "--gt", features / "gt.txt", "--epochs", "4",
                   "--batch-size", "8")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "training on 32 feature files" in result.stderr
    assert "chosen on the test list, as the authors do" in result.stderr
    config = json.loads((tmp_path / "out" / "best" / "config.json").read_text())
    name, figure = config["training"]["selected by"].split(", ")
    assert name == "AUC on the test list"
    evaluated = run("eval", "--model", "out/best", "--list", features / "train.csv", "--gt", features / "gt.txt",
                    cwd=tmp_path)  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stderr
    metrics = (tmp_path / "dsanet-eval" / "metrics.json").read_text()
    assert f"{float(figure):.4f}"[:5] in metrics


def test_a_test_list_need_not_choose(train, features):
    result = train("--test", features / "train.csv", "--gt", features / "gt.txt", "--select-on", "train-split",
                   "--epochs", "1", "--batch-size", "8")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "held out of the training list" in result.stderr


def test_ctrl_c_leaves_what_resume_needs(train, features, tiny_model, tmp_path):
    settings = ("--epochs", "40", "--batch-size", "8")
    assert train("-o", "straight", *settings).returncode == 0
    arguments = ["train", "--train", features / "train.csv", "--model", tiny_model, "--lr", "2e-3", "-o", "broken",
                 *settings]  # fmt: skip
    process = subprocess.Popen(
        [DSANET, *map(str, arguments)], cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in process.stderr:
        if "epoch 3/" in line:
            break
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert "go on with --resume" in rest
    assert "Traceback" not in rest
    stopped = json.loads((tmp_path / "broken" / "best" / "config.json").read_text())["training"]["steps"]
    assert int(stopped.split()[0]) < 120
    resumed = train("-o", "broken", *settings, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert f"resuming after step {stopped.split()[0]} of 120" in resumed.stderr
    assert weights(tmp_path / "broken") == weights(tmp_path / "straight")
    assert (tmp_path / "broken" / "log.csv").read_text() == (tmp_path / "straight" / "log.csv").read_text()


def test_a_killed_training_goes_on_from_its_last_epoch(train, features, tiny_model, tmp_path):
    settings = ("--epochs", "40", "--batch-size", "8")
    assert train("-o", "straight", *settings).returncode == 0
    arguments = ["train", "--train", features / "train.csv", "--model", tiny_model, "--lr", "2e-3", "-o", "killed",
                 *settings]  # fmt: skip
    process = subprocess.Popen([DSANET, *map(str, arguments)], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "killed" / "last" / "checkpoint.pt").exists():
        time.sleep(0.05)
        assert process.poll() is None
    process.kill()
    process.wait()
    resumed = train("-o", "killed", *settings, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")


def test_a_training_is_not_overwritten_by_accident(train, tmp_path):
    assert train("-o", "out", "--epochs", "1", "--batch-size", "8").returncode == 0
    before = weights(tmp_path / "out")
    again = train("-o", "out", "--epochs", "2", "--batch-size", "8")
    assert again.returncode == 1
    assert "out: holds a training; go on with --resume, or begin anew with --overwrite" in again.stderr
    assert weights(tmp_path / "out") == before
    assert train("-o", "out", "--epochs", "2", "--batch-size", "8", "--overwrite").returncode == 0
    assert weights(tmp_path / "out") != before


def test_resume_wants_the_same_settings(train):
    assert train("-o", "out", "--epochs", "1", "--batch-size", "8").returncode == 0
    other = train("-o", "out", "--epochs", "2", "--batch-size", "8", "--seed", "5", "--resume")
    assert other.returncode == 2
    assert "checkpoint.pt: belongs to a training with other settings (epochs, seed, training files)" in other.stderr


def test_nothing_to_resume(train):
    result = train("-o", "new", "--resume")
    assert result.returncode == 2
    assert "nothing to resume; drop --resume to begin" in result.stderr


def test_a_damaged_checkpoint(train, tmp_path):
    (tmp_path / "out" / "last").mkdir(parents=True)
    (tmp_path / "out" / "last" / "checkpoint.pt").write_bytes(b"PK broken")
    result = train("-o", "out", "--epochs", "1", "--batch-size", "8", "--resume")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: out/last/checkpoint.pt: damaged or cut off")


def test_own_classes_and_prompts(train, tmp_path):
    (tmp_path / "classes.toml").write_text(CLASSES_TOML)
    result = train("--classes", "classes.toml", "-o", "out", "--epochs", "1", "--batch-size", "8")
    assert result.returncode == 0, result.stderr
    config = load_model(str(tmp_path / "out" / "best")).config
    assert [(c.name, len(c.prompts)) for c in config.classes] == [("calm", 1), ("trouble", 2)]


def test_a_small_list_gets_small_batches_and_many_epochs(train):
    result = train("--epochs", "1", "-o", "out")
    assert "for 1 epochs of 4 steps" in result.stderr


def test_parts_can_be_left_out(train, tmp_path):
    settings = ("--epochs", "2", "--batch-size", "8")
    assert train("-o", "whole", *settings).returncode == 0
    result = train("-o", "out", *settings, "--without", "sg-nm", "--without", "dcsa")
    assert result.returncode == 0, result.stderr
    assert weights(tmp_path / "out") != weights(tmp_path / "whole")
    assert load_model(str(tmp_path / "out" / "best")).config.training["without"] == "sg_nm, dcsa"


def test_missing_files_are_named(train, features, tiny_model, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text((features / "train.csv").read_text() + "/home/ann/gone__0.npy,fighting\n")
    usual = ("train", "--train", listing, "--model", tiny_model, "--epochs", "1", "--batch-size", "8")
    refused = run(*usual, cwd=tmp_path)
    assert refused.returncode == 1
    assert "1 of 33 feature files are missing: /home/ann/gone__0.npy" in refused.stderr
    skipped = run(*usual, "--skip-missing", cwd=tmp_path)
    assert skipped.returncode == 3, skipped.stderr
    assert "missing: /home/ann/gone__0.npy" in skipped.stderr
    assert "1 feature files are missing, going on with 32" in skipped.stderr


def test_lists_of_another_machine(features, tiny_model, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text((features / "train.csv").read_text().replace(str(features), "/home/ann/UCF"))
    result = run("train", "--train", listing, "--root", features, "--model", tiny_model, "--epochs", "1",
                 "--batch-size", "8", cwd=tmp_path)  # fmt: skip
    assert result.returncode == 0, result.stderr


def sidecar(folder, model, sha256):
    extraction = Extraction(
        encoder=ENCODER,
        weights_sha256=sha256,
        preprocessing=tiny_config().preprocessing,
        sampled_frames=16,
        crops=(0,),
        storage="float32",
        precision="fp32",
        model=str(model),
    )
    write_extraction(folder, extraction)


def test_the_encoder_is_the_one_that_made_the_features(tiny_model, tmp_path):
    folder = tmp_path / "features"
    folder.mkdir()
    write_list(folder / "train.csv", write_toy_features(folder))
    sidecar(folder, tiny_model, tower_sha256(tiny_clip().visual))
    usual = ("train", "--train", folder / "train.csv", "--epochs", "1", "--batch-size", "8")
    result = run(*usual, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert load_model(str(tmp_path / "dsanet-training" / "best")).config.encoder == ENCODER
    sidecar(folder, tiny_model, "0" * 64)
    refused = run(*usual, "-o", "other", cwd=tmp_path)
    assert refused.returncode == 1
    assert "features were extracted with other weights than these of tiny" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "ucf-crime"), "preset ucf-crime: takes features 512 wide, tiny gives 16"),
        (("--preset", "ucf-crime", "--classes", "x.toml"), "--preset and --classes both"),
        (("--test", "x.csv"), "--test and --gt go together"),
        (("--select-on", "test"), "--select-on test needs --test and --gt"),
    ],
)
def test_settings_that_contradict_each_other(train, arguments, message):
    result = train(*arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_the_encoder_stays_as_published(train, tiny_model, tmp_path):
    assert train("-o", "out", "--epochs", "1", "--batch-size", "8").returncode == 0
    one, other = (load_model(str(path)).image_tower().state_dict() for path in (tiny_model, tmp_path / "out" / "best"))
    assert all(torch.equal(one[name], other[name]) for name in one)
