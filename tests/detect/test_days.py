"""Files of cameras joined to days, on the installed command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import FAULTY, LONG, read_csv, run
from media import compressed_frames, write_compressed, write_video

from dsanet_cli.timeline.files import read_timeline

FRAMES = 64
"""Of a file: four snippets, half of the tiny model's window."""
LENGTH = FRAMES / 25


@pytest.fixture
def detect(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    return lambda *arguments, **environment: run(
        "detect", "in", "-r", "-f", "csv", "--model", tiny_model, "-o", "out", *arguments, TZ="UTC", **environment
    )


def cut(files, whole=Path("whole.mp4")):
    """Write a video, and its compressed frames cut into files; a name of None leaves one out."""
    write_video(whole, frames=FRAMES * len(files), gop=16, options={"sc_threshold": "0"})
    frames = compressed_frames(whole)
    for number, name in enumerate(files):
        if name is not None:
            path = Path("in", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_compressed(whole, path, frames[number * FRAMES : (number + 1) * FRAMES])
    return whole


def result(name):
    return json.loads(Path("out", f"{name}.json").read_text())


def spans(entries):
    return [(event["start"], event["end"], event["label"]) for event in entries["events"]]


def test_six_files_give_the_events_of_the_whole(detect, tiny_model):
    whole = cut([f"yard/{number}.mp4" for number in (1, 2, 3, 9, 10, 11)])
    alone = run("detect", whole, "-f", "csv", "--model", tiny_model, "-o", "out")
    assert alone.returncode == 0, alone.stderr
    level = str(np.median(read_timeline("out/whole.json").scores))
    rule = "-t", level, "--release", level, "--merge-gap", "0", "--min-length", "0"
    assert run("detect", whole, "-f", "csv", "--model", tiny_model, "-o", "out", "--overwrite", *rule).returncode == 0
    done = detect("--by-camera", "folder", "--jobs", "3", *rule)
    assert done.returncode == 0, done.stderr
    expected, joined = read_timeline("out/whole.json"), read_timeline("out/yard/undated.json")
    np.testing.assert_allclose(joined.starts, expected.starts, atol=2e-3)
    np.testing.assert_allclose(joined.scores, expected.scores, atol=1e-3)
    borders = [number * LENGTH for number in range(1, 6)]
    assert any(event.start < border < event.end for event in expected.events for border in borders)
    assert spans(result("yard/undated")) == spans(result("whole"))
    files = result("yard/undated")["video"]["files"]
    assert [Path(part["path"]).name for part in files] == [f"{n}.mp4" for n in (1, 2, 3, 9, 10, 11)]
    assert [part["start"] for part in files] == pytest.approx([0, *borders], abs=2e-3)
    assert result("yard/undated")["video"]["camera"] == "yard"
    assert result("yard/undated")["coverage"]["holes"] == []


def test_missing_and_broken_files_are_holes(detect):
    names = [f"yard/20261127_1200{second:02}.mp4" for second in (0, 2, 5, 7, 10)]
    cut([names[0], names[1], None, names[3], names[4]])
    Path("in", names[3]).write_bytes(b"no video")
    done = detect("--by-camera", "folder")
    assert done.returncode == 3, done.stderr
    entries = result("yard/2026-11-27")
    holes, reasons = entries["coverage"]["holes"], entries["coverage"]["hole_reasons"]
    assert np.allclose(holes, [[2 * LENGTH, 7], [7, 7 + LENGTH]], atol=2e-3)
    assert reasons[0] == "no file"
    assert "120007.mp4" in reasons[1]
    assert entries["video"]["files"][2]["error"] == reasons[1]
    assert entries["video"]["recorded"]["start"] == "2026-11-27T12:00:00.000+00:00"
    assert entries["coverage"]["analysed"] == pytest.approx(3 * LENGTH / entries["video"]["duration"], abs=1e-3)
    rows = {Path(row["path"]).name: row for row in read_csv(Path("out/summary.csv"))}
    assert (rows["2026-11-27"]["status"], rows["20261127_120007.mp4"]["status"]) == ("ok", "failed")
    again = detect("--by-camera", "folder")
    assert again.returncode == 3
    assert "1 result of an earlier run kept" in again.stderr
    assert "20261127_120007.mp4" in again.stderr


def test_a_decoder_that_crashes_costs_its_file_only(detect):
    Path("in/yard").mkdir()
    for name in ("a.mp4", "segfault-b.mp4", "z.mp4"):
        write_video(Path("in/yard", name), frames=LONG)
    done = detect("--by-camera", "folder", **FAULTY)
    assert done.returncode == 3, done.stderr
    entries = result("yard/undated")
    assert [("error" in part) for part in entries["video"]["files"]] == [False, True, False]
    (hole,) = entries["coverage"]["holes"]
    assert hole[1] == pytest.approx(2 * LONG / 25, abs=2e-3)
    assert entries["snippets"][-1]["end"] == pytest.approx(3 * LONG / 25, abs=2e-3)


def test_a_day_without_any_file_that_can_be_read_fails(detect):
    Path("in/yard").mkdir()
    for name in ("1.mp4", "2.mp4"):
        Path("in/yard", name).write_bytes(b"no video")
    done = detect("--by-camera", "folder")
    assert done.returncode == 1
    assert "none of its 2 files can be analysed" in done.stderr
    assert not Path("out/yard/undated.json").exists()


def test_a_result_stands_until_a_file_of_its_day_comes_or_changes(detect):
    cut(["yard/20261127_120000.mp4", "yard/20261127_120002.mp4", "gate/20261127_120000.mp4"])
    assert detect("--by-camera", "folder").returncode == 0
    assert "2 results of an earlier run kept, 0 to do" in detect("--by-camera", "folder").stderr
    cut([None, None, None, None, "yard/20261127_120010.mp4"])
    assert "1 result of an earlier run kept, 1 to do" in detect("--by-camera", "folder").stderr
    assert len(result("yard/2026-11-27")["video"]["files"]) == 3
    os.utime("in/gate/20261127_120000.mp4", (1e9, 1e9))
    assert "1 result of an earlier run kept, 1 to do" in detect("--by-camera", "folder").stderr
    assert "0 to do" not in detect("--by-camera", "folder", "-t", "0.9").stderr


def test_cameras_by_name_and_days_by_the_zone(detect):
    cut(
        [
            "cam1_20261127_225958.mp4",
            "cam1_20261127_230000.mp4",
            "cam2_20261127_225958.mp4",
            "other.mp4",
        ]
    )
    done = detect("--by-camera", "cam([0-9]+)_", "--timezone", "Europe/Berlin", "--name-time", "cam*_%Y%m%d_%H%M%S")
    assert done.returncode == 3
    assert "other.mp4: has no camera in its name" in done.stderr
    assert sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.json")) == [
        "1/2026-11-27.json",
        "2/2026-11-27.json",
    ]
    assert len(result("1/2026-11-27")["video"]["files"]) == 2
    assert detect("--by-camera", "cam([0-9]+)_", "--shard", "2/2").stderr.count("cameras are kept whole, 1 of 2") == 1


def test_midnight_ends_a_day(detect):
    cut(["yard/20261127_235957.mp4", "yard/20261128_000000.mp4"])
    assert detect("--by-camera", "folder").returncode == 0
    first, second = result("yard/2026-11-27"), result("yard/2026-11-28")
    assert [len(entries["video"]["files"]) for entries in (first, second)] == [1, 1]
    assert second["video"]["recorded"]["start"] == "2026-11-28T00:00:00.000+00:00"


def test_files_that_overlap_follow_each_other_and_a_line_says_so(detect):
    cut(["yard/20261127_120000.mp4", "yard/20261127_120001.mp4", "yard/20261127_120001-1.mp4"])
    done = detect("--by-camera", "folder")
    assert done.returncode == 0, done.stderr
    assert "files begin before the one before ends" in done.stderr
    starts = [part["start"] for part in result("yard/2026-11-27")["video"]["files"]]
    assert starts == pytest.approx([0, LENGTH, 2 * LENGTH], abs=2e-3)


def test_pages_tables_and_plots_show_a_day(detect):
    cut(["yard/20261127_120000.mp4", "yard/20261127_120002.mp4", "gate/20261127_120000.mp4"])
    done = detect("--by-camera", "folder", "-f", "html", "-f", "png", "-f", "srt", "-t", "0.01", "--release", "0.01")
    assert done.returncode == 0, done.stderr
    page = Path("out/yard/2026-11-27.html").read_text()
    assert "yard/2026-11-27" in page
    assert "2, from 20261127_120000.mp4 to 20261127_120002.mp4" in page
    assert 'yard/20261127_120002.mp4", "file:///' in page, "its files are played"
    assert Path("out/yard/2026-11-27.png").exists()
    assert Path("out/yard/2026-11-27.srt").exists()
    assert Path("out/yard/2026-11-27.thumbs.zip").stat().st_size > 500
    assert "gate" in Path("out/index.html").read_text()


def test_a_dry_run_measures_the_files(detect):
    cut(["yard/1.mp4", "yard/2.mp4"])
    done = detect("--by-camera", "folder", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 files of 1 camera" in done.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (
                "--by-camera",
                "(",
            ),
            "not a regular expression",
        ),
        (("--by-camera", "a" * 201), "at most 200 characters"),
        (("--by-camera", ""), "at most 200 characters"),
        (("--by-camera", "folder", "--scan"), "does not go with --scan"),
        (("--by-camera", "folder", "--keep-features"), "does not go with --keep-features"),
        (("--by-camera", "folder", "-o", "-"), "does not go with --output -"),
        (("--by-camera", "folder", "-f", "clips"), "does not go with --format clips"),
        (("--by-camera", "folder", "--from", "1"), "does not go with --from and --to"),
        (("--by-camera", "folder", "--engine", "ray"), "does not go with --engine ray"),
    ],
)
def test_what_does_not_go_with_cameras_is_refused(detect, arguments, words):
    cut(["yard/1.mp4"])
    done = detect(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not Path("out").exists()


def test_features_are_not_joined(detect):
    np.save("in/a.npy", np.zeros((4, 16), np.float32))
    done = detect("--by-camera", "folder")
    assert done.returncode == 2
    assert "a.npy: --by-camera joins video files" in done.stderr


def test_events_of_a_day_are_decided_anew_but_nothing_is_cut_out(detect):
    cut(["yard/20261127_120000.mp4", "yard/20261127_120002.mp4"])
    assert detect("--by-camera", "folder").returncode == 0
    done = run("events", "out/yard/2026-11-27.json", "-t", "0.01", "--release", "0.01", "-f", "srt", "-o", "anew")
    assert done.returncode == 0, done.stderr
    anew = json.loads(Path("anew/2026-11-27.json").read_text())
    assert anew["video"] == result("yard/2026-11-27")["video"]
    for kind, words in (("clips", "nothing can be cut out of it"), ("edl", "which edl cannot name")):
        done = run("events", "out/yard/2026-11-27.json", "-f", kind, "-o", "cut")
        assert done.returncode == 1
        assert words in done.stderr
