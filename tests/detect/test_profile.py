from __future__ import annotations

import os
from pathlib import Path

import pytest

from dsanet_cli.config import EventRule
from dsanet_cli.detect.profile import Camera, Profile, matches, read_profile, write_profile
from dsanet_cli.errors import UsageError
from dsanet_cli.files.sources import Source

BASE = EventRule(threshold=0.5, release=0.35, merge_gap=2.0, min_length=0.5)
TEXT = """
model = "scenes"
threshold = 0.6
drop = ["arson"]

[[camera]]
match = "cam3_*"
threshold = 0.8
drop = []

[[camera]]
match = "yard/*"
min_length = 3
"""


def source(video, folder="in"):
    return Source(Path(folder, f"{video}.mp4"), Path(video))


def write(tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("video", "threshold", "min_length", "dropped"),
    [
        ("lobby", 0.6, 0.5, {"arson"}),
        ("day1/cam3_0800", 0.8, 0.5, set()),
        ("yard/cam3_0800", 0.8, 0.5, set()),
        ("yard/cam4", 0.6, 3.0, {"arson"}),
        ("cam30", 0.6, 0.5, {"arson"}),
    ],
)
def test_the_first_camera_that_matches_overrides_what_is_said_of_all(tmp_path, video, threshold, min_length, dropped):
    profile = read_profile(write(tmp_path, TEXT))
    rule = profile.rule(source(video), BASE)
    assert rule == EventRule(threshold, 0.35, 2.0, min_length, tuple(dropped))


def test_the_command_line_overrides_it_for_every_camera(tmp_path):
    profile = read_profile(write(tmp_path, TEXT)).overridden(threshold=0.9)
    assert {profile.rule(source(video), BASE).threshold for video in ("lobby", "cam3_1", "yard/a")} == {0.9}
    assert profile.rule(source("yard/a"), BASE).min_length == 3.0


def test_what_is_written_is_read_again(tmp_path):
    camera = Camera(match='gate "1"\\*', release=0.2, drop=("a b",))
    profile = Profile(model="möbel", model_sha256="ab" * 32, threshold=0.62, release=0.434, camera=(camera,))
    write_profile(tmp_path / "p.toml", profile, ["one", "two"])
    assert read_profile(tmp_path / "p.toml") == profile
    assert (tmp_path / "p.toml").read_text(encoding="utf-8").startswith("# one\n# two\nthreshold = 0.62\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thresold = 0.5", "unknown entry 'thresold'"),
        ("threshold = 1.5", "threshold.*1|1.*threshold"),
        ("threshold = nan", "not a number"),
        ('threshold = "high"', "threshold"),
        ("merge_gap = -1", "merge_gap"),
        ("[[camera]]\nthreshold = 0.5", "match"),
        ('[[camera]]\nmatch = "a"\nregoin = 1', "unknown entry 'camera.0.regoin'"),
        ("camera = 3", "camera"),
        ("threshold = 0.3\nrelease = 0.5", r"release 0\.5 is above threshold 0\.3"),
        ('[[camera]]\nmatch = "a"\nthreshold = 0.3\nrelease = 0.5', r"release 0\.5 is above threshold 0\.3"),
        ("= 1", "not a TOML file of a profile"),
    ],
)
def test_a_profile_that_is_none_is_one_line(tmp_path, text, message):
    with pytest.raises(UsageError, match=rf"gate\.toml.*{message}") as raised:
        read_profile(write(tmp_path, text))
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "profile.toml")
    with pytest.raises(UsageError, match=r"profile\.toml: cannot be read \(Not a regular file\)"):
        read_profile(tmp_path / "profile.toml")


def test_a_missing_profile_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gate\.toml: cannot be read"):
        read_profile(tmp_path / "gate.toml")


@pytest.mark.parametrize(
    ("pattern", "path", "relative", "matched"),
    [
        ("cam3", "in/cam3.mp4", "cam3", True),
        ("cam3.mp4", "in/cam3.mp4", "cam3", True),
        ("cam3_*.mp4", "in/yard/cam3_08.mp4", "yard/cam3_08", True),
        ("yard/*", "in/yard/cam3.mp4", "cam3", True),
        ("yard/cam3.mp4", "in/yard/cam3.mp4", "cam3", True),
        ("yard/*", "in/yard/day1/cam3.mp4", "yard/day1/cam3", True),
        ("yard/*", "in/lobby/cam3.mp4", "cam3", False),
        ("yard*", "in/yard_old/cam3.mp4", "cam3", False),
        ("cam3", "in/cam3/lobby.mp4", "lobby", False),
        ("cam3", "in/cam31.mp4", "cam31", False),
    ],
)
def test_a_pattern_is_for_names_with_or_without_suffix_and_for_last_folders(pattern, path, relative, matched):
    assert matches(Source(Path(path), Path(relative)), pattern) == matched


def test_masks_lie_beside_the_profile(tmp_path):
    (tmp_path / "sub").mkdir()
    cameras = f'[[camera]]\nmatch = "x"\nmask = "{tmp_path}/b.png"\n[[camera]]\nmatch = "y"\nmask = ""\n'
    profile = read_profile(write(tmp_path / "sub", f'mask = "a.png"\n{cameras}'))
    assert profile.masks == {str(tmp_path / "sub" / "a.png"), str(tmp_path / "b.png")}
    expected = [str(tmp_path / "b.png"), "", str(tmp_path / "sub" / "a.png")]
    assert [profile.view(source(video))[1] for video in "xyz"] == expected


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_profile_that_is_no_file_is_not_waited_for(tmp_path, make):
    make(tmp_path / "gate.toml")
    with pytest.raises(UsageError, match=r"gate\.toml: cannot be read \(Not a regular file\)|Is a directory"):
        read_profile(tmp_path / "gate.toml")
