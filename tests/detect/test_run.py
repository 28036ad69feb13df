"""Batches that are disturbed: decoders that fail, runs that are killed, folders that are shared."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import DSANET, FAULTY, HANGS, LONG, read_csv, results, run, start, wait_for
from media import damage, write_video
from tiny import WIDTH

from dsanet_cli.detect.run import BatchSettings, run_batch
from dsanet_cli.detect.runner import Runner
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.errors import UsageError, VideoError
from dsanet_cli.timeline.files import read_timeline

KILLS = 20
VIDEOS = 10


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """A folder of small videos of several lengths."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(VIDEOS):
        write_video(folder / f"{number:02}.mp4", 20 + 37 * number, height=32, width=48)
    return folder


@pytest.fixture(scope="module")
def undisturbed(videos, tiny_model, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed")
    result = run("detect", videos, "-o", output, "--model", tiny_model)
    assert result.returncode == 0, result.stderr
    return results(output)


def test_decoders_that_fail_cost_their_videos_only(tiny_model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "segfault", "freeze", "exit", "z"):
        write_video(tmp_path / "in" / f"{name}.mp4", LONG)
    result = run("detect", "in", "--model", tiny_model, "-f", "json", "--stall-timeout", 3, cwd=tmp_path, **FAULTY)
    assert result.returncode == 3
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert re.search(
        r"in/segfault.mp4: the decoder crashed after .*\(Segmentation fault\); copy the file", result.stderr
    )
    assert re.search(r"in/freeze.mp4: the decoder made no progress for 3 s, after ", result.stderr)
    assert re.search(r"in/exit.mp4: the decoder crashed after .*\(exit status 0\)", result.stderr)
    rows = {Path(row["path"]).stem: row for row in read_csv(tmp_path / "dsanet-results" / "summary.csv")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a": "ok", "segfault": "failed", "freeze": "failed", "exit": "failed", "z": "ok",
    }  # fmt: skip
    assert "no progress" in rows["freeze"]["error"]
    assert {path.name for path in (tmp_path / "dsanet-results").iterdir()} == {"a.json", "z.json", "summary.csv"}


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_do_not_depend_on_what_runs_beside_them(videos, undisturbed, tiny_model, tmp_path, jobs):
    output = tmp_path / "out"
    command = ("detect", videos, "-o", output, "--model", tiny_model, "--jobs", jobs)
    assert run(*command, OMP_NUM_THREADS="2").returncode == 0
    assert results(output) == undisturbed
    alone = tmp_path / "alone"
    assert run("detect", videos / "05.mp4", "-o", alone, "--model", tiny_model).returncode == 0
    assert results(alone) == {name: undisturbed[name] for name in ("05.json", "05.csv", "05.png", "05.thumbs.zip")}


def test_a_run_killed_at_any_moment_can_be_resumed(videos, undisturbed, tiny_model, tmp_path):
    output = tmp_path / "out"
    command = ("detect", videos, "-o", output, "--model", tiny_model)
    moments = random.Random(0)
    for _ in range(KILLS):
        process = start(*command)
        wait_for(process, "model tiny")
        time.sleep(moments.uniform(0.0, 0.6))
        process.kill()
        process.communicate()
        done = sorted(output.glob("*.json")) if output.exists() else []
        for path in done:
            read_timeline(path)
            assert path.read_bytes() == undisturbed[path.name]
        if len(done) > VIDEOS // 2:
            for path in moments.sample(done, len(done) - 2):
                path.unlink()
    result = run(*command)
    assert result.returncode == 0
    assert results(output) == undisturbed


def test_two_runs_can_share_a_folder(videos, undisturbed, tiny_model, tmp_path):
    output = tmp_path / "out"
    processes = [start("detect", videos, "-o", output, "--model", tiny_model) for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=HANGS)
        assert process.returncode == 0, errors
    assert {path.name for path in output.iterdir()} == set(undisturbed)
    assert results(output) == undisturbed


@pytest.fixture
def held(tiny_model, tmp_path):
    """Starts a batch of which one decoder waits for ever, and waits until all else is done."""
    (tmp_path / "in").mkdir()
    for name in ("0", "1", "2"):
        write_video(tmp_path / "in" / f"{name}.mp4", 20, height=32, width=48)
    write_video(tmp_path / "in" / "loop.mp4", LONG, height=32, width=48)
    (tmp_path / "tmp").mkdir()

    def begin():
        process = start(
            "detect", "in", "-o", "out", "--model", tiny_model, "-f", "json", "--jobs", 2,
            cwd=tmp_path, start_new_session=True, env={**os.environ, **FAULTY, "TMPDIR": str(tmp_path / "tmp")},
        )  # fmt: skip
        wait_for(process, "3/4 ")
        return process

    return begin


def wait_for_end_of(group):
    """Until no process of the group is left; decoders end a moment after what started them, when that is killed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("a decoder runs on")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "to_all", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143), (signal.SIGTERM, True, 143), (signal.SIGHUP, True, 129)],
)
def test_a_signal_ends_a_batch_with_its_summary_and_leaves_nothing_behind(held, tmp_path, number, to_all, code):
    process = held()
    (os.killpg if to_all else os.kill)(process.pid, number)  # to all, decoders too, as terminals and schedulers do
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "interrupted, 1 left; the same command with --skip-existing goes on" in errors
    assert "Traceback" not in errors
    assert "error: " not in errors
    rows = read_csv(tmp_path / "out" / "summary.csv")
    assert [(row["path"], row["status"]) for row in rows] == [(f"in/{n}.mp4", "ok") for n in range(3)]
    wait_for_end_of(process.pid)
    assert list((tmp_path / "tmp").glob("dsanet-*")) == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"0.json", "1.json", "2.json", "summary.csv"}


def test_ctrl_c_while_the_model_loads_leaves_an_earlier_summary_alone(videos, tiny_model, tmp_path, monkeypatch):
    def interrupt(self, settings):
        raise KeyboardInterrupt

    summary = tmp_path / "out" / "summary.csv"
    summary.parent.mkdir()
    summary.write_text("of an earlier run")
    monkeypatch.setattr(Runner, "__init__", interrupt)
    work = RunnerSettings(str(tmp_path / "out"), ("json",), str(tiny_model))
    outcome = run_batch(BatchSettings((str(videos),), recursive=False, work=work, quiet=True))
    assert outcome.interrupted
    assert summary.read_text() == "of an earlier run"


def test_what_ends_the_run_midway_leaves_a_summary_of_what_was_done(tiny_model, tmp_path, monkeypatch):
    def run_half(self, sources, watch, report, ahead):
        report(sources[0], VideoError("a: broken"))
        raise UsageError("no more memory")

    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.ones((3, WIDTH), np.float32))
    monkeypatch.setattr(Runner, "run", run_half)
    work = RunnerSettings(str(tmp_path / "out"), ("json",), str(tiny_model))
    with pytest.raises(UsageError):
        run_batch(BatchSettings((str(tmp_path),), recursive=False, work=work, quiet=True))
    assert [row["error"] for row in read_csv(tmp_path / "out" / "summary.csv")] == ["a: broken"]


def test_decoders_end_with_a_parent_that_is_killed(tiny_model, tmp_path):
    write_video(tmp_path / "loop.mp4", LONG)
    process = start(
        "detect", "loop.mp4", "--model", tiny_model, "-v",
        cwd=tmp_path, start_new_session=True, env={**os.environ, **FAULTY},
    )  # fmt: skip
    wait_for(process, "model tiny")
    time.sleep(2)
    process.kill()
    process.communicate()
    wait_for_end_of(process.pid)


def test_a_shard_is_a_part_of_the_inputs(videos, undisturbed, tiny_model, tmp_path):
    output = tmp_path / "out"
    result = run("detect", videos, "-o", output, "--model", tiny_model, "-f", "json", "--shard", "2/4")
    assert result.returncode == 0
    names = ["01.json", "05.json", "09.json"]
    assert {path.name for path in output.iterdir()} == {*names, "summary.csv"}
    assert [(output / name).read_bytes() for name in names] == [undisturbed[name] for name in names]


def test_a_shard_that_is_none():
    result = run("detect", "x.mp4", "--shard", "4/3")
    assert result.returncode == 2
    assert result.stderr == "error: --shard 4/3: use K/N with K from 1 to N, such as 3/16\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_full_disk_is_one_line_for_each_video(videos, tiny_model, tmp_path):
    limited = f"ulimit -f 40; exec {DSANET} detect {videos} -o {tmp_path / 'out'} --model {tiny_model}"
    result = subprocess.run(["bash", "-c", limited], check=False, capture_output=True, text=True, timeout=HANGS)
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == VIDEOS
    assert all("cannot be written" in line and "--output" in line for line in errors)
    assert "Traceback" not in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_an_output_folder_that_cannot_be_is_found_out_before_the_work(videos, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("detect", videos, "-o", tmp_path / "file" / "out")
    assert result.returncode == 1
    assert "is not a folder; choose another with --output" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_damaged_video_is_analysed_as_far_as_it_can_be(tiny_model, tmp_path):
    damage(write_video(tmp_path / "a.mp4", 600, gop=50), 300, 50)
    result = run("detect", "a.mp4", "gone.mp4", "--model", tiny_model, "-f", "json", cwd=tmp_path)
    assert result.returncode == 3
    assert "a.mp4: 94.7 % analysed, not 0:12.2 to 0:13.4" in result.stderr
    coverage = json.loads((tmp_path / "dsanet-results" / "a.json").read_text())["coverage"]
    reasons = coverage.pop("hole_reasons")
    assert coverage == {"analysed": 0.946667, "holes": [[12.16, 13.44]], "scanned": []}
    assert reasons == ["cannot be decoded"]
    row = next(row for row in read_csv(tmp_path / "dsanet-results" / "summary.csv") if row["status"] == "ok")
    assert row["analysed"] == "0.9467"


def test_the_option_scan_looks_at_key_frames_first(tiny_model, tmp_path):
    write_video(tmp_path / "a.mp4", 600, gop=100)
    result = run("detect", "a.mp4", "--model", tiny_model, "-f", "json", "--scan", "--scan-level", 1, cwd=tmp_path)
    assert result.returncode == 0
    data = json.loads((tmp_path / "dsanet-results" / "a.json").read_text())
    assert data["coverage"] == {"analysed": 0, "holes": [], "scanned": [[0, 24]]}
    assert data["sampling"]["scan_level"] == 1
