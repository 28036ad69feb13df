from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dsanet_cli.errors import SourceError
from dsanet_cli.features.lists import ListedFeature, VideoLabels, check_listable, read_list, require_files, write_list
from dsanet_cli.files.sources import Source


def source(path, relative=None):
    return Source(Path(path), Path(relative or path).with_suffix(""))


@pytest.fixture
def mapping(tmp_path):
    def write(*rows):
        (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
        return VideoLabels(tmp_path / "labels.csv")

    return write


def test_without_a_mapping_the_folder_is_the_label(tmp_path, monkeypatch):
    labels = VideoLabels(None)
    assert labels.of(source("/data/Abuse/Abuse001.mp4")) == ("Abuse", None)
    (tmp_path / "Arson").mkdir()
    monkeypatch.chdir(tmp_path / "Arson")
    assert labels.of(source("Arson001.mp4")) == ("Arson", None)


@pytest.mark.parametrize(
    "row",
    [
        "b/clip.mp4,B2-G-0",
        "b/clip,B2-G-0",
        "b\\clip.mp4,B2-G-0",
        "./b/clip.mp4,B2-G-0",
        "b/clip__3.npy,B2-G-0",
        "/home/ann/videos/clip.mp4,B2-G-0",
        "D:\\features\\clip__0.npy,B2-G-0",
        "clip,B2-G-0",
    ],
)
def test_rows_of_a_mapping(mapping, row):
    assert mapping("other.mp4,A", row).of(source("/videos/b/clip.mp4", "b/clip.mp4")) == ("B2-G-0", None)


def test_the_path_comes_before_the_name(mapping):
    labels = mapping("clip.mp4,A", "b/clip.mp4,G", "c/clip.avi,B1", "c/clip.mp4,B2")
    assert labels.of(source("/videos/b/clip.mp4", "b/clip.mp4")) == ("G", None)
    assert labels.of(source("/videos/c/clip.mp4", "c/clip.mp4")) == ("B2", None)
    with pytest.raises(SourceError, match=r"d/clip\.mp4: not listed, .*several labels for it \(A, B1, B2, G\)"):
        labels.of(source("/videos/d/clip.mp4", "d/clip.mp4"))


def test_dots_belong_to_the_name(mapping):
    name = "Bad.Boys.1995__#00-26-51_label_B2-0-0"
    labels = mapping(f"{name},B2-0-0", "Bad.mp4,A")
    assert labels.of(Source(Path(f"/videos/{name}.mp4"), Path(name))) == ("B2-0-0", None)


def test_rows_of_all_crops_are_one_label(mapping):
    assert mapping(*(f"/x/clip__{crop}.npy,Arson" for crop in range(10))).of(source("clip.mp4")) == ("Arson", None)


def test_a_video_without_a_label(mapping):
    with pytest.raises(SourceError, match=r"clip\.mp4: not listed, .*labels\.csv has no label for it; add a row"):
        mapping("other.mp4,A").of(source("clip.mp4"))


@pytest.mark.parametrize("content", ["", "name,label\na,b\n", "path,label\n"])
def test_a_mapping_that_is_none(tmp_path, content):
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(SourceError, match=r"labels\.csv"):
        VideoLabels(tmp_path / "labels.csv")


def test_a_list_is_relative_to_itself_and_reads_back(tmp_path):
    rows = [
        ListedFeature(tmp_path / "features" / "a, b" / "clip__0.npy", "Abuse"),
        ListedFeature(tmp_path / "lists" / "x__0.npy", "B2-G-0"),
    ]
    path = tmp_path / "lists" / "train.csv"
    write_list(path, rows)
    assert path.read_text() == 'path,label\n"../features/a, b/clip__0.npy",Abuse\nx__0.npy,B2-G-0\n'
    assert [(os.path.normpath(row.path), row.label) for row in read_list(path)] == [
        (str(row.path), row.label) for row in rows
    ]


@pytest.mark.parametrize(
    "content",
    [
        "path,label\n\na.npy,Abuse\n\n  \n",
        "\ufeffpath,label\r\na.npy,Abuse\r\n\r\n",
        "path , label\n  a.npy  ,  Abuse  \n,\n",
        '"path","label"\n"a.npy", "Abuse"\n',
        "Path,Label,,\na.npy,Abuse,,\n,,,\n",
        "path,label,group\na.npy,Abuse\n",
        "path,label,group\na.npy,Abuse,\n",
    ],
    ids=["blank lines", "Windows", "blanks", "quotes", "spreadsheet", "no group", "empty group"],
)
def test_lists_as_people_write_them(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content.encode())
    assert read_list(tmp_path / "list.csv") == [ListedFeature(tmp_path / "a.npy", "Abuse")]


def test_groups_of_a_mapping(tmp_path):
    rows = "b/clip.mp4,Abuse,gate\nc/clip.mp4,Abuse,yard\nd.mp4,Normal,\n"
    (tmp_path / "labels.csv").write_text(f"path,label,group\n{rows}")
    labels = VideoLabels(tmp_path / "labels.csv")
    assert labels.of(source("/videos/b/clip.mp4", "b/clip.mp4")) == ("Abuse", "gate")
    assert labels.of(source("/videos/d.mp4", "d.mp4")) == ("Normal", None)
    with pytest.raises(SourceError, match=r"clip\.mp4: not listed, .*several groups for it \(gate, yard\)"):
        labels.of(source("/videos/e/clip.mp4", "e/clip.mp4"))


def test_groups_are_written_where_there_are_some(tmp_path):
    rows = [ListedFeature(tmp_path / "a.npy", "Abuse", "gate 3"), ListedFeature(tmp_path / "b.npy", "Normal")]
    write_list(tmp_path / "list.csv", rows)
    assert (tmp_path / "list.csv").read_text() == "path,label,group\na.npy,Abuse,gate 3\nb.npy,Normal,\n"
    assert read_list(tmp_path / "list.csv") == rows


def test_a_list_may_name_groups(tmp_path):
    (tmp_path / "list.csv").write_text("path,label,group\na.npy,Abuse,gate 3\nb.npy,Normal,\n")
    assert [row.group for row in read_list(tmp_path / "list.csv")] == ["gate 3", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\na.npy\n", "line 2 is no path,label"),
        (b"path,label\n,Abuse\n", "line 2 is no path,label"),
        (b"path,label\na.npy,,x\n", "line 2 has 3 columns instead of 2"),
        (b"path,label\na.npy,Abuse,gate\n", "line 2 has 3 columns instead of 2"),
        (b"path,label,group,more\na.npy,Abuse,1,2\n", "its first line must be path,label"),
        (b"path;label\na.npy;Abuse\n", "its first line must be path,label"),
        (b"path,label\na\0.npy,Abuse\n", "list.csv: (line 2 is no path,label|not a feature list)"),
        (b"\x93NUMPY\xff\xfe", "not a feature list"),
        pytest.param(b"path,label\n" + b"x" * 200_000 + b",Abuse\n", "not a feature list .*field larger", id="long"),
        (b"", "its first line must be path,label"),
        (b"path,label\n\n", "lists no feature files"),
    ],
)
def test_what_is_no_list(tmp_path, content, message):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read_list(tmp_path / "list.csv")
    assert "\n" not in str(caught.value)


def test_names_that_no_system_can_hold_are_missing_files(tmp_path):
    (tmp_path / "list.csv").write_text(f"path,label\n{'x' * 10_000}.npy,Abuse\n")
    with pytest.raises(SourceError, match="1 of 1 feature files are missing"):
        require_files(read_list(tmp_path / "list.csv"), tmp_path / "list.csv")
    with pytest.raises(SourceError, match="1 of 1 feature files are missing"):
        require_files(read_list(tmp_path / "list.csv", tmp_path), tmp_path / "list.csv")


@pytest.mark.timeout(20)
@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_pipe_is_no_list(tmp_path):
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(SourceError, match=r"list.csv: cannot be read \(Not a regular file\)"):
        read_list(tmp_path / "list.csv")


def test_names_that_no_list_can_hold():
    check_listable(Path("é/ä.npy"))
    with pytest.raises(SourceError, match="not UTF-8; rename it"):
        check_listable(Path(os.fsdecode(b"\xff.npy")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_of_any_editor_and_spreadsheet(tmp_path, encoding, end):
    lines = ["Path , label ", "a.npy,Normal", 'b 1.npy , "Road, wet"', '"c.npy", Abuse ', "", "   ", ""]
    (tmp_path / "list.csv").write_bytes(end.join(lines).encode(encoding))
    assert read_list(tmp_path / "list.csv") == [
        ListedFeature(tmp_path / "a.npy", "Normal"),
        ListedFeature(tmp_path / "b 1.npy", "Road, wet"),
        ListedFeature(tmp_path / "c.npy", "Abuse"),
    ]


@pytest.mark.parametrize("content", [b"path,label\n\xff.npy,A\n", b"path,label\n" + b"x" * 200_000 + b",A\n"])
def test_what_is_no_list_is_one_line(tmp_path, content):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.csv: not a feature list") as caught:
        read_list(tmp_path / "list.csv")
    assert len(str(caught.value).splitlines()) == 1
