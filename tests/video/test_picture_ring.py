from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import FAULTY, LONG, start, wait_for
from media import read_number, write_video

from dsanet_cli.video import decoder_pool
from dsanet_cli.video import picture_ring as ring_module
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.messages import DecodeJob, Decoding, Finished, Notice
from dsanet_cli.video.picture_ring import PictureRing, RingWriter
from dsanet_cli.video.reader import Snippet

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no memory is shared there")
SHAPE = (2, 4, 6, 3)


class FullError(Exception):
    pass


def stop():
    raise FullError


@pytest.fixture
def both():
    """A ring of three slots as its owner has it and as it is written, in one process."""
    owner = PictureRing(3, int(np.prod(SHAPE)))
    return owner, RingWriter(owner.place, stop)


def pictures(value):
    return np.full(SHAPE, value, np.uint8)


def test_pictures_come_in_order_however_often_the_ring_goes_round(both):
    owner, writer = both
    for value in range(100):
        slot = writer.write(pictures(value))
        assert (owner.pictures(slot, SHAPE) == value).all()
        owner.release(slot)


def test_a_slot_is_not_written_over_before_it_is_given_back(both):
    owner, writer = both
    slots = [writer.write(pictures(value)) for value in range(3)]
    taken = [owner.pictures(slot, SHAPE) for slot in slots]
    with pytest.raises(FullError):
        writer.write(pictures(3))
    owner.release(slots[1])
    assert writer.write(pictures(3)) == slots[1]
    assert [int(frames[0, 0, 0, 0]) for frames in taken] == [0, 3, 2]
    with pytest.raises(FullError):
        writer.write(pictures(4))


def test_what_does_not_fit_needs_no_slot(both):
    _, writer = both
    for _ in range(4):
        assert writer.write(np.zeros((3, *SHAPE[1:]), np.uint8)) is None
    assert [writer.write(pictures(7)) for _ in range(3)] == [0, 1, 2]


def test_fewer_pictures_and_none(both):
    owner, writer = both
    for count in (1, 0, 2):
        slot = writer.write(pictures(count)[:count])
        assert owner.pictures(slot, (count, *SHAPE[1:])).tolist() == pictures(count)[:count].tolist()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs shared memory of a known size")
def test_more_memory_than_there_is_is_refused_before_it_is_used():
    with pytest.raises(OSError, match="No space left"):
        PictureRing(1, 2 * shutil.disk_usage("/dev/shm").total)


def test_without_a_place_for_shared_memory(monkeypatch):
    monkeypatch.setattr(ring_module, "SHARED_MEMORY", "/nowhere")
    with pytest.raises(OSError, match="No such file"):
        PictureRing(1, 10)


def jobs(tmp_path, count=2):
    paths = [write_video(tmp_path / f"{number}.mp4", LONG, first_number=1000 * number) for number in range(count)]
    return [Task(DecodeJob(path, Decoding((32, 48), 2, 16), 1)) for path in paths]


def numbers(pool, tasks):
    """The numbers that the frames say, by video."""
    found = {}
    for item in pool.run(tasks):
        if item is not None and isinstance(item[1], Snippet):
            found.setdefault(item[0].job.path.name, []).extend(read_number(frame) for frame in item[1].frames)
    return found


def test_frames_are_the_same_through_the_ring_and_through_the_pipe(tmp_path, monkeypatch):
    tasks = jobs(tmp_path)
    through_ring = numbers(DecoderPool(2, 60, 2), tasks)
    assert through_ring["1.mp4"][:3] == [1004, 1012, 1020]
    monkeypatch.setattr(ring_module, "_reserve", refuse)
    assert numbers(DecoderPool(2, 60, 2), tasks) == through_ring


def refuse(file, size):
    raise OSError(28, "No space left on device")


def test_without_memory_to_share_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(ring_module, "_reserve", refuse)
    messages = [item[1] for item in DecoderPool(2, 60, 2).run(jobs(tmp_path, 3)) if item is not None]
    assert [message for message in messages if isinstance(message, Notice)] == [Notice(decoder_pool.NO_MEMORY)]
    assert sum(isinstance(message, Finished) for message in messages) == 3


def test_a_snippet_larger_than_the_first_ones_goes_through_the_pipe(tmp_path):
    small, large = jobs(tmp_path)
    large.job = DecodeJob(large.job.path, Decoding((64, 96), 2, 16), 1)
    found = numbers(DecoderPool(1, 60, 2), [small, large, jobs(tmp_path)[0]])
    assert found["1.mp4"][:3] == [1004, 1012, 1020]
    assert found["0.mp4"][:3] == found["0.mp4"][LONG // 16 * 2 + 2 :][:3] == [4, 12, 20]


def test_a_caller_that_stops_while_the_ring_is_full(tmp_path):
    run = DecoderPool(2, 60, 1).run(jobs(tmp_path))
    seen = (item for item in run if item is not None and isinstance(item[1], Snippet))
    list(itertools.islice(seen, 2))
    run.close()


def shared_memory():
    return {path.name for path in Path("/dev/shm").iterdir()} if Path("/dev/shm").is_dir() else set()


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_killed_processes_leave_no_memory_behind(tiny_model, tmp_path):
    write_video(tmp_path / "loop.mp4", LONG)
    (tmp_path / "tmp").mkdir()
    before = shared_memory()
    process = start(
        "detect", "loop.mp4", "--model", tiny_model, "-v",
        cwd=tmp_path, env={**os.environ, **FAULTY, "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    wait_for(process, "model tiny")
    decoder = wait_for_ring(process.pid)
    for killed in (decoder, process.pid):
        os.kill(killed, signal.SIGKILL)
    process.communicate()
    assert shared_memory() <= before
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.is_file() and "chunk" not in path.name] == []


def wait_for_ring(parent):
    """The process id of a child that has the ring in its memory."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
        for child in children.stdout.split():
            if "/dev/shm/" in Path(f"/proc/{child}/maps").read_text():
                return int(child)
        time.sleep(0.05)
    return pytest.fail("no decoder with a ring")
