from __future__ import annotations

import itertools
import os
import re
import threading
import time
from pathlib import Path

import pytest
from media import read_number, write_video

from dsanet_cli.errors import VideoError
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.demux import CHUNK_FRAMES
from dsanet_cli.video.messages import DecodeJob, Opened
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import open_video

SIZE = (32, 48)
NEVER = threading.Event()
LONG = CHUNK_FRAMES + 60
FAULTS = Path(__file__).parents[1] / "faults"


def task(path, **changes):
    return Task(
        DecodeJob(**{"path": path, "size": SIZE, "sampled_frames": 2, "snippet_frames": 16, "threads": 1, **changes})
    )


def collect(pool, tasks):
    """All messages by the name of their file, in the order they came."""
    messages = {}
    for item in pool.run(tasks):
        if item is not None:
            done, message = item
            messages.setdefault(done.job.path.name, []).append(message)
    return messages


@pytest.fixture
def faults(monkeypatch):
    """Videos fail as their name says."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAULTS), *filter(None, [os.environ.get("PYTHONPATH")])]))


def test_snippets_are_those_of_the_reader(tmp_path):
    paths = [write_video(tmp_path / f"{i}.mp4", LONG, first_number=1000 * i) for i in range(3)]
    messages = collect(DecoderPool(2, 60, 8), map(task, paths))
    for number, path in enumerate(paths):
        opened, *snippets, info = messages[path.name]
        assert opened == Opened(pytest.approx(LONG / 25))
        reader = open_video(path, SIZE, 2)
        for mine, other in zip(snippets, reader.snippets(), strict=True):
            assert (mine.index, mine.start, mine.end) == (other.index, other.start, other.end)
            assert (mine.frames == other.frames).all()
        assert read_number(snippets[0].frames[0]) == 1000 * number + 4
        assert info == reader.info


def test_a_file_that_is_no_video_is_an_error_and_the_process_goes_on(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    good = write_video(tmp_path / "b.mp4", 20)
    messages = collect(DecoderPool(1, 60, 8), map(task, [tmp_path / "a.mp4", good]))
    (error,) = messages["a.mp4"]
    assert isinstance(error, VideoError)
    assert str(error).startswith(f"{tmp_path / 'a.mp4'}: not a video")
    assert isinstance(messages["b.mp4"][-1], VideoInfo)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("segfault", r"the decoder crashed after 00:10.24 \(Segmentation fault\); copy the file again"),
        ("exit", r"the decoder crashed after 00:10.24 \(exit status 0\)"),
        ("freeze", r"the decoder made no progress for 3 s, after 00:10.24"),
        ("loop", r"the decoder made no progress for 3 s, after 00:10.24"),
        ("bug", r"failed unexpectedly \(ZeroDivisionError"),
    ],
)
def test_a_decoder_that_fails_midway_costs_its_video_only(tmp_path, faults, fault, says, capfd):
    names = ["first", fault, "last"]
    paths = [write_video(tmp_path / f"{name}.mp4", LONG, gop=64) for name in names]
    messages = collect(DecoderPool(1, 3.0, 8), map(task, paths))
    error = messages[f"{fault}.mp4"][-1]
    assert isinstance(error, VideoError)
    assert str(error).startswith(f"{paths[1]}: ")
    assert re.search(says, str(error))
    for name in ("first", "last"):
        assert isinstance(messages[f"{name}.mp4"][-1], VideoInfo)
    assert capfd.readouterr() == ("", "")


def test_a_process_killed_from_outside_costs_its_video_only(tmp_path):
    paths = [write_video(tmp_path / f"{name}.mp4", LONG) for name in "abc"]
    pool = DecoderPool(1, 60, 1)
    messages = {}
    for item in pool.run(map(task, paths)):
        if item is not None:
            done, message = item
            messages.setdefault(done.job.path.name, []).append(message)
            if done.job.path.name == "b.mp4" and isinstance(message, Opened):
                pool._workers[0]._process.kill()
    assert "the decoder crashed" in str(messages["b.mp4"][-1])
    assert isinstance(messages["a.mp4"][-1], VideoInfo)
    assert isinstance(messages["c.mp4"][-1], VideoInfo)


def test_a_decoder_that_is_slow_but_at_work_is_no_stall(tmp_path, faults, monkeypatch):
    monkeypatch.setenv("SLOWLY", "0.1")
    messages = collect(DecoderPool(1, 1.5, 8), [task(write_video(tmp_path / "a.mp4", LONG))])
    assert isinstance(messages["a.mp4"][-1], VideoInfo)


def test_a_decoder_that_cannot_be_started_is_an_error_of_its_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", 20)
    messages = collect(DecoderPool(1, 60, 8, command=("/nowhere",)), [task(path)])
    assert str(messages["a.mp4"][-1]) == (
        f"{path}: no decoder can be started (No such file or directory); try fewer --jobs"
    )


def test_time_in_which_the_whole_program_stands_still_is_no_stall(tmp_path, faults, monkeypatch):
    # The watchdog wakes late, as it does after Ctrl-Z: what is 2 s by the clock is three looks for it.
    monkeypatch.setattr("dsanet_cli.video.decoder_pool.time.sleep", lambda seconds: NEVER.wait(0.9))
    messages = collect(DecoderPool(1, 1.0, 8), [task(write_video(tmp_path / "slow.mp4", LONG))])
    assert isinstance(messages["slow.mp4"][-1], VideoInfo)


def test_a_caller_that_takes_its_time_is_no_stall(tmp_path):
    pool = DecoderPool(1, 0.5, 1)
    seen = []
    for item in pool.run([task(write_video(tmp_path / "a.mp4", LONG))]):
        if item is not None:
            seen.append(item[1])
            if len(seen) == 3:
                time.sleep(1.5)
    assert isinstance(seen[-1], VideoInfo)


def test_tasks_are_asked_for_as_decoders_become_free(tmp_path):
    asked = []

    def tasks():
        for number in range(4):
            asked.append(number)
            yield task(write_video(tmp_path / f"{number}.mp4", 20))

    run = DecoderPool(1, 60, 1).run(tasks())
    while next(run) is None:
        pass
    time.sleep(0.3)
    assert asked == [0]
    assert sum(isinstance(item[1], VideoInfo) for item in run if item is not None) == 4


def test_tasks_that_come_late(tmp_path):
    path = write_video(tmp_path / "a.mp4", 20)
    run = DecoderPool(2, 60, 1).run(itertools.chain([None, None, task(path)], itertools.repeat(None)))
    assert any(item is not None and isinstance(item[1], VideoInfo) for item in run)
    run.close()  # though there could be more


def test_an_early_end_leaves_no_process_and_no_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    pool = DecoderPool(2, 60, 1)
    run = pool.run(task(write_video(tmp_path / f"{number}.mp4", LONG)) for number in range(4))
    while next(run) is None:
        pass
    processes = [worker._process for worker in pool._workers if worker is not None]
    assert processes
    assert list((tmp_path / "tmp").iterdir())
    run.close()
    assert all(process.poll() is not None for process in processes)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_error_in_the_tasks_reaches_the_caller():
    def tasks():
        raise RuntimeError("no more")
        yield

    with pytest.raises(RuntimeError, match="no more"):
        list(DecoderPool(2, 60, 1).run(tasks()))
