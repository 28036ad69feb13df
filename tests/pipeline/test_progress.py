from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from dsanet_cli.files.sources import Source
from dsanet_cli.pipeline import progress as progress_module
from dsanet_cli.pipeline.progress import BatchProgress
from dsanet_cli.video.messages import Notice, Opened
from dsanet_cli.video.reader import Snippet


def source(folder, name, size):
    (folder / name).write_bytes(bytes(size))
    return Source(folder / name, Path(name))


def snippet(end):
    return Snippet(0, end - 1.0, end, 16, np.zeros((1, 1, 1, 3), np.uint8))


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test can set."""
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_each_video_is_a_line_with_rate_and_time_left(tmp_path, clock, capsys):
    short, long = source(tmp_path, "a.mp4", 1000), source(tmp_path, "b.mp4", 3000)
    with BatchProgress([short, long], quiet=False) as progress:
        progress.watch(short, Opened(2.0))
        progress.watch(short, snippet(1.0))
        progress.watch(short, snippet(2.0))
        clock[0] += 10
        progress.done(short, "1 event")
        progress.watch(long, Opened(2.0))
        progress.watch(long, snippet(1.0))
        assert progress.elapsed(long) == 0.0
        clock[0] += 10
        progress.done(long, "failed")
    assert capsys.readouterr().err.splitlines() == [
        f"1/2 {short.path}: 1 event (3 frames/s, about 0:30 left)",
        f"2/2 {long.path}: failed (2 frames/s)",
    ]


@pytest.mark.parametrize(("quiet", "count"), [(True, 2), (False, 1)])
def test_no_lines_for_one_video_or_where_nobody_wants_them(tmp_path, capsys, quiet, count):
    sources = [source(tmp_path, f"{number}.mp4", 10) for number in range(count)]
    with BatchProgress(sources, quiet) as progress:
        progress.done(sources[0], "1 event")
        assert progress.console is None
    assert capsys.readouterr().err == ""


def test_frames_that_were_analysed_elsewhere_count(tmp_path, clock, capsys):
    one, other = source(tmp_path, "a.mp4", 1000), source(tmp_path, "b.mp4", 1000)
    with BatchProgress([one, other], quiet=False) as progress:
        progress.watch(one, Opened(0.0))
        clock[0] += 10
        progress.done(one, "1 event", frames=50)
    assert "1 event (5 frames/s, about 0:10 left)" in capsys.readouterr().err


def test_on_a_terminal_there_are_bars_for_all_and_for_the_videos_at_work(tmp_path, clock, monkeypatch):
    stream = io.StringIO()

    def terminal(stderr, quiet=False):
        return Console(file=stream, force_terminal=True, width=100, quiet=quiet)

    monkeypatch.setattr(progress_module, "plain_console", terminal)
    one, other = source(tmp_path, "one.mp4", 1000), source(tmp_path, "other.mp4", 1000)
    with BatchProgress([one, other], quiet=False) as progress:
        progress.watch(one, Opened(120.0))
        progress.watch(other, Opened(0.0))
        progress.watch(other, Opened(0.0))
        clock[0] += 4
        progress.watch(one, snippet(60.0))
        progress.watch(other, snippet(7.0))
        progress._bars.refresh()
        assert progress.console is progress._bars.console
        shown = stream.getvalue()
        assert "one.mp4" in shown
        assert "1:00 of 2:00" in shown
        assert "other.mp4" in shown
        assert "0:07" in shown
        assert "0 of 2 done, 8 frames/s" in shown
        progress.done(one, "nothing abnormal")
        assert progress._bars.tasks[0].completed == pytest.approx(1000)
        assert "1/2" not in stream.getvalue(), "no lines where there are bars"
        assert len(progress._bars.tasks) == 2


def test_of_a_part_its_own_length_counts(tmp_path, clock):
    video = source(tmp_path, "a.mp4", 1000)
    with BatchProgress([video], quiet=True) as progress:
        progress.watch(video, Opened(120.0, start=100.0))
        progress.watch(video, snippet(105.0))
        assert progress._completed() == pytest.approx(250)


def test_key_frames_looked_at_are_not_counted_as_frames_analysed(tmp_path, clock):
    video = source(tmp_path, "a.mp4", 10)
    with BatchProgress([video, video], quiet=True) as progress:
        progress.watch(video, Opened(2.0))
        progress.watch(video, Snippet(0, 0.0, 1.0, 16, np.zeros((0, 1, 1, 3), np.uint8)))
        clock[0] += 1
        assert progress._rate() == 0


def test_a_file_that_is_gone_does_not_matter(tmp_path):
    with BatchProgress([Source(tmp_path / "gone.mp4", Path("gone"))], quiet=True) as progress:
        progress.done(Source(tmp_path / "gone.mp4", Path("gone")), "failed")


def test_time_left_is_shown_once_it_means_something(tmp_path, clock, capsys):
    first, second, third, last = (source(tmp_path, f"{name}.mp4", 1000) for name in "abcd")
    with BatchProgress([first, second, third, last], quiet=False) as progress:
        clock[0] += 9
        progress.done(first, "1 event")
        clock[0] += 9
        progress.done(second, "1 event")
    early, later = capsys.readouterr().err.splitlines()
    assert " left)" not in early
    assert "about 0:18 left" in later
    small, large = source(tmp_path, "e.mp4", 10), source(tmp_path, "f.mp4", 10_000)
    with BatchProgress([small, large], quiet=False) as progress:
        clock[0] += 60
        progress.done(small, "1 event")
    assert " left)" not in capsys.readouterr().err


@pytest.mark.parametrize(("quiet", "expected"), [(False, "pipes\n"), (True, "")])
def test_a_notice_is_a_line(tmp_path, capsys, quiet, expected):
    video = source(tmp_path, "a.mp4", 10)
    with BatchProgress([video], quiet) as progress:
        progress.watch(video, Notice("pipes"))
    assert capsys.readouterr().err == expected
