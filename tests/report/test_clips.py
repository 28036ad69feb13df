"""Clips of events, and the video with its scores burnt in, on the installed command."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import shutil
import signal
import time
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path, PurePath

import av
import numpy as np
import pytest
from commands import read_csv, run, start
from media import read_number, write_video
from timelines import timeline
from work_apart import crash, fail, hang, refuse

from dsanet_cli.errors import UsageError, VideoError
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.sources import find_sources
from dsanet_cli.report.clips import ClipFilm
from dsanet_cli.report.film_process import run_apart
from dsanet_cli.report.films import choose_films
from dsanet_cli.timeline.facts import Recorded, VideoFacts
from dsanet_cli.video.probe import Orientation

SCORES = [0.0, 0.0, 0.9, 0.8, 0.1, 0.75, 0.1]
"""Of snippets of 1.4 s: events from 2.8 to 5.6 s, and from 7.0 to 8.4 s."""


def result(path, folder="out", **facts):
    """Write a result of the video at ``path``, as if it had been analysed."""
    status = os.stat(path)
    known = VideoFacts(
        os.path.relpath(path), 250, 10.0, Fraction(25), 128, 96, "h264", status.st_size, mtime=status.st_mtime,
        real_path=os.path.realpath(path),
    )  # fmt: skip
    made = dataclasses.replace(timeline(SCORES, 1.4), video=dataclasses.replace(known, **facts))
    Path(folder).mkdir(exist_ok=True)
    Path(folder, f"{Path(path).stem}.json").write_text(made.to_json())
    return made


def shown(path):
    """Times and numbers of the upright pictures of a video, and the codecs in it."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        upright = Orientation.of(frames[0]).upright
        numbers = [read_number(upright(frame.to_ndarray(format="rgb24"))) for frame in frames]
        codecs = [stream.codec_context.codec.canonical_name for stream in container.streams]
        return [float(frame.time) for frame in frames], numbers, codecs


def heard(path):
    """From when to when there is sound, in seconds."""
    with av.open(str(path)) as container:
        stamps = [p.pts * p.time_base for p in container.demux(audio=0) if p.size]
        return float(min(stamps)), float(max(stamps))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def clips(*arguments, output="new"):
    done = run("events", "out", "-o", output, "-f", "clips", "--pad", "0.5", "-q", *arguments)
    found = sorted(Path(output).glob("*.clips/*"))
    return done, found


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
def test_clips_begin_at_the_key_frame_before_and_keep_the_sound(suffix):
    result(write_video(Path(f"yard.{suffix}"), frames=250, gop=25, b_frames=2, audio=True))
    done, found = clips()
    assert done.returncode == 0, done.stderr
    assert [path.name for path in found] == ["yard_0001_00h00m02s_explosion.mp4", "yard_0002_00h00m07s_explosion.mp4"]
    for path, begin, end in zip(found, (2.3, 6.5), (6.1, 8.9), strict=True):
        times, numbers, codecs = shown(path)
        assert times[0] == 0
        assert codecs == ["h264", "aac"]
        first = numbers[0]
        assert first % 25 == 0
        assert begin * 25 - 30 < first <= begin * 25 + 1
        assert end * 25 - 5 < numbers[-1] < end * 25 + 5
        assert numbers[:-2] == list(range(first, first + len(numbers) - 2)), "all frames, in their order"
        assert times[:-2] == pytest.approx([n / 25 for n in range(len(numbers) - 2)], abs=2e-3)
        since, last = heard(path)
        assert 0 <= since < 0.2
        assert last == pytest.approx(end - first / 25, abs=0.3)


@pytest.mark.parametrize("options", [{"b_frames": 2}, {"rotation": 90}, {"rotation": 180}])
def test_exact_clips_begin_where_they_should_and_stand_upright(options):
    result(write_video(Path("yard.mp4"), frames=250, gop=100, audio=True, **options))
    done, found = clips("--exact")
    assert done.returncode == 0, done.stderr
    for path, first, last in zip(found, (58, 163), (152, 222), strict=True):
        times, numbers, codecs = shown(path)
        assert (times[0], numbers, codecs) == (0, list(range(first, last + 1)), ["h264", "aac"])
        assert heard(path)[1] == pytest.approx((last - first) / 25, abs=0.3)


def test_copied_clips_keep_the_rotation():
    result(write_video(Path("yard.mp4"), frames=250, gop=25, rotation=90))
    _, found = clips()
    with av.open(str(found[0])) as container:
        assert next(container.decode(video=0)).rotation == 90
    assert shown(found[0])[1][0] == 50


def test_what_mp4_does_not_hold_goes_to_matroska():
    result(write_video(Path("yard.avi"), frames=250, gop=25, codec="mjpeg", pix_fmt="yuvj420p"))
    done, found = clips()
    assert done.returncode == 0, done.stderr
    assert [path.suffix for path in found] == [".mkv", ".mkv"]
    assert shown(found[0])[1][0] == 57, "each frame is a key frame"


def test_a_video_that_cannot_be_copied_says_so_in_a_line_and_in_the_list():
    result(write_video(Path("yard.avi"), frames=250, gop=25, b_frames=2))
    done, found = clips()
    assert (done.returncode, found) == (1, [])
    assert "yard.avi: cannot be copied as it is" in done.stderr
    assert "--exact" in done.stderr
    assert "Traceback" not in done.stderr
    rows = read_csv(Path("new/yard.clips.csv"))
    assert len(rows) == 2
    assert all("cannot be copied" in row["error"] and not row["file"] for row in rows)
    assert Path("new/yard.json").exists(), "the events are written all the same"
    done, found = clips("--exact")
    assert (done.returncode, len(found)) == (0, 2)
    assert shown(found[0])[1][0] == 58


def test_names_say_camera_time_of_day_and_class():
    recorded = Recorded(datetime(2026, 11, 27, 13, 0, 0, 0, UTC), "Europe/Berlin", "name")
    made = dataclasses.replace(
        timeline(SCORES, 1.4, label="../Überfall =x"), video=VideoFacts("a.mp4", 1, 10.0, recorded=recorded)
    )
    first, second = (span.name for span in ClipFilm().spans(Path("cam 3/yard"), made))
    assert first == "cam-3_yard_0001_20261127_140002_Überfall-x"
    assert second == "cam-3_yard_0002_20261127_140007_Überfall-x"
    long = ClipFilm().spans(Path("x" * 240), made)[0].name
    assert len(long.encode()) < 200


def test_clips_of_events_that_are_no_more_go():
    result(write_video(Path("yard.mp4"), frames=250, gop=25))
    _, before = clips()
    _, after = clips("-t", "0.8")
    assert (len(before), len(after)) == (2, 1)
    Path("new/yard.clips/mine.txt").write_text("")
    assert len(read_csv(Path("new/yard.clips.csv"))) == 1
    _, none = clips("-t", "0.95")
    assert [path for path in none if path.suffix == ".mp4"] == []
    assert Path("new/yard.clips.csv").read_text().startswith("file,start,end")


def test_clips_are_whole_only_with_these_settings_and_all_files():
    made = result(write_video(Path("yard.mp4"), frames=250, gop=25))
    clips()
    folder, film = open_folder("new"), ClipFilm(0.5)
    assert film.is_whole(folder, Path("yard"), made)
    for other in (ClipFilm(0.6), ClipFilm(0.5, exact=True)):
        assert not other.is_whole(folder, Path("yard"), made)
    assert not film.is_whole(folder, Path("yard"), dataclasses.replace(made, events=made.events[:1]))
    next(Path("new/yard.clips").iterdir()).unlink()
    assert not film.is_whole(folder, Path("yard"), made)


def test_a_video_that_is_gone_or_another_one_now():
    result(write_video(Path("yard.mp4"), frames=250, gop=25))
    os.utime("yard.mp4", (1, 1))
    done, _ = clips()
    assert "out/yard.json: its video" in done.stderr
    assert "is another one than was analysed" in done.stderr
    Path("yard.mp4").unlink()
    done, found = clips()
    assert (done.returncode, found) == (1, [])
    assert "is not there, so nothing can be cut out of it" in done.stderr


def test_scores_are_burnt_in_and_the_sound_is_kept():
    result(write_video(Path("yard.mp4"), frames=250, gop=25, height=240, width=320, audio=True))
    done = run("events", "out", "-o", "new", "-f", "mp4", "-q")
    assert done.returncode == 0, done.stderr
    assert heard("new/yard.scores.mp4")[1] == pytest.approx(10, abs=0.3)
    with av.open("yard.mp4") as before, av.open("new/yard.scores.mp4") as after:
        pairs = list(itertools.zip_longest(before.decode(video=0), after.decode(video=0)))
    assert len(pairs) == 250
    bars = []
    for old, new in pairs:
        assert float(new.time) == pytest.approx(float(old.time), abs=1e-3)
        one, two = (frame.to_ndarray(format="gray")[:240].astype(int) for frame in (old, new))
        assert np.abs(one[:200] - two[:200]).mean() < 6, "the picture above the strip is as it was"
        row = two[231, 52:178]
        bars.append(float((row > 150).mean()))
    assert bars[10] < 0.05, "score 0"
    assert np.mean(bars[145:165]) < 0.2
    for frames, score in ((slice(75, 100), 0.9), (slice(110, 135), 0.8), (slice(180, 205), 0.75)):
        colored = [
            np.abs(new.to_ndarray(format="rgb24")[231, 52:178].astype(int) @ [2, -1, -1]) > 60
            for _, new in pairs[frames]
        ]
        assert np.mean([row.mean() for row in colored]) == pytest.approx(score, abs=0.12)


def test_upright_films_of_turned_videos():
    result(write_video(Path("yard.mp4"), frames=30, gop=25, height=241 // 2 * 2, width=322, rotation=90))
    assert run("events", "out", "-o", "new", "-f", "mp4", "-q").returncode == 0
    with av.open("new/yard.scores.mp4") as film:
        frame = next(film.decode(video=0))
        assert (frame.rotation, frame.width, frame.height) == (0, 322, 240)


def test_detect_makes_them_and_resumes_by_them(tiny_model):
    Path("in").mkdir()
    write_video(Path("in/yard.mp4"), frames=120, gop=25)
    command = ("detect", "in", "-o", "new", "--model", tiny_model, "-t", "0.3", "-f", "clips", "-f", "mp4", "-f", "srt")
    done = run(*command)
    assert done.returncode == 0, done.stderr
    files = {path.relative_to("new").as_posix() for path in Path("new").rglob("*") if path.is_file()}
    assert files >= {"yard.json", "yard.srt", "yard.clips.csv", "yard.scores.mp4"}
    assert any(name.startswith("yard.clips/yard_0001_") for name in files)
    assert "1 result of an earlier run kept" in run(*command).stderr
    assert "1 result of an earlier run kept" not in run(*command, "--pad", "1").stderr
    for name in ("yard.scores.mp4", next(name for name in files if name.startswith("yard.clips/"))):
        Path("new", name).unlink()
        assert "kept" not in run(*command, "--pad", "1").stderr
        assert Path("new", name).exists()
    shutil.copytree("new", "in", dirs_exist_ok=True)
    assert [source.path.name for source in find_sources(["in"], True, None).sources] == ["yard.mp4"]
    assert [source.path.name for source in find_sources(["in/**/*.mp4"], False, None).sources] == ["yard.mp4"]
    inside = [source.path.name for source in find_sources(["in/yard.clips/*.mp4"], False, None).sources]
    assert inside
    assert set(inside) < {name.rpartition("/")[2] for name in files}, "their folder itself is named"
    named = find_sources(["in/yard.scores.mp4"], False, None).sources
    assert [source.path.name for source in named] == ["yard.scores.mp4"], "named itself, it is taken"


@pytest.mark.parametrize("command", ["events", "detect"])
def test_ctrl_c_does_not_wait_for_films(command, tiny_model):
    Path("in").mkdir()
    result(write_video(Path("in/yard.mp4"), frames=1200, height=480, width=640))
    work = ("out",) if command == "events" else ("in", "--model", tiny_model, "-t", "0.3")
    process = start(command, *work, "-o", "new", "-f", "mp4", start_new_session=True)
    while not list(Path("new").glob(".*.part")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "damaged" not in errors
    left = {path.name for path in Path("new").iterdir()}
    assert not any("scores" in name for name in left)
    assert "yard.json" not in left, "which would say that the film is there"


def test_where_there_is_no_folder_for_films():
    for formats in (["clips"], ["json", "mp4"]):
        with pytest.raises(UsageError, match="needs a folder"):
            choose_films(formats, None, False, to_stdout=True)
    assert run("events", "x.json", "-f", "clips").returncode == 2
    assert "--pad and --exact have no effect" in run("detect", "x.mp4", "--pad", "3").stderr


@pytest.mark.parametrize(
    ("work", "message"), [(crash, "crashed"), (hang, "no progress"), (fail, "odd"), (refuse, "v.mp4: refused")]
)
def test_what_goes_wrong_in_the_process_that_reads_is_one_line(work, message):
    with pytest.raises(Exception, match=message):
        run_apart(Path("v.mp4"), PurePath("film"), open_folder("."), work, Path("v.mp4"), stall_timeout=3)
    assert list(Path().iterdir()) == []


def test_the_list_of_clips_is_no_formula():
    made = timeline(SCORES, 1.4, label="=cmd")
    folder = open_folder("new")
    Path("new").mkdir()
    with pytest.raises(VideoError):
        ClipFilm().write(folder, Path("yard"), made, Path("missing.mp4"))
    with open("new/yard.clips.csv", newline="") as stream:
        assert {row["label"] for row in csv.DictReader(stream)} == {"'=cmd"}
