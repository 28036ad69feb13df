from __future__ import annotations

import itertools
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from media import read_number, write_video

from dsanet_cli.errors import VideoError
from dsanet_cli.video import decoder_pool
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.demux import CHUNK_FRAMES
from dsanet_cli.video.messages import DecodeJob, Decoding, Finished, Opened, Scanned
from dsanet_cli.video.reader import Snippet, open_video

SIZE = (32, 48)
NEVER = threading.Event()
LONG = CHUNK_FRAMES + 60
FAULTS = Path(__file__).parents[1] / "faults"


def task(path, **changes):
    return Task(DecodeJob(path, Decoding(SIZE, **{"sampled_frames": 2, "snippet_frames": 16, **changes}), 1))


def collect(pool, tasks):
    """All messages by the name of their file, in the order they came."""
    messages = {}
    for item in pool.run(tasks):
        if item is not None:
            done, message = item
            if isinstance(message, Snippet):
                message = replace(message, frames=message.frames.copy())
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
        assert info == Finished(reader.info)


def test_a_file_that_is_no_video_is_an_error_and_the_process_goes_on(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    good = write_video(tmp_path / "b.mp4", 20)
    messages = collect(DecoderPool(1, 60, 8), map(task, [tmp_path / "a.mp4", good]))
    (error,) = messages["a.mp4"]
    assert isinstance(error, VideoError)
    assert str(error).startswith(f"{tmp_path / 'a.mp4'}: not a video")
    assert isinstance(messages["b.mp4"][-1], Finished)


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
        assert isinstance(messages[f"{name}.mp4"][-1], Finished)
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
                pool._decoders[0]._process.kill()
    assert "the decoder crashed" in str(messages["b.mp4"][-1])
    assert isinstance(messages["a.mp4"][-1], Finished)
    assert isinstance(messages["c.mp4"][-1], Finished)


def test_a_decoder_that_is_slow_but_at_work_is_no_stall(tmp_path, faults, monkeypatch):
    monkeypatch.setenv("SLOWLY", "0.1")
    messages = collect(DecoderPool(1, 1.5, 8), [task(write_video(tmp_path / "a.mp4", LONG))])
    assert isinstance(messages["a.mp4"][-1], Finished)


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
    assert isinstance(messages["slow.mp4"][-1], Finished)


def test_a_caller_that_takes_its_time_is_no_stall(tmp_path):
    pool = DecoderPool(1, 0.5, 1)
    seen = []
    for item in pool.run([task(write_video(tmp_path / "a.mp4", LONG))]):
        if item is not None:
            seen.append(item[1])
            if len(seen) == 3:
                time.sleep(1.5)
    assert isinstance(seen[-1], Finished)


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
    assert sum(isinstance(item[1], Finished) for item in run if item is not None) == 4


def test_tasks_that_come_late(tmp_path):
    path = write_video(tmp_path / "a.mp4", 20)
    run = DecoderPool(2, 60, 1).run(itertools.chain([None, None, task(path)], itertools.repeat(None)))
    assert any(item is not None and isinstance(item[1], Finished) for item in run)
    run.close()  # though there could be more


def test_an_early_end_leaves_no_process_and_no_temporary_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    pool = DecoderPool(2, 60, 1)
    run = pool.run(task(write_video(tmp_path / f"{number}.mp4", LONG)) for number in range(4))
    while next(run) is None:
        pass
    processes = [decoder._process for decoder in pool._decoders if decoder is not None]
    assert processes
    assert list((tmp_path / "tmp").iterdir())
    run.close()
    assert all(process.poll() is not None for process in processes)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_only_the_first_snippets_are_decoded_and_all_frames_counted(tmp_path):
    path = write_video(tmp_path / "a.mp4", 100)
    _, *snippets, end = collect(DecoderPool(1, 60, 8), [task(path, first_snippets=2)])["a.mp4"]
    assert [snippet.index for snippet in snippets] == [0, 1]
    assert end.info.frames == 100


@pytest.mark.parametrize(("frames", "lengths"), [(40, [16, 16]), (15, [15])])
def test_frames_that_fill_no_snippet_can_be_left_out(tmp_path, frames, lengths):
    path = write_video(tmp_path / "a.mp4", frames)
    _, *snippets, end = collect(DecoderPool(1, 60, 8), [task(path, whole_only=True)])["a.mp4"]
    assert [snippet.length for snippet in snippets] == lengths
    assert end.info.frames == frames


@pytest.mark.parametrize("wanted", [frozenset(), frozenset({1, 3})])
def test_a_scan_waits_for_what_to_decode(tmp_path, wanted):
    path = write_video(tmp_path / "a.mp4", 100, gop=50)
    messages = []
    for item in DecoderPool(1, 60, 8).run([task(path, scan=True)]):
        if item is not None:
            messages.append(item[1])
            if isinstance(item[1], Scanned):
                item[0].answer(wanted)
    at = next(place for place, message in enumerate(messages) if isinstance(message, Scanned))
    assert [snippet.index for snippet in messages[1:at]] == list(range(7))
    assert [snippet.index for snippet in messages[at + 1 : -1]] == sorted(wanted)
    assert isinstance(messages[-1], Finished)


@pytest.mark.parametrize("when", [Opened, Scanned])
def test_a_video_that_is_given_up_makes_room_for_the_next(tmp_path, when):
    paths = [write_video(tmp_path / f"{name}.mp4", 2000, height=32, width=48, gop=8) for name in "ab"]
    messages = {path.name: [] for path in paths}
    for item in DecoderPool(1, 60, 1).run([task(paths[0], scan=when is Scanned), task(paths[1])]):
        if item is not None:
            messages[item[0].job.path.name].append(item[1])
            if isinstance(item[1], when) and item[0].job.path == paths[0]:
                item[0].cancel()
    assert not any(isinstance(message, Finished | VideoError) for message in messages["a.mp4"])
    assert isinstance(messages["b.mp4"][-1], Finished)


def test_an_error_in_the_tasks_reaches_the_caller():
    def tasks():
        raise RuntimeError("no more")
        yield

    with pytest.raises(RuntimeError, match="no more"):
        list(DecoderPool(2, 60, 1).run(tasks()))


@pytest.mark.parametrize(("started", "limit"), [(True, 3.0), (False, decoder_pool.START_TIMEOUT)])
def test_a_decoder_is_given_up_at_the_limit_and_not_long_after(monkeypatch, started, limit):
    ticks = 0

    def tick(seconds):
        nonlocal ticks
        ticks += 1
        assert ticks < 10_000

    alive = threading.Event()
    alive.set()
    decoder = SimpleNamespace(waiting=True, silence=0.0, stalled=False, started=started, kill=alive.clear)
    monkeypatch.setattr(decoder_pool.time, "sleep", tick)
    pool = DecoderPool(1, 3.0, 8)
    pool._decoders[0] = decoder
    pool._watch([SimpleNamespace(is_alive=alive.is_set)])
    assert decoder.stalled
    assert ticks == limit / decoder_pool.WATCH_INTERVAL + 1
