"""``dsanet events`` as a person runs it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import read_csv, run
from media import write_video
from tiny import WIDTH

from dsanet_cli.detect.side_by_side import WORTH_PROCESSES
from dsanet_cli.timeline.files import read_timeline


@pytest.fixture(scope="module")
def analysed(tiny_model, tmp_path_factory):
    """Results of three feature files and a video, each with a plot."""
    folder = tmp_path_factory.mktemp("analysed")
    (folder / "in" / "yard").mkdir(parents=True)
    for number, name in enumerate(("cam1", "cam2", "yard/cam1")):
        features = np.random.default_rng(number).standard_normal((40, WIDTH)).astype(np.float32)
        np.save(folder / "in" / f"{name}.npy", features)
    write_video(folder / "in" / "clip.mp4", frames=120)
    done = run("detect", "in", "-r", "-o", "out", "--model", tiny_model, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def place(analysed, tmp_path, monkeypatch):
    shutil.copytree(analysed, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


def middle(name="cam1"):
    """A threshold that cuts the scores of a result in two."""
    return f"{float(np.median(read_timeline(f'out/{name}.json').scores)):.4f}"


def test_events_are_those_that_detect_finds_with_the_same_rule(place, tiny_model):
    rule = ("-t", middle(), "--release", "0.1", "--merge-gap", "0.2", "--min-length", "0.3")
    done = run("events", "out", "-r", "-o", "new", *rule)
    assert done.returncode == 0, done.stderr
    # The same folder of inputs, so that the paths in the results are the same.
    assert run("detect", "in", "-r", "-o", "anew", "--model", tiny_model, "-f", "csv", *rule).returncode == 0
    for name in ("cam1", "cam2", "yard/cam1", "clip"):
        found, wanted = (json.loads(Path(folder, f"{name}.json").read_text()) for folder in ("new", "anew"))
        assert found["sampling"]["event_rule"] == wanted["sampling"]["event_rule"]
        assert len(found["events"]) == len(wanted["events"])
        for event, same in zip(found["events"], wanted["events"], strict=True):
            assert [event[key] for key in ("start", "end", "label")] == [same[key] for key in ("start", "end", "label")]
            assert event["probabilities"] == pytest.approx(same["probabilities"], abs=1e-5)
        assert found["snippets"] == wanted["snippets"], "labels follow the threshold, too"
        assert Path("new", f"{name}.csv").read_bytes() == Path("anew", f"{name}.csv").read_bytes()
    assert Path("new/summary.csv").read_text() == Path("anew/summary.csv").read_text()
    assert sum(row["events"] != "0" for row in read_csv(Path("new/summary.csv"))) > 0


def test_what_is_not_given_stays(place):
    before = json.loads(Path("out/cam1.json").read_text())
    assert run("events", "out/cam1.json", "-o", "new").returncode == 0
    assert json.loads(Path("new/cam1.json").read_text()) == before


def test_without_an_output_events_are_printed_and_nothing_is_written(place):
    before = files("out")
    done = run("events", "out/cam1.json", "out/cam2.json", "-t", middle())
    assert done.returncode == 0
    assert "in/cam1.npy: [" in done.stdout
    assert "verdict" in done.stderr
    assert "nothing was written; --output FOLDER" in done.stderr
    assert files("out") == before
    assert {path.name for path in place.iterdir()} == {"in", "out"}


def test_no_video_is_opened(place):
    shutil.rmtree("in")
    done = run("events", "out", "-r", "-o", "new", "-t", "0.3")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in Path("new").iterdir()} >= {"clip.json", "clip.csv", "clip.thumbs.zip", "summary.csv"}


def test_results_are_replaced_in_place_only_when_asked(place):
    before = files("out")
    refused = run("events", "out", "-r", "-o", "out", "-t", "0.3")
    assert refused.returncode == 1
    assert refused.stderr.count("would replace itself; choose another --output, or decide it in place with --over") == 4
    assert files("out") == before
    done = run("events", "out", "-r", "-o", "out", "-t", "0.3", "--overwrite")
    assert done.returncode == 0, done.stderr
    after = files("out")
    assert after.keys() == before.keys()
    assert after["clip.thumbs.zip"] == before["clip.thumbs.zip"]
    assert after["clip.png"] != before["clip.png"], "what is there is brought up to date"
    assert json.loads(after["clip.json"])["sampling"]["event_rule"]["threshold"] == 0.3


def test_the_result_of_another_video_is_not_overwritten(place):
    Path("new").mkdir()
    shutil.copy("out/cam2.json", "new/cam1.json")
    refused = run("events", "out/cam1.json", "-o", "new", "-t", "0.3")
    assert refused.returncode == 1
    assert "out/cam1.json: not written, new/cam1.json holds the result of another video, in/cam2.npy;" in refused.stderr
    assert Path("new/cam1.json").read_bytes() == Path("out/cam2.json").read_bytes()
    Path("new/cam1.json").write_text("{}")
    assert "is there and was not written by dsanet" in run("events", "out/cam1.json", "-o", "new").stderr
    assert run("events", "out/cam1.json", "-o", "new", "--overwrite").returncode == 0
    assert run("events", "out/cam1.json", "-o", "new", "-t", "0.4").returncode == 0, "its own it may replace"


def test_plots_are_drawn_again_with_the_pictures_kept_beside_the_result(place):
    shutil.rmtree("in")
    assert run("events", "out/clip.json", "-o", "new", "-f", "png", "-t", "0.9").returncode == 0
    with_pictures = Path("new/clip.png").read_bytes()
    Path("out/clip.thumbs.zip").unlink()
    assert run("events", "out/clip.json", "-o", "bare", "-f", "png", "-t", "0.9").returncode == 0
    assert not Path("bare/clip.thumbs.zip").exists()
    assert len(Path("bare/clip.png").read_bytes()) < len(with_pictures)


def test_one_result_goes_to_stdout(place):
    done = run("events", "out/cam1.json", "-o", "-", "-f", "csv", "-t", middle())
    assert done.stdout.startswith("start,end,score,label,normal")
    assert "[00:" in done.stderr
    assert json.loads(run("events", "out/cam1.json", "-o", "-").stdout)["schema"] == 1
    for arguments in (("out", "-r"), ("out/cam1.json", "-f", "csv", "-f", "png")):
        assert run("events", *arguments, "-o", "-").returncode == 2


def test_a_profile_decides_by_camera(place):
    Path("p.toml").write_text('threshold = 0.2\n[[camera]]\nmatch = "yard/*"\nthreshold = 0.9\ndrop = ["explosion"]\n')
    assert run("events", "out", "-r", "-o", "new", "--profile", "p.toml").returncode == 0
    rules = [read_timeline(f"new/{name}.json").rule for name in ("cam1", "yard/cam1")]
    assert [(rule.threshold, rule.drop) for rule in rules] == [(0.2, ()), (0.9, ("explosion",))]
    assert run("events", "out", "-r", "-o", "new", "--profile", "p.toml", "-t", "0.5").returncode == 0
    assert read_timeline("new/yard/cam1.json").rule.threshold == 0.5
    Path("p.toml").write_text(f'model_sha256 = "{"00" * 32}"\n')
    refused = run("events", "out/cam1.json", "--profile", "p.toml")
    assert refused.returncode == 1
    assert "out/cam1.json: made with another model (tiny) than the --profile was" in refused.stderr


def test_what_is_no_result_is_passed_over_in_folders_and_named_otherwise(place):
    Path("out/settings.json").write_text('{"schema": 1}')
    Path("out/cut.json").write_bytes(Path("out/cam1.json").read_bytes()[:-300])
    done = run("events", "out", "missing.json", "-o", "new", "-t", "0.3")
    assert done.returncode == 3
    assert "settings.json" not in done.stderr
    assert "out/cut.json: not a complete dsanet result" in done.stderr
    assert "missing.json: no such file" in done.stderr
    assert not Path("new/cut.json").exists()
    assert "settings.json: not a complete dsanet result" in run("events", "out/settings.json").stderr
    Path("empty").mkdir()
    empty = run("events", "empty")
    assert (empty.returncode, "holds no results; add --recursive" in empty.stderr) == (1, True)
    assert "copy it here" in run("events", "https://host/x.json").stderr


def test_levels_that_contradict_each_other(place):
    assert run("events", "out", "-t", "0.3", "--release", "0.4").returncode == 2
    refused = run("events", "out/cam1.json", "--release", "0.99", "-o", "new")
    assert refused.returncode == 1
    assert "out/cam1.json: --release 0.99 is above its threshold" in refused.stderr
    assert run("events", "out/cam1.json", "-t", "nan").returncode == 2


def test_many_results_are_shared_out_among_processes(place):
    source = Path("out/cam1.json")
    for number in range(WORTH_PROCESSES + 5):
        Path("many").mkdir(exist_ok=True)
        text = source.read_text().replace("in/cam1.npy", f"in/{number:03}.npy")
        Path(f"many/{number:03}.json").write_text(text)
    Path("many/050.json").write_text(Path("many/050.json").read_text()[:-50])
    done = run("events", "many", "-o", "new", "-t", middle())
    assert done.returncode == 3
    rows = read_csv(Path("new/summary.csv"))
    assert len(rows) == WORTH_PROCESSES + 4
    named = [line.partition(":")[0] for line in done.stdout.splitlines() if "[00:" in line]
    assert list(dict.fromkeys(named)) == [f"in/{n:03}.npy" for n in range(WORTH_PROCESSES + 5) if n != 50]
    assert os.listdir("many") != os.listdir("new")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_pipes_beside_results_are_left_alone(place):
    Path("out/clip.thumbs.zip").unlink()
    os.mkfifo("out/clip.thumbs.zip")
    os.mkfifo("out/pipe.json")
    done = run("events", "out", "-o", "new", "-f", "png")
    assert done.returncode == 0, done.stderr
    assert Path("new/clip.png").exists()
