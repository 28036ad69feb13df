from __future__ import annotations

import io
import os
import time
from pathlib import PurePath

import fsspec
import pytest

from dsanet_cli.errors import OutputError
from dsanet_cli.files.folders import absolute, open_folder

NAME = PurePath("a", "b.json")


@pytest.fixture(params=["path", "file", "memory"])
def place(request, tmp_path):
    """A folder's address, of this machine or of a file system behind a URL."""
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
    return {"path": str(tmp_path / "out"), "file": f"file://{tmp_path}/out", "memory": "memory://bucket/out"}[
        request.param
    ]


def test_what_is_written_can_be_read(place):
    folder = open_folder(place)
    with folder.write(NAME, "w") as stream:
        stream.write("säge\n")
    assert folder.read(NAME) == "säge\n".encode()
    assert folder.modified(NAME) == pytest.approx(time.time(), abs=60)
    with folder.write(NAME, "wb") as stream:
        stream.write(b"other")
    assert folder.read(NAME) == b"other"
    folder.remove(NAME)
    with pytest.raises(OutputError, match=r"b\.json: cannot be read"):
        folder.read(NAME)
    with pytest.raises(OutputError, match=r"b\.json: cannot be read"):
        folder.modified(NAME)


def test_a_block_that_fails_leaves_the_file_as_it_was(place):
    folder = open_folder(place)
    with folder.write(NAME, "w") as stream:
        stream.write("before")
    with pytest.raises(KeyError), folder.write(NAME, "w") as stream:  # noqa: PT012
        stream.write("half")
        raise KeyError
    assert folder.read(NAME) == b"before"


def test_a_write_that_a_service_refuses_leaves_the_file_as_it_was(monkeypatch):
    folder = open_folder("memory://bucket/out")
    with folder.write(NAME, "w") as stream:
        stream.write("before")
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFile.commit", lambda self: 1 / 0)
    with pytest.raises(
        OutputError, match=r"memory://bucket/out/a/b\.json: cannot be written: .*; choose another place"
    ):
        write_nothing(folder)
    assert folder.read(NAME) == b"before"


def test_a_write_that_breaks_off_leaves_the_file_as_it_was(monkeypatch):
    folder = open_folder("memory://bucket/out")
    with folder.write(NAME, "w") as stream:
        stream.write("before")
    write = io.BytesIO.write

    def break_off(self, data):
        write(self, data[:2])
        raise OSError("connection lost")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFile.write", break_off, raising=False)
    with pytest.raises(OutputError, match="connection lost"), folder.write(NAME, "wb") as stream:
        stream.write(b"after")
    assert folder.read(NAME) == b"before"


def test_all_files_are_listed(place):
    folder = open_folder(place)
    assert folder.names() == []
    for name in (NAME, PurePath("c.csv"), PurePath("a", "d", "e.png")):
        with folder.write(name, "w") as stream:
            stream.write("x")
    assert sorted(folder.names()) == sorted([NAME, PurePath("c.csv"), PurePath("a", "d", "e.png")])
    assert folder.exists(NAME)
    assert not folder.exists(PurePath("none"))


def test_the_ends_of_a_file(place):
    folder = open_folder(place)
    with folder.write(NAME, "w") as stream:
        stream.write("0123456789")
    assert folder.read_ends(NAME, 3) == (b"012", b"789")
    assert folder.read_ends(NAME, 8) == (b"01234567", b"23456789")
    assert folder.read_ends(NAME, 99) == (b"0123456789", b"0123456789")
    with pytest.raises(OutputError, match="cannot be read"):
        folder.read_ends(PurePath("none"), 3)


def write_nothing(folder):
    with folder.write(NAME, "wb"):
        pass


def test_names_of_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(open_folder("out")) == f"out{os.sep}"
    assert str(open_folder("memory://bucket/out/")) == "memory://bucket/out/"
    assert absolute("out") == str(tmp_path / "out")
    assert absolute("s3://bucket/out") == "s3://bucket/out"


def test_a_kind_of_url_that_nothing_here_opens():
    with pytest.raises(OutputError, match=r"gopher://x: cannot be opened: .*gopher"):
        open_folder("gopher://x")
