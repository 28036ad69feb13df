"""``dsanet train``: the installed command on feature files made in the test."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import DSANET, read_csv, run
from media import write_video
from tiny import CLASSES, ENCODER, tiny_clip, tiny_config
from toy_features import write_list, write_toy_features

from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import FeatureError, ModelError, OutputError, SourceError, TrainingError, UsageError
from dsanet_cli.evaluate.evaluation import TruthFiles
from dsanet_cli.features.sidecar import Extraction, MadeFrom, read_extraction, write_extraction
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.train import choice
from dsanet_cli.train import run as train_command
from dsanet_cli.train.run import TrainOutcome, TrainSettings, run_training
from dsanet_cli.train.trainer import Trainer

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
def settings(features, tiny_model, tmp_path):
    """Of a training of a moment; changes are given by name."""

    def make(output="out", **changes):
        usual = {
            "train_list": features / "train.csv",
            "encoder": EncoderChoice(model=str(tiny_model)),
            "learning_rate": 2e-3,
            "epochs": 1,
            "batch_size": 8,
            "device": "cpu",
        }
        return TrainSettings(output=tmp_path / output, **{**usual, **changes})

    return make


@pytest.fixture(scope="module")
def command(features, tiny_model):
    """The command line of a training of 120 steps, but for its output."""
    usual = ("train", "--train", features / "train.csv", "--model", tiny_model, "--lr", "2e-3")
    return [*map(str, usual), "--epochs", "40", "--batch-size", "8", "-o"]


@pytest.fixture(scope="module")
def straight(command, tmp_path_factory):
    """The folder of that training, never interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    result = run(*command, "cams", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "training on 25 feature files for 40 epochs of 3 steps" in result.stderr
    assert "chosen on 7 videos held out of the training list" in result.stderr
    assert "use it with --model cams/best" in result.stderr
    return folder / "cams"


def head(folder: Path):
    return (folder / "best" / "head.safetensors").read_bytes()


def test_the_result_is_a_model_that_detect_takes(straight, tmp_path):
    config = load_model(str(straight / "best")).config
    assert config.name == "cams"
    assert config.class_names == ("normal", "explosion", "fighting")
    assert config.training["steps"] == "120 of 120"
    assert config.preprocessing == tiny_config().preprocessing
    write_video(tmp_path / "clip.mp4", frames=40)
    found = run("detect", "clip.mp4", "--model", straight / "best", "-f", "json", "-o", "-", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert list(json.loads(found.stdout)["snippets"][0]["probabilities"]) == ["normal", "explosion", "fighting"]


def test_training_tells_the_toy_classes_apart(straight, features):
    model = load_model(str(straight / "best"))
    assert 0.3 <= model.config.events.threshold < 1.0
    detector = Detector(model, DetectSettings(device="cpu"))
    paths = sorted(features.glob("*.npy"))
    verdicts = {path.name: detector.detect(path).timeline.verdict for path in paths}
    right = [verdict.label == re.match("[a-z]+", name)[0] for name, verdict in verdicts.items()]
    assert len(right) == 32
    assert np.mean(right) > 0.7  # half of them are normal


def test_log_and_loss_curves(straight):
    with (straight / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == [str(n) for n in range(1, 121)]
    assert [bool(row["validation"]) for row in rows] == [False, False, True] * 40
    losses = ["classification", "alignment", "text_separation", "event", "background", "consistency", "gather"]
    total = sum(float(rows[4][name]) for name in losses) + 0.1 * float(rows[4]["alignment"])
    assert float(rows[4]["total"]) == pytest.approx(total, rel=1e-5)
    assert (straight / "losses.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_what_resume_needs(command, straight, tmp_path, number):
    with subprocess.Popen([DSANET, *command, "broken"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if "epoch 3/" in line:
                break
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 128 + number
    assert "go on with --resume" in rest
    assert "Traceback" not in rest
    stopped = json.loads((tmp_path / "broken" / "best" / "config.json").read_text())["training"]["steps"]
    assert int(stopped.split()[0]) < 120
    resumed = run(*command, "broken", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert f"resuming after step {stopped.split()[0]} of 120" in resumed.stderr
    assert head(tmp_path / "broken") == head(straight)
    assert (tmp_path / "broken" / "log.csv").read_text() == (straight / "log.csv").read_text()


def test_a_training_killed_as_an_epoch_ends_misses_none_in_its_log(settings, tmp_path, monkeypatch):
    run_training(settings("whole", epochs=3))
    save, calls = train_command.save_checkpoint, []

    def die(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise SystemExit(9)
        save(*arguments)

    monkeypatch.setattr(train_command, "save_checkpoint", die)
    with pytest.raises(SystemExit):
        run_training(settings(epochs=3))
    log = tmp_path / "out" / "log.csv"
    assert log.read_text() == "".join((tmp_path / "whole" / "log.csv").read_text().splitlines(True)[:7])
    monkeypatch.setattr(train_command, "save_checkpoint", save)
    run_training(settings(epochs=3, resume=True))
    assert log.read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_a_training_stopped_before_any_validation_leaves_no_model(settings, tmp_path, capsys):
    assert not run_training(settings(), lambda: contextlib.nullcontext(lambda: True)).finished
    assert "stopped after step 1 of 3; go on with --resume" in capsys.readouterr().err
    assert not (tmp_path / "out" / "best").exists()
    assert (tmp_path / "out" / "last" / "checkpoint.pt").exists()


def test_a_killed_training_goes_on_from_its_last_epoch(command, straight, tmp_path):
    with subprocess.Popen([DSANET, *command, "killed"], cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "killed" / "last" / "checkpoint.pt").exists():
            time.sleep(0.02)
            assert process.poll() is None
        process.kill()
    resumed = run(*command, "killed", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert head(tmp_path / "killed") == head(straight)


def test_weights_chosen_on_the_test_list(settings, features, tmp_path, capsys):
    tested = {"test_list": features / "train.csv", "truth": TruthFiles(annotations=features / "gt.txt")}
    run_training(settings(epochs=4, select_on_test=True, **tested))
    printed = capsys.readouterr().err
    assert "training on 32 feature files" in printed
    assert "chosen on the test list, as the authors do" in printed
    name, figure = load_model(str(tmp_path / "out" / "best")).config.training["selected by"].split(", ")
    assert name == "AUC on the test list"
    evaluated = run("eval", "--model", "out/best", "--list", features / "train.csv", "--gt", features / "gt.txt",
                    cwd=tmp_path)  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stderr
    metrics = json.loads((tmp_path / "dsanet-eval" / "metrics.json").read_text())
    assert float(figure) == pytest.approx(metrics["score"]["auc"], abs=1e-4)
    run_training(settings("other", **tested))
    assert "held out of the training list" in capsys.readouterr().err


def test_a_training_is_not_overwritten_by_accident(settings, tmp_path):
    run_training(settings())
    before = head(tmp_path / "out")
    with pytest.raises(OutputError, match="out: holds a training; go on with --resume, or begin anew"):
        run_training(settings(epochs=2))
    assert head(tmp_path / "out") == before
    run_training(settings(epochs=2, overwrite=True))
    assert head(tmp_path / "out") != before


def test_resume_wants_the_same_settings(settings):
    run_training(settings(epochs=2))
    with pytest.raises(UsageError, match=r"checkpoint.pt: belongs to .*\(batch size, held-out files, seed, training"):
        run_training(settings(epochs=2, batch_size=4, seed=5, resume=True))
    with pytest.raises(UsageError, match=r"--epochs 1: .*checkpoint.pt belongs to a training of 2; give as many"):
        run_training(settings(epochs=1, resume=True))


def test_resume_keeps_the_number_of_epochs(settings, tmp_path, capsys):
    run_training(settings(epochs=2))
    run_training(settings(epochs=None, resume=True))
    assert "resuming after step 6 of 6\n" in capsys.readouterr().err
    assert load_model(str(tmp_path / "out" / "best")).config.training["epochs"] == 2


def test_a_training_goes_on_for_more_epochs(settings, tmp_path, capsys):
    """From where it stands on, with the learning rates of a training of that length."""
    run_training(settings(epochs=2))
    run_training(settings(epochs=4, resume=True))
    assert "resuming after step 6 of 12, 2 epochs before\n" in capsys.readouterr().err
    assert load_model(str(tmp_path / "out" / "best")).config.training["steps"] == "12 of 12"
    run_training(settings("straight", epochs=4))
    lengthened, straight = (read_csv(tmp_path / name / "log.csv") for name in ("out", "straight"))
    assert [row["step"] for row in lengthened] == [str(n) for n in range(1, 13)]
    for name in ("learning_rate", "normality_learning_rate"):
        rates = [[float(row[name]) for row in rows] for rows in (lengthened, straight)]
        assert rates[0][:6] != rates[1][:6]
        assert rates[0][6:] == rates[1][6:]
        assert rates[0][6] > 0


@pytest.mark.parametrize("changed", ["test list", "ground truth"])
def test_resume_refuses_another_test(settings, features, tmp_path, changed):
    listing, truth = tmp_path / "test.csv", tmp_path / "gt.txt"
    listing.write_text((features / "train.csv").read_text())
    truth.write_text((features / "gt.txt").read_text())
    tested = {"test_list": listing, "truth": TruthFiles(annotations=truth), "select_on_test": True}
    run_training(settings(**tested))
    if changed == "test list":
        listing.write_text(re.sub(r".*007.*\n", "", listing.read_text()))
    else:
        truth.write_text(truth.read_text().replace("16  64", "16  65", 1))
    with pytest.raises(UsageError, match=rf"belongs to a training with other settings \({changed}\)"):
        run_training(settings(resume=True, epochs=2, **tested))


def test_a_test_list_may_move(settings, features, tmp_path):
    tested = {"test_list": features / "train.csv", "truth": TruthFiles(annotations=features / "gt.txt")}
    run_training(settings(select_on_test=True, **tested))
    moved = tmp_path / "moved"
    shutil.copytree(features, moved)
    (moved / "train.csv").write_text((features / "train.csv").read_text().replace(str(features), str(moved)))
    tested = {"test_list": moved / "train.csv", "truth": TruthFiles(annotations=moved / "gt.txt")}
    assert run_training(settings(select_on_test=True, resume=True, **tested)).finished


def test_ground_truth_without_an_anomaly_ends_before_training(settings, features, tmp_path):
    (tmp_path / "gt.txt").write_text((features / "gt.txt").read_text().replace("16  64", "-1  -1"))
    tested = {"test_list": features / "train.csv", "truth": TruthFiles(annotations=tmp_path / "gt.txt")}
    with pytest.raises(SourceError, match="of these 32 videos has no anomalous frame"):
        run_training(settings(select_on_test=True, **tested))
    assert not (tmp_path / "out").exists()


def test_divergence_is_one_line_and_leaves_the_best_weights(command, tmp_path):
    result = run(*command, "out", "--lr", "1e30", "--epochs", "50", cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    *_, line = result.stderr.splitlines()
    assert re.match(r"error: out: training diverged in step \d+, .*use a lower --learning-rate \(1e\+30 here\)", line)
    assert line.endswith("; it leaves no model") is not (tmp_path / "out" / "best").exists()


def test_divergence_later_leaves_the_model_of_before(settings, tmp_path, monkeypatch):
    taken = Trainer.step

    def diverge(self, batch):
        losses = taken(self, batch)
        return losses if self.steps < 7 else dataclasses.replace(losses, event=losses.event * math.nan)

    run_training(settings("whole", epochs=2))
    monkeypatch.setattr(Trainer, "step", diverge)
    with pytest.raises(TrainingError, match=r"in step 8, .*; best/ holds the best weights before that$"):
        run_training(settings(epochs=4))
    config = load_model(str(tmp_path / "out" / "best")).config
    assert config.training["steps"] in ("3 of 12", "6 of 12")
    assert len(read_csv(tmp_path / "out" / "log.csv")) == 7
    assert (tmp_path / "out" / "losses.png").exists()


def test_best_is_written_as_soon_as_it_improves(settings, tmp_path, monkeypatch):
    """Whatever ends the training, even before its checkpoint is written."""

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        run_training(settings(epochs=4))
    assert load_model(str(tmp_path / "out" / "best")).config.training["steps"] == "3 of 12"


def test_the_time_left_is_told_once_it_is_known(settings, capsys):
    run_training(settings(epochs=6))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    assert [bool(re.search(r", about \d+:\d\d left$", line)) for line in lines] == [False] * 3 + [True] * 2 + [False]


def test_the_threshold_is_calibrated_on_held_out_videos(straight, settings, features, tmp_path):
    """Of 16 normal videos three are held out; where the choice is made on a test list, none are."""
    told = load_model(str(straight / "best")).config.training["threshold"]
    assert re.fullmatch(
        r"at most 3 false events an hour, of 20 s each, on 3 held-out normal videos \(0\.00\d+ h\)", told
    )
    tested = {"test_list": features / "train.csv", "truth": TruthFiles(annotations=features / "gt.txt")}
    run_training(settings(select_on_test=True, **tested))
    told = load_model(str(tmp_path / "out" / "best")).config.training["threshold"]
    assert "on 16 normal videos it was trained on, as none were held out" in told


def test_the_threshold_follows_the_videos_it_is_calibrated_on(settings, tmp_path, monkeypatch):
    seen = []

    def calibrate(rule, curves, rate):
        seen.append((len(curves), rate, max(curve.ends[0] for curve in curves)))
        return dataclasses.replace(rule, threshold=0.77)

    monkeypatch.setattr("dsanet_cli.train.best.calibrate", calibrate)
    run_training(settings())
    assert set(seen) == {(3, 3.0, 16 / 30)}
    assert load_model(str(tmp_path / "out" / "best")).config.events.threshold == 0.77


def test_groups_of_the_list_are_held_out_as_a_whole(command, features, tmp_path):
    rows = (features / "train.csv").read_text().splitlines()[1:]
    grouped = "".join(f"{row},camera {number // 2}\n" for number, row in enumerate(rows))
    (tmp_path / "train.csv").write_text(f"path,label,group\n{grouped}")
    place = command.index("--train") + 1
    result = run(*command[:place], "train.csv", *command[place + 1 :], "cams", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = re.search(r"chosen on (\d) videos held out .* list: (\d) of its 16 groups, as a whole", result.stderr)
    assert found, result.stderr
    assert f"held-out videos of {found[2]} groups, AUC over whole videos" in result.stderr
    config = load_model(str(tmp_path / "cams" / "best")).config
    assert config.training["held out"] == "whole groups"
    written = json.loads((tmp_path / "cams" / "held-out.json").read_text())
    groups = [row["group"] for row in written["videos"]]
    assert len(groups) == 2 * len(set(groups)) == int(found[1])
    assert config.metrics["held-out videos"] == written["held-out videos"]


def test_the_held_out_figures_stand_beside_logistic_regression(straight, command, features, tmp_path):
    config = load_model(str(straight / "best")).config
    assert config.training["held out"] == "single videos"
    written = json.loads((straight / "held-out.json").read_text())
    videos = written.pop("videos")
    assert config.metrics == written
    value, low, high = written["held-out video AUC, 95 % interval"]
    assert value > 0.7
    assert low is high is None  # three and four videos
    assert written["held-out videos"] == {"normal": 3, "anomalous": 4, "groups": None}
    assert {Path(row["path"]).parent for row in videos} == {features}
    again = run(*command, "cams", "--resume", cwd=shutil.copytree(straight.parent, tmp_path / "copy"))
    assert "4 anomalous and 3 normal held-out videos, AUC over whole videos:" in again.stderr
    plain = written["the same of logistic regression on mean and spread"][0]
    assert f"this head {value:.3f}, a little too good, as its weights were chosen by these videos" in again.stderr
    assert f"logistic regression on mean and spread of the same features {plain:.3f}\n" in again.stderr
    assert "too few to tell how good the head is" in again.stderr


@pytest.fixture
def noted(tmp_path, tiny_model, monkeypatch):
    """Toy features whose note gives rates and lengths; the seconds that calibration sees of each normal video."""
    seen = set()

    def calibrate(rule, curves, rate):
        seen.update(float(curve.ends[0]) for curve in curves)
        return rule

    monkeypatch.setattr("dsanet_cli.train.best.calibrate", calibrate)

    def write(rate_of, seconds=None):
        folder = tmp_path / "features"
        folder.mkdir()
        videos = write_toy_features(folder)
        sidecar(folder, tiny_model, tower_sha256(tiny_clip().visual))
        made = tuple(
            MadeFrom(video.video.name, "/a.mp4", 1, 1, 9, (0,), "0", frames=144, fps=rate_of(number))
            for number, video in enumerate(videos)
        )
        note = dataclasses.replace(read_extraction(folder), videos=made, snippet_seconds=seconds)
        write_extraction(folder, note)
        return write_list(folder / "train.csv", videos), seen

    return write


def test_false_events_are_counted_by_the_true_rate_of_each_video(settings, noted, tmp_path, capsys):
    listing, seen = noted(lambda number: ("5/1", "25/1", "10/1")[number % 3])
    run_training(settings(train_list=listing))
    assert seen
    assert seen <= {16 / 5, 16 / 25, 16 / 10}
    assert len(seen) > 1
    assert "nothing says the frame rate" not in capsys.readouterr().err
    assert load_model(str(tmp_path / "out" / "best")).config.snippet_seconds is None


def test_a_rate_that_nothing_says_is_assumed_and_told(settings, noted, capsys):
    listing, seen = noted(lambda number: None)
    run_training(settings(train_list=listing))
    assert seen == {16 / 30}
    told = "nothing says the frame rate of 3 of 3 normal videos, so false events an hour are counted as if it were 30"
    assert capsys.readouterr().err.count(told) == 1


def test_a_model_has_snippets_as_long_as_those_it_was_trained_on(settings, noted, tmp_path):
    listing, _ = noted(lambda number: "25/1" if number else "5/1")
    run_training(settings(train_list=listing))
    assert load_model(str(tmp_path / "out" / "best")).config.snippet_seconds == 0.64


def test_features_by_time_give_a_model_by_time(settings, noted, tmp_path):
    listing, seen = noted(lambda number: None, seconds=0.5)
    run_training(settings(train_list=listing))
    assert seen == {0.5}
    assert load_model(str(tmp_path / "out" / "best")).config.snippet_seconds == 0.5


@pytest.mark.parametrize(
    ("normal", "fighting", "told"),
    [
        (16, 2, "no anomalous video is held out of the training list, .* list at least 3 of them"),
        (2, 16, "no normal video is held out of the training list"),
        (16, 16, "only 6 videos are held out of the training list, .* list more than 50 videos"),
        (6, 6, "10 videos are very few to train on"),
    ],
)
def test_small_and_lopsided_lists_are_warned_about(settings, features, tmp_path, capsys, normal, fighting, told):
    rng = np.random.default_rng(0)
    rows = [("normal", n) for n in range(normal)] + [("fighting", n) for n in range(fighting)]
    for name, number in rows:
        np.save(tmp_path / f"{name}{number}.npy", rng.standard_normal((5, 16)).astype(np.float32))
    listing = tmp_path / "list.csv"
    listing.write_text("path,label\n" + "".join(f"{name}{number}.npy,{name}\n" for name, number in rows))
    run_training(settings(train_list=listing, batch_size=2))
    assert re.search(f"^warning: {told}", capsys.readouterr().err, re.MULTILINE)


def test_enough_videos_are_not_warned_about(settings, tmp_path, capsys):
    listing = write_list(tmp_path / "list.csv", write_toy_features(tmp_path, videos=60))
    run_training(settings(train_list=listing))
    assert "warning" not in capsys.readouterr().err


def test_a_training_starts_from_a_models_head(settings, tmp_path):
    """With a learning rate of nothing, the model stays what it was: its classes, head and class features."""
    run_training(settings("first"))
    run_training(settings(start_from=str(tmp_path / "first" / "best"), learning_rate=1e-12, encoder=EncoderChoice()))
    before, after = load_model(str(tmp_path / "first" / "best")), load_model(str(tmp_path / "out" / "best"))
    assert after.config.classes == before.config.classes
    torch.testing.assert_close(after.head.state_dict(), before.head.state_dict())
    torch.testing.assert_close(after.text_features, before.text_features)


def test_a_training_on_new_classes_starts_from_a_models_head(settings, tmp_path):
    (tmp_path / "classes.toml").write_text(CLASSES_TOML)
    run_training(settings("first"))
    run_training(
        settings(start_from=str(tmp_path / "first" / "best"), learning_rate=1e-12, classes=tmp_path / "classes.toml")
    )
    before, after = load_model(str(tmp_path / "first" / "best")), load_model(str(tmp_path / "out" / "best"))
    assert after.config.class_names == ("calm", "trouble")
    torch.testing.assert_close(after.head.state_dict(), before.head.state_dict())


def test_a_head_of_another_encoder_is_no_start(settings):
    with pytest.raises(ModelError, match="scenes: its head takes features of another encoder"):
        run_training(settings(start_from="scenes"))


def test_nothing_to_resume(settings):
    with pytest.raises(UsageError, match="nothing to resume; drop --resume to begin"):
        run_training(settings(resume=True))


def test_a_damaged_checkpoint(settings, tmp_path):
    (tmp_path / "out" / "last").mkdir(parents=True)
    (tmp_path / "out" / "last" / "checkpoint.pt").write_bytes(b"PK broken")
    with pytest.raises(ModelError, match=r"checkpoint.pt: damaged or cut off"):
        run_training(settings(resume=True))


def test_nothing_is_left_among_the_temporary_files(features, tiny_model, tmp_path):
    (tmp_path / "tmp").mkdir()
    usual = ("train", "--train", features / "train.csv", "--model", tiny_model, "--epochs", 1)
    done = run(*usual, "-o", tmp_path / "out", TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_nobody_waits_for_a_pipe_in_place_of_a_checkpoint_or_log(settings, tmp_path):
    run_training(settings(epochs=1))
    (tmp_path / "out" / "log.csv").unlink()
    os.mkfifo(tmp_path / "out" / "log.csv")
    with pytest.raises(OutputError, match=r"log.csv: damaged \(.*Not a regular file"):
        run_training(settings(resume=True, epochs=2))
    (tmp_path / "out" / "last" / "checkpoint.pt").unlink()
    os.mkfifo(tmp_path / "out" / "last" / "checkpoint.pt")
    with pytest.raises(UsageError, match=r"checkpoint.pt: nothing to resume"):
        run_training(settings(resume=True, epochs=2))


def test_own_classes_and_prompts(settings, tmp_path):
    (tmp_path / "classes.toml").write_text(CLASSES_TOML)
    run_training(settings(classes=tmp_path / "classes.toml"))
    config = load_model(str(tmp_path / "out" / "best")).config
    assert [(c.name, len(c.prompts)) for c in config.classes] == [("calm", 1), ("trouble", 2)]


def test_a_small_list_is_set_up_by_what_it_holds(settings, tmp_path, monkeypatch, capsys):
    """13 normal and 12 anomalous videos of up to 19 snippets are left to train on; attention spans 8."""
    monkeypatch.setattr(choice, "LEAST_STEPS", 30)
    monkeypatch.setattr(choice, "LEAST_EPOCHS", 2)
    run_training(settings(epochs=None, batch_size=None, learning_rate=None))
    printed = capsys.readouterr().err
    assert "for 3 epochs of 12 steps" in printed
    assert (
        "windows of 24 snippets, batches of 2, learning rate 0.0022, features centred and scaled, scores that start "
        "from a linear probe, ended early" in printed
    )
    config = load_model(str(tmp_path / "out" / "best")).config
    assert (config.head.window, config.head.standardised) == (24, True)
    assert config.training["features"] == "centred and scaled"
    assert config.training["anomaly score"] == "of a linear probe, and what training adds to it"
    assert config.training["batch size"] == 2


def test_a_training_ends_where_validations_no_longer_improve(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choice, "LEAST_STEPS", 400)
    monkeypatch.setattr(choice, "PATIENCE", 0.01)
    whole = run_training(settings(epochs=None, learning_rate=1e-12, batch_size=8))
    assert whole.finished
    printed = capsys.readouterr().err
    ended = re.search(r"ended after step (\d+): no improvement in 2 validations", printed)
    assert ended, printed
    assert ended[1] == "9"  # the first epoch's is the best
    assert load_model(str(tmp_path / "out" / "best")).config.training["steps"].startswith(f"{ended[1]} of ")
    run_training(settings(epochs=None, learning_rate=1e-12, batch_size=8, resume=True))
    assert f"ended after step {ended[1]}:" in capsys.readouterr().err


def test_epochs_that_are_asked_for_are_all_made(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(choice, "PATIENCE", 0.01)
    run_training(settings(epochs=6, learning_rate=1e-12))
    assert "no improvement" not in capsys.readouterr().err
    run_training(settings(epochs=None, learning_rate=1e-12, resume=True))
    assert "resuming after step 18 of 18" in capsys.readouterr().err


def test_the_features_of_a_model_are_scaled_as_in_its_training(settings, features, tmp_path):
    """The same features in other units and with another zero give the same model but for its first step."""
    moved = tmp_path / "moved"
    shutil.copytree(features, moved)
    for path in moved.glob("*.npy"):
        np.save(path, np.load(path) * 8 + 4)
    (moved / "train.csv").write_text((features / "train.csv").read_text().replace(str(features), str(moved)))
    run_training(settings())
    run_training(settings("moved-out", train_list=moved / "train.csv"))
    one, other = (load_model(str(tmp_path / name / "best")) for name in ("out", "moved-out"))
    detectors = [Detector(model, DetectSettings(device="cpu")) for model in (one, other)]
    name = sorted(path.name for path in features.glob("*.npy"))[0]
    scores = [
        detector.detect(folder / name).timeline.scores
        for detector, folder in zip(detectors, (features, moved), strict=True)
    ]
    np.testing.assert_allclose(*scores, atol=1e-4)
    assert not torch.equal(one.head.standardise.mean, other.head.standardise.mean)


def test_parts_can_be_left_out(settings, tmp_path):
    run_training(settings("whole"))
    run_training(settings(without=("sg_nm", "dcsa")))
    assert head(tmp_path / "out") != head(tmp_path / "whole")
    assert load_model(str(tmp_path / "out" / "best")).config.training["without"] == "sg_nm, dcsa"


def test_missing_files_are_named(settings, features, tmp_path, capsys):
    listing = tmp_path / "list.csv"
    listing.write_text((features / "train.csv").read_text() + "/home/ann/gone__0.npy,fighting\n")
    with pytest.raises(SourceError, match=r"1 of 33 feature files are missing: /home/ann/gone__0.npy"):
        run_training(settings(train_list=listing))
    outcome = run_training(settings(train_list=listing, skip_missing=True, quiet=True))
    assert outcome == TrainOutcome(finished=True, missing=1)
    assert capsys.readouterr().err == "missing, left out: /home/ann/gone__0.npy\n"
    tested = {"test_list": listing, "truth": TruthFiles(annotations=features / "gt.txt"), "select_on_test": True}
    assert run_training(settings("other", skip_missing=True, **tested)).missing == 1
    assert "1 feature files are missing, going on with 32" in capsys.readouterr().err


def test_lists_of_another_machine(settings, features, tmp_path):
    listing = tmp_path / "list.csv"
    listing.write_text((features / "train.csv").read_text().replace(str(features), "/home/ann/UCF"))
    assert run_training(settings(train_list=listing, root=features)) == TrainOutcome(True, 0)


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


def test_the_encoder_is_the_one_that_made_the_features(settings, tiny_model, tmp_path):
    folder = tmp_path / "features"
    folder.mkdir()
    listing = write_list(folder / "train.csv", write_toy_features(folder))
    sidecar(folder, tiny_model, tower_sha256(tiny_clip().visual))
    run_training(settings(train_list=listing, encoder=EncoderChoice()))
    assert load_model(str(tmp_path / "out" / "best")).config.encoder == ENCODER
    sidecar(folder, tiny_model, "0" * 64)
    with pytest.raises(FeatureError, match="features of another encoder: its weights have the SHA-256 000000"):
        run_training(settings("other", train_list=listing, encoder=EncoderChoice()))


def test_every_folder_of_the_lists_is_checked(settings, features, tiny_model, tmp_path, capsys):
    """The first folder's sidecar fits, another one's does not; a folder without one is taken."""
    sha256 = tower_sha256(tiny_clip().visual)
    for name, made_with in (("right", sha256), ("wrong", "0" * 64)):
        (tmp_path / name).mkdir()
        write_list(tmp_path / name / "list.csv", write_toy_features(tmp_path / name))
        sidecar(tmp_path / name, tiny_model, made_with)
    right, wrong, bare = (folder / "list.csv" for folder in (tmp_path / "right", tmp_path / "wrong", tmp_path))
    both = tmp_path / "both.csv"
    both.write_text(right.read_text() + wrong.read_text().partition("\n")[2])
    with pytest.raises(FeatureError, match=r"wrong/fighting000__0.npy: features of another encoder"):
        run_training(settings(train_list=both, encoder=EncoderChoice()))
    tested = {"test_list": wrong, "truth": TruthFiles(annotations=features / "gt.txt"), "select_on_test": True}
    with pytest.raises(FeatureError, match=r"wrong/fighting000__0.npy: features of another encoder"):
        run_training(settings(train_list=right, encoder=EncoderChoice(), **tested))
    assert "extraction.json" not in capsys.readouterr().err
    bare.write_text(right.read_text() + (features / "train.csv").read_text().partition("\n")[2])
    run_training(settings(train_list=bare, encoder=EncoderChoice()))
    assert capsys.readouterr().err.count("no extraction.json beside the features") == 1
    assert load_model(str(tmp_path / "out" / "best")).config.encoder_sha256 == sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "ucf-crime"}, "preset ucf-crime: takes features 512 wide, tiny gives 16"),
        ({"preset": "ucf-crime", "classes": Path("x.toml")}, "--preset and --classes both"),
        ({"test_list": Path("x.csv")}, "--test and --gt go together"),
        ({"resume": True, "overwrite": True}, "--resume goes on with a training, --overwrite begins it anew"),
        ({"select_on_test": True}, "--select-on test needs --test and --gt"),
    ],
)
def test_settings_that_contradict_each_other(settings, changes, message):
    with pytest.raises(UsageError, match=message):
        run_training(settings(**changes))


def test_the_encoder_stays_as_it_was(straight, tiny_model):
    one, other = (load_model(str(path)).image_tower().state_dict() for path in (tiny_model, straight / "best"))
    assert all(torch.equal(one[name], other[name]) for name in one)
