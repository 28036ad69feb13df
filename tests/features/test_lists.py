from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsanet_cli.errors import SourceError
from dsanet_cli.features.lists import ListedFeature, VideoLabels, check_listable, read_list, write_list
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
    assert labels.of(source("/data/Abuse/Abuse001.mp4")) == "Abuse"
    (tmp_path / "Arson").mkdir()
    monkeypatch.chdir(tmp_path / "Arson")
    assert labels.of(source("Arson001.mp4")) == "Arson"


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
    assert mapping("other.mp4,A", row).of(source("/videos/b/clip.mp4", "b/clip.mp4")) == "B2-G-0"


def test_the_path_comes_before_the_name(mapping):
    labels = mapping("clip.mp4,A", "b/clip.mp4,G", "c/clip.avi,B1", "c/clip.mp4,B2")
    assert labels.of(source("/videos/b/clip.mp4", "b/clip.mp4")) == "G"
    assert labels.of(source("/videos/c/clip.mp4", "c/clip.mp4")) == "B2"
    with pytest.raises(SourceError, match=r"d/clip\.mp4: not listed, .*several labels for it \(A, B1, B2, G\)"):
        labels.of(source("/videos/d/clip.mp4", "d/clip.mp4"))


def test_dots_belong_to_the_name(mapping):
    name = "Bad.Boys.1995__#00-26-51_label_B2-0-0"
    labels = mapping(f"{name},B2-0-0", "Bad.mp4,A")
    assert labels.of(Source(Path(f"/videos/{name}.mp4"), Path(name))) == "B2-0-0"


def test_rows_of_all_crops_are_one_label(mapping):
    assert mapping(*(f"/x/clip__{crop}.npy,Arson" for crop in range(10))).of(source("clip.mp4")) == "Arson"


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
    with pytest.raises(SourceError, match=r"list\.csv: cannot be read") as caught:
        read_list(tmp_path / "list.csv")
    assert len(str(caught.value).splitlines()) == 1
