from __future__ import annotations

import os
import time

import pytest

from dsanet_cli.files import swap
from dsanet_cli.files.swap import STALE, draft_of, recover, recover_all, replace_directory

FILES = ("a", "b", "c")


def make(directory, content):
    directory.mkdir()
    for name in FILES:
        (directory / name).write_text(content)
    return directory


def content(directory):
    """What all files of a directory say, which is one and the same."""
    assert {path.name for path in directory.iterdir()} == set(FILES)
    (said,) = {path.read_text() for path in directory.iterdir()}
    return said


def replace_and_die(draft, target, step, done):
    """Replace a directory in a process that ends before, or once it has ``done``, its file operation ``step``.

    Returns:
        Whether it came to the end of the work before.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    count = 0

    def dying(operation):
        def run(*arguments, **options):
            nonlocal count
            count += 1
            if count == step and not done:
                os._exit(9)
            operation(*arguments, **options)
            if count == step:
                os._exit(9)

        return run

    for name in ("rename", "replace", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))
    replace_directory(draft, target)
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that die midway")
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("exchanges", [True, False])
def test_a_crash_at_any_step_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, exchanges, done):
    if not exchanges:
        monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    seen, finished, step = [], False, 0
    while not finished:
        step += 1
        assert step < 30
        folder = tmp_path / str(step)
        folder.mkdir()
        target, draft = make(folder / "best", "old"), make(folder / "draft", "new")
        finished = replace_and_die(draft, target, step, done)
        assert target.is_dir() or not exchanges
        recover(target)
        seen.append(content(target))
    assert seen == sorted(seen, key=["old", "new"].index)
    assert seen[-1] == "new"
    assert seen[0] == ("new" if exchanges else "old")
    assert {path.name for path in folder.iterdir()} == {"best"}


def test_a_crash_is_mended_by_the_next_replacement(tmp_path):
    target = tmp_path / "best"
    make(target, "old").rename(tmp_path / ".best.old")
    replace_directory(make(tmp_path / "draft", "new"), target)
    assert content(target) == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"best"}


def test_what_cannot_be_replaced_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    target = make(tmp_path / "best", "old")
    with pytest.raises(FileNotFoundError):
        replace_directory(tmp_path / "none", target)
    assert content(target) == "old"


def test_all_that_a_crash_left_aside_comes_back(tmp_path):
    make(tmp_path / ".a.old", "a")
    make(tmp_path / ".b.old", "old")
    make(tmp_path / "b", "new")
    recover_all(tmp_path)
    assert content(tmp_path / "a") == "a"
    assert content(tmp_path / "b") == "new"


def test_drafts_of_runs_that_were_killed_go_after_a_day(tmp_path):
    old, young = make(tmp_path / ".best.1.partial", "x"), make(tmp_path / ".best.2.partial", "x")
    other = make(tmp_path / ".other.1.partial", "x")
    day_before = time.time() - STALE - 60
    for path in (old, other):
        os.utime(path, (day_before, day_before))
    assert draft_of(tmp_path / "best").parent == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {young.name, other.name}
