"""The time of day of recordings, on the installed command."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from commands import read_csv, run
from media import write_video

from dsanet_cli.timeline.files import read_timeline


@pytest.fixture
def detect(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    return lambda *arguments, **environment: run(
        "detect",
        "in",
        "-r",
        "-f",
        "csv",
        "--model",
        tiny_model,
        "-t",
        "0.01",
        "--release",
        "0.01",
        *arguments,
        **environment,
    )


def video(name, **metadata):
    path = write_video(Path("plain.mp4"), frames=64)
    with av.open(str(path)) as source, av.open(f"in/{name}", "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        target.metadata.update(metadata)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


def entries(name):
    return json.loads(Path("dsanet-results", f"{name}.json").read_text())


def test_results_say_the_time_of_day(detect):
    video("cam_20261025_015930.mp4")
    video("phone.mp4", creation_time="2026-06-01T10:00:00Z")
    video("clip.mp4")
    done = detect(TZ="Europe/Berlin")
    assert done.returncode == 0, done.stderr
    named, phone = entries("cam_20261025_015930"), entries("phone")
    assert named["video"]["recorded"] == {
        "start": "2026-10-25T01:59:30.000+02:00", "timezone": "Europe/Berlin", "source": "name",
    }  # fmt: skip
    assert phone["video"]["recorded"] == {
        "start": "2026-06-01T12:00:00.000+02:00", "timezone": "Europe/Berlin", "source": "metadata",
    }  # fmt: skip
    assert named["events"][0]["clock"] == "2026-10-25T01:59:30.000+02:00"
    assert "recorded" not in entries("clip")["video"]
    assert "clock" not in entries("clip")["events"][0]
    assert "(2026-10-25 01:59:30)" in done.stdout
    assert "(2026-10-25 01:59:30)" in done.stderr
    rows = read_csv(Path("dsanet-results/phone.csv"))
    assert [row["clock"] for row in rows[:2]] == ["2026-06-01T12:00:00.000+02:00", "2026-06-01T12:00:00.640+02:00"]
    assert "clock" not in read_csv(Path("dsanet-results/clip.csv"))[0]
    summary = {Path(row["path"]).name: row for row in read_csv(Path("dsanet-results/summary.csv"))}
    assert summary["phone.mp4"]["recorded"] == "2026-06-01T12:00:00.000+02:00"
    assert summary["phone.mp4"]["first_clock"] == "2026-06-01T12:00:00.000+02:00"
    assert summary["clip.mp4"]["recorded"] == ""
    again = detect(TZ="Asia/Tokyo")
    assert "3 results of an earlier run kept" in again.stderr, "on a machine elsewhere"
    moved = detect("--timezone", "Asia/Tokyo")
    assert "1 result of an earlier run kept" in moved.stderr
    assert entries("phone")["video"]["recorded"]["start"] == "2026-06-01T19:00:00.000+09:00"


def test_the_user_says_it(detect):
    video("cam_20261025_015930.mp4")
    assert detect("--start", "2020-02-03T04:05:06", "--timezone", "UTC").returncode == 0
    assert entries("cam_20261025_015930")["video"]["recorded"] == {
        "start": "2020-02-03T04:05:06.000+00:00", "timezone": "UTC", "source": "option",
    }  # fmt: skip
    done = run("events", "dsanet-results", "-o", "new", "--name-time", "%Y%m%d_%H%M%S", "--timezone", "Europe/Berlin")
    assert done.returncode == 0, done.stderr
    assert read_timeline("new/cam_20261025_015930.json").video.recorded.start.hour == 1
    video("b.mp4")
    several = detect("--start", "2020-02-03T04:05:06")
    assert (several.returncode, "--start is of one video" in several.stderr) == (2, True)
    for options in (("--start", "noon"), ("--timezone", "Mars"), ("--name-time", "%H")):
        refused = detect(*options)
        assert refused.returncode == 2
        assert options[0] in refused.stderr


def test_the_time_code_of_the_file_is_that_of_the_edit_list(detect):
    video("tape.mov", timecode="10:00:00:00")
    assert detect("-f", "edl").returncode == 0
    assert entries("tape")["video"]["timecode"] == "10:00:00:00"
    assert "C        10:00:00:00 " in Path("dsanet-results/tape.edl").read_text()
