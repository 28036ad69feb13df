"""A batch on a Ray cluster of this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import FAULTY, HANGS, LONG, read_csv, results, run, start, wait_for
from media import write_video

from dsanet_cli.detect.ray_driver import Share, shares

VIDEOS = 6


@pytest.mark.parametrize(
    ("machines", "device", "jobs", "expected"),
    [
        ([(16, 0)], "auto", None, [Share(4, 0)] * 4),
        ([(2, 0), (9, 0)], "auto", None, [Share(2, 0)] + [Share(4, 0)] * 2),
        ([(8, 0)], "auto", 3, [Share(3, 0)] * 2),
        ([(16, 2), (64, 0)], "auto", None, [Share(8, 1)] * 2),
        ([(16, 2)], "cpu", None, [Share(4, 0)] * 4),
        ([(0, 0)], "auto", None, []),
    ],
)
def test_an_actor_for_each_gpu_or_group_of_cores(machines, device, jobs, expected):
    assert shares(machines, device, jobs) == expected


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """What names a cluster of this machine alone, in the environment."""
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("ray")
    log, failing = folder / "log", folder / "failing"
    failing.mkdir()
    options = (
        "--head",
        "--block",
        "--num-cpus=2",
        f"--port={port}",
        "--include-dashboard=false",
        "--disable-usage-stats",
    )
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *options],
            stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **FAULTY, "FAILING_DEVICE": str(failing)},
        )  # fmt: skip
    deadline = time.monotonic() + 60
    while "Ray runtime started" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
    yield {"RAY_ADDRESS": f"127.0.0.1:{port}", "FAILING_DEVICE": str(failing)}
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(VIDEOS):
        write_video(folder / f"slow-{number}.mp4", LONG, height=32, width=48)
    return folder


def actors_at_work():
    """Process numbers of the actors that have a decoder process."""
    actors, parents = set(), set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                title = (folder / "cmdline").read_text()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if title.startswith("ray::RayActor"):
                actors.add(int(folder.name))
            elif "dsanet_cli.video.decoder_process" in title:
                parents.add(parent)
    return sorted(actors & parents)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_an_actor_that_is_killed_loses_nothing(cluster, videos, tiny_model, tmp_path):
    (tmp_path / "in").symlink_to(videos)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"not a video")
    command = ("detect", "in", "--model", tiny_model, "-f", "json", "-f", "csv")
    process = start(*command, "--engine", "ray", "-j", 1, "-o", "ray", cwd=tmp_path, env={**os.environ, **cluster})
    wait_for(process, "engine ray: 2 actors")
    wait_for(process, f"/{VIDEOS + 1} ")
    os.kill(actors_at_work()[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=HANGS)
    assert process.returncode == 3, errors
    assert "an actor died (it ended); its videos go to the others: in/slow-" in errors
    rows = {Path(row["path"]).stem: row["status"] for row in read_csv(tmp_path / "ray" / "summary.csv")}
    assert rows == {"broken": "failed"} | {f"slow-{number}": "ok" for number in range(VIDEOS)}
    assert run(*command, "-o", "local", cwd=tmp_path).returncode == 3
    assert results(tmp_path / "ray") == results(tmp_path / "local")
    assert actors_at_work() == []


@pytest.mark.parametrize(
    ("failures", "lost", "on_cpu"),
    [(1, 1, False), (3, 2, True)],  # the third one happens on the CPU of an actor that goes on
)
def test_an_actor_whose_device_fails_ends_and_another_does_what_it_had(
    cluster, videos, tiny_model, tmp_path, failures, lost, on_cpu
):
    for number in range(failures):
        (Path(cluster["FAILING_DEVICE"]) / str(number)).touch()
    command = ("detect", videos / "slow-0.mp4", "--model", tiny_model, "-f", "json")
    done = run(*command, "--engine", "ray", "-j", 1, "-o", "ray", cwd=tmp_path, **cluster)
    assert done.returncode == 0, done.stderr
    reason = "its device failed: CUDA error: unspecified launch failure"
    assert done.stderr.count(f"an actor died ({reason}); its videos go to the others: {videos}/slow-0.mp4") == lost
    assert ("its device fails again and again; the next actor works on the CPU" in done.stderr) == on_cpu
    assert list(Path(cluster["FAILING_DEVICE"]).iterdir()) == []
    assert run(*command, "-o", "local", cwd=tmp_path).returncode == 0
    assert results(tmp_path / "ray") == results(tmp_path / "local")


def test_results_go_to_a_url_and_are_kept(cluster, videos, tiny_model, tmp_path):
    place = f"file://{tmp_path}/out"
    command = ("detect", videos / "slow-0.mp4", "--model", tiny_model, "-f", "json", "--skip-existing", "-o", place)
    first = run(*command, "--engine", "ray", "-j", 1, cwd=tmp_path, **cluster)
    assert first.returncode == 0, first.stderr
    path = tmp_path / "out" / "slow-0.json"
    written = path.stat().st_mtime_ns
    assert json.loads(path.read_text())["video"]["path"] == str(videos / "slow-0.mp4")
    again = run(*command, "--engine", "ray", "-j", 1, cwd=tmp_path, **cluster)
    assert again.returncode == 0
    assert path.stat().st_mtime_ns == written
    assert run(*command, cwd=tmp_path).returncode == 0
    assert path.stat().st_mtime_ns == written, "a run without the cluster keeps the result, too"


def test_a_model_that_no_actor_can_load_ends_the_run(cluster, videos, tmp_path):
    result = run("detect", videos, "--model", "none", "--engine", "ray", cwd=tmp_path, **cluster)
    assert result.returncode == 1
    assert re.search(r"^error: model none: neither a model directory nor", result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr


def test_where_there_is_no_cluster(videos, tmp_path):
    result = run("detect", videos, "--engine", "ray", cwd=tmp_path, RAY_ADDRESS="127.0.0.1:1")
    assert result.returncode == 2
    assert result.stderr == (
        "error: --engine ray: there is no cluster; start one with ray start --head, or name one with RAY_ADDRESS\n"
    )


def test_where_there_is_no_ray(videos, tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError")
    result = run("detect", videos, "--engine", "ray", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == "error: --engine ray: Ray is not installed; pip install 'dsanet-cli[ray]'\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("-o", "-", "-f", "json"), "the actors write files; name a folder with --output"),
        (("--device", "cuda:1"), "an actor has one GPU of its own; use --device cuda, not cuda:1"),
    ],
)
def test_what_does_not_go_with_a_cluster(videos, tmp_path, arguments, reason):
    result = run("detect", videos / "slow-0.mp4", "--engine", "ray", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert reason in result.stderr
