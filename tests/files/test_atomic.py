import contextlib
import errno
import os
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from dsanet_cli.errors import OutputError
from dsanet_cli.files import atomic
from dsanet_cli.files.atomic import atomic_write


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_text_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a" / "b" / "result.csv"
    with atomic_write(path) as stream:
        stream.write("é,1\n")
        assert not path.exists()
        assert all(name.startswith(".") for name in names(path.parent))
    assert path.read_bytes() == "é,1\n".encode()
    assert names(path.parent) == {"result.csv"}


def test_bytes_replace_an_older_file(tmp_path):
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")
    with atomic_write(path, "wb", sync=True) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_sync_waits_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    with atomic_write(tmp_path / "x", sync=True) as stream:
        stream.write("12345")
    with atomic_write(tmp_path / "y") as stream:
        stream.write("12345")
    assert synced == [5]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failing_block_leaves_the_older_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as stream:  # noqa: PT012
        stream.write("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == {"result.json"}


def test_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "result.json"
    with atomic_write(path) as one, atomic_write(path) as two:
        one.write("one" * 1000)
        two.write("two")
    assert path.read_text() == "one" * 1000  # the outer block ends last
    assert names(tmp_path) == {"result.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "x") as stream:
            stream.write("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_write_that_the_system_refuses(tmp_path):
    resource = pytest.importorskip("resource", reason="POSIX limits")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OutputError, match=r"big.bin: cannot be written: .*--output"):  # noqa: SIM117
            with atomic_write(tmp_path / "big.bin", "wb") as stream:
                stream.write(bytes(2 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == set()


def test_a_full_disk_is_said_to_be_full(tmp_path):
    with pytest.raises(OutputError, match=r"r.json: cannot be written: the disk is full; free some space"):  # noqa: SIM117
        with atomic_write(tmp_path / "r.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == set()


def test_errors_of_other_files_are_not_the_outputs(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "r.json"):
        Path(tmp_path / "missing input").read_text()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("inside", ["r.json", "deep/er/r.json"])
def test_a_file_where_a_folder_should_be(tmp_path, inside):
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(OutputError) as caught, atomic_write(tmp_path / "out" / inside):
        pass
    assert str(tmp_path / "out" / inside) in str(caught.value)
    assert f"{tmp_path / 'out'} is not a folder; choose another with --output" in str(caught.value)


def test_a_folder_where_the_file_should_be(tmp_path):
    (tmp_path / "r.json").mkdir()
    with pytest.raises(OutputError, match=r"r.json: is not a file"), atomic_write(tmp_path / "r.json"):
        pass
    assert names(tmp_path) == {"r.json"}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX special files")
def test_what_is_no_regular_file_is_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"  # stands for /dev/null, which root would lose if this failed
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="pipe: is not a file"), atomic_write(pipe):
        pass
    assert pipe.is_fifo()


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(OutputError, match="the name is too long"), atomic_write(tmp_path / ("x" * 300)):
        pass
    assert names(tmp_path) == set()


@pytest.mark.parametrize(("locked", "written"), [(2, True), (3, False)])
def test_a_file_that_another_program_has_open_is_tried_again(tmp_path, monkeypatch, locked, written):
    """As Windows has it: replacing fails for as long as a virus scanner, or a spreadsheet, holds the old file."""
    refusals = iter([PermissionError(errno.EACCES, "in use", str(tmp_path / "r.csv"))] * locked)
    replace = Path.replace

    def locking(self, target):
        if (refusal := next(refusals, None)) is not None:
            raise refusal
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", locking)
    monkeypatch.setattr(atomic, "_ATTEMPTS", 3)
    monkeypatch.setattr(atomic, "_PAUSE", 0.0)
    outcome = contextlib.nullcontext() if written else pytest.raises(OutputError, match="written: no permission")
    with outcome, atomic_write(tmp_path / "r.csv") as stream:
        stream.write("new")
    assert names(tmp_path) == ({"r.csv"} if written else set())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX names")
def test_long_and_strange_names(tmp_path):
    for name in ("猫" * 84 + ".x", os.fsdecode(b"\xff\xfe.x")):
        with atomic_write(tmp_path / name) as stream:
            stream.write("x")
        assert (tmp_path / name).read_text() == "x"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_an_unwritable_folder(mode):
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(mode)
        if root:  # who may write everywhere, so be nobody for a moment
            os.seteuid(65534)
        try:
            for path in (folder / "r.json", folder / "new" / "r.json"):
                with (
                    pytest.raises(OutputError, match=r"r.json: .*no permission to write"),
                    atomic_write(path),
                ):
                    pass
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)
        assert names(folder) == set()
