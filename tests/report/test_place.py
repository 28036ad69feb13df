"""Where a page looks for its video."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsanet_cli.report import place
from dsanet_cli.report.place import href, plays_everywhere, video_place
from dsanet_cli.timeline.facts import VideoFacts

HREFS = {
    "in/a.mp4": "../in/a.mp4",
    "in/a #1?x=2%20.mp4": "../in/a%20%231%3Fx%3D2%2520.mp4",
    "in/\u00fc \u043a\u043e\u0442.mp4": "../in/%C3%BC%20%D0%BA%D0%BE%D1%82.mp4",
    "in/c:d.mp4": "../in/c%3Ad.mp4",
    "in/'\"<&>.mp4": "../in/%27%22%3C%26%3E.mp4",
    "out/javascript:alert(1)": "javascript%3Aalert%281%29",
}


@pytest.mark.parametrize("name", HREFS)
def test_names_are_escaped(tmp_path, name):
    assert href(tmp_path / name, tmp_path / "out") == HREFS[name]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text(tmp_path):
    assert href(tmp_path / os.fsdecode(b"\xff.mp4"), tmp_path) == "%FF.mp4"


def test_on_another_drive(tmp_path, monkeypatch):
    def relpath(path, start):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(place.os.path, "relpath", relpath)
    assert href(Path("/videos/a #1.mp4"), tmp_path) == "file:///videos/a%20%231.mp4"


def video(path, **facts):
    return VideoFacts(str(path), 10, 1.0, **{"codec": "h264", **facts})


def test_a_relative_path_comes_first_and_an_absolute_one_last(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").touch()
    real = tmp_path / "in" / "a.mp4"
    found = video_place(video(real, real_path=str(real)), tmp_path / "out").sources
    assert found == ("../in/a.mp4", real.as_uri())


def test_a_video_that_moved_with_its_result(tmp_path):
    (tmp_path / "a.mp4").touch()
    found = video_place(video("/gone/a.mp4", real_path="/gone/a.mp4"), tmp_path).sources
    assert found[0] == "a.mp4"


def test_through_a_link_both_ways_are_tried(tmp_path, monkeypatch):
    (tmp_path / "disk" / "in").mkdir(parents=True)
    (tmp_path / "disk" / "in" / "a.mp4").touch()
    (tmp_path / "videos").symlink_to(tmp_path / "disk" / "in")
    monkeypatch.chdir(tmp_path)
    real = tmp_path / "disk" / "in" / "a.mp4"
    found = video_place(video("videos/a.mp4", real_path=str(real)), tmp_path / "out").sources
    assert found == ("../videos/a.mp4", "../disk/in/a.mp4", real.as_uri())


NOTHING = {
    "features": (video("a.npy", codec=None), "made from features"),
    "a URL": (video("https://host/a.mp4"), "The video is at https://host/a.mp4"),
    "pictures": (video("frames/*.jpg", codec="mjpeg"), "made from pictures"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_where_there_is_nothing_to_play(tmp_path, case):
    facts, said = NOTHING[case]
    found = video_place(facts, tmp_path)
    assert found.sources == ()
    assert said in found.said


def test_no_other_machine_is_asked(tmp_path):
    found = video_place(video("//host/share/a.mp4", real_path="//host/share/a.mp4"), tmp_path).sources
    assert not any(source.startswith(("file:", "//")) for source in found)


@pytest.mark.parametrize(
    ("name", "codec", "common"),
    [("a.MP4", "h264", True), ("a.mp4", "hevc", False), ("a.avi", "h264", False), ("a.webm", "vp9", True)],
)
def test_what_all_browsers_play(name, codec, common):
    assert plays_everywhere(video(name, codec=codec)) is common
