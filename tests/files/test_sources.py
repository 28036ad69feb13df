from __future__ import annotations

import io
import os
import re
import stat
import sys
import unicodedata
import urllib.parse
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from dsanet_cli.errors import SourceError
from dsanet_cli.files.sources import _is_marked_hidden, find_sources
from dsanet_cli.files.typed import LONGEST_LINE


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)


def make(*names):
    for name in names:
        path = Path(os.fsdecode(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def find(*arguments, recursive=False, stdin=""):
    return find_sources(arguments, recursive, io.StringIO(stdin))


def paths(listing):
    assert listing.problems == ()
    return [str(source.path) for source in listing.sources]


def results(listing):
    return [str(source.relative) for source in listing.sources]


def problems(listing):
    return [str(problem) for problem in listing.problems]


def test_a_file_is_taken_whatever_its_suffix():
    make("clip.mp4", "recording", "odd.xyz", "features.npy", ".hidden.mp4")
    names = ["clip.mp4", "recording", "odd.xyz", "features.npy", ".hidden.mp4"]
    assert paths(find(*names)) == names


def test_paths_stay_as_they_were_given(tmp_path):
    make("clip.mp4", "folder/b.mp4")
    assert paths(find("./clip.mp4")) == ["clip.mp4"]
    assert paths(find(str(tmp_path / "folder"))) == [str(tmp_path / "folder" / "b.mp4")]
    assert paths(find("folder")) == ["folder/b.mp4"]


def test_a_folder_gives_its_videos_and_features_only():
    make("in/b.MP4", "in/a.mkv", "in/c.npy", "in/notes.txt", "in/.hidden.mp4", "in/sub/d.mp4", "in/.cache/e.mp4")
    assert paths(find("in")) == ["in/a.mkv", "in/b.MP4", "in/c.npy"]


def test_recursive_takes_the_whole_tree():
    make("in/b.mp4", "in/sub/d.mp4", "in/sub/deep/e.avi", "in/.cache/e.mp4", "in/sub/.x.mp4")
    assert paths(find("in", recursive=True)) == ["in/b.mp4", "in/sub/d.mp4", "in/sub/deep/e.avi"]


def test_order_is_natural():
    make("in/cam10.mp4", "in/cam2.mp4", "in/Cam1.mp4", "in/day10/a.mp4", "in/day9/a.mp4")
    assert paths(find("in", recursive=True)) == [
        "in/Cam1.mp4",
        "in/cam2.mp4",
        "in/cam10.mp4",
        "in/day9/a.mp4",
        "in/day10/a.mp4",
    ]


def test_arguments_keep_their_order():
    make("b.mp4", "a.mp4")
    assert paths(find("b.mp4", "a.mp4")) == ["b.mp4", "a.mp4"]


def test_a_file_given_several_times_is_taken_once(tmp_path):
    make("in/clip.mp4")
    found = find("in/clip.mp4", "./in/../in/clip.mp4", str(tmp_path / "in/clip.mp4"), "in", "in/*.mp4", "in/**")
    assert paths(found) == ["in/clip.mp4"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.mp4", ["in/a1.mp4", "in/a2.mp4"]),
        ("in/a?.mp4", ["in/a1.mp4", "in/a2.mp4"]),
        ("in/a[2-9].*", ["in/a2.mp4"]),
        ("in/*", ["in/a1.mp4", "in/a2.mp4", "in/c.mkv", "in/sub/d.mp4"]),
        ("in/**/*.mp4", ["in/a1.mp4", "in/a2.mp4", "in/sub/d.mp4", "in/sub/deep/e.mp4"]),
        ("in/**", ["in/a1.mp4", "in/a2.mp4", "in/c.mkv", "in/sub/d.mp4", "in/sub/deep/e.mp4"]),
        ("*/sub/*.mp4", ["in/sub/d.mp4"]),
        ("in/*.txt", ["in/notes.txt"]),
        ("in/.h*.mp4", ["in/.hidden.mp4"]),
    ],
)
def test_patterns(pattern, expected):
    make("in/a2.mp4", "in/a1.mp4", "in/c.mkv", "in/notes.txt", "in/.hidden.mp4", "in/sub/d.mp4", "in/sub/deep/e.mp4")
    assert paths(find(pattern)) == expected


def test_an_absolute_pattern(tmp_path):
    make("in/a.mp4", "in/b.mp4")
    assert paths(find(f"{tmp_path}/in/*.mp4")) == [f"{tmp_path}/in/a.mp4", f"{tmp_path}/in/b.mp4"]


def test_a_file_named_like_a_pattern_comes_first():
    make("cam[1].mp4", "cam1.mp4", "shots [old]/x.mp4")
    assert paths(find("cam[1].mp4")) == ["cam[1].mp4"]
    assert paths(find("shots [old]")) == ["shots [old]/x.mp4"]


def test_a_list_names_files_folders_and_patterns():
    make("lists/a.mp4", "lists/in/b.mp4", "lists/c1.mp4", "lists/c2.mp4", "lists/#d.mp4", "e.mp4")
    lines = ["# comment", "", "a.mp4  ", "   ", "in", "c*.mp4", "../e.mp4", "./#d.mp4"]
    Path("lists/all.txt").write_bytes("\r\n".join(lines).encode())
    assert [os.path.normpath(path) for path in paths(find("@lists/all.txt"))] == [
        "lists/a.mp4",
        "lists/in/b.mp4",
        "lists/c1.mp4",
        "lists/c2.mp4",
        "e.mp4",
        "lists/#d.mp4",
    ]


def test_a_list_may_hold_absolute_paths_and_any_text(tmp_path):
    make("ünï 日本.mp4", b"caf\xe9.mp4")
    content = b"\xef\xbb\xbf" + os.fsencode(tmp_path / "ünï 日本.mp4") + b"\ncaf\xe9.mp4\n"
    Path("list.txt").write_bytes(content)
    assert paths(find("@list.txt")) == [str(tmp_path / "ünï 日本.mp4"), os.fsdecode(b"caf\xe9.mp4")]


def test_brackets_in_the_folder_of_a_list_are_no_pattern():
    make("[lists]/a.mp4", "[lists]/b.mp4", "l/c.mp4")
    Path("[lists]/all.txt").write_text("*.mp4\n")
    assert paths(find("@[lists]/all.txt")) == ["[lists]/a.mp4", "[lists]/b.mp4"]


def test_a_list_on_stdin_starts_from_the_current_folder():
    make("a.mp4", "in/b.mp4")
    assert paths(find("-", stdin="a.mp4\n# no\n\nin\n")) == ["a.mp4", "in/b.mp4"]


def test_stdin_may_hold_names_that_are_no_text():
    make(b"caf\xe9.mp4")
    stdin = io.TextIOWrapper(io.BytesIO(b"caf\xe9.mp4\r\n"), encoding="utf-8")
    assert paths(find_sources(["-"], False, stdin)) == [os.fsdecode(b"caf\xe9.mp4")]


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lists_of_any_editor_are_read_from_files_and_stdin(mark, end):
    make("ä b.mp4", "c.mp4", "d.mp4")
    content = end.join(["ä b.mp4", ' "c.mp4" ', "", "\td.mp4  ", "   ", ""]).encode(mark)
    Path("list.txt").write_bytes(content)
    expected = ["ä b.mp4", "c.mp4", "d.mp4"]
    assert paths(find("@list.txt")) == expected
    assert paths(find_sources(["-"], False, io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))) == expected


def test_no_stdin_is_an_empty_list():
    assert [str(problem) for problem in find_sources(["-"], False, None).problems] == [
        "-: the list is empty; write one path per line"
    ]


def test_a_long_file_without_lines_is_no_list():
    Path("list.txt").write_bytes(b"x" * (LONGEST_LINE + 1))
    assert problems(find("@list.txt")) == ["@list.txt: not a text file; bring a list with one path per line"]


@pytest.mark.parametrize("pasted", ['"{0}"', "'{0}'", "“{0}”", "file://{0}", "'file://localhost{0}'"])
def test_a_pasted_path(tmp_path, pasted):
    make("a b/ü #1?.mp4")
    path = f"{tmp_path}/a b/ü #1?.mp4"
    text = pasted.format(urllib.parse.quote(path) if "file:" in pasted else path)
    assert paths(find(text)) == [path]
    Path("list.txt").write_text(f"{text}\n")
    assert paths(find("@list.txt")) == [path]
    assert paths(find(f"@'{tmp_path}/list.txt'")) == [path]


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make("home/a.mp4", "~x/b.mp4")
    assert paths(find("'~/a.mp4'")) == [f"{tmp_path}/home/a.mp4"]
    assert paths(find("~/*.mp4")) == [f"{tmp_path}/home/a.mp4"]
    assert paths(find("~x/b.mp4")) == ["~x/b.mp4"]


def test_a_file_whose_name_has_quotes_comes_first():
    make("'a.mp4'", "a.mp4")
    assert paths(find("'a.mp4'")) == ["'a.mp4'"]


@pytest.mark.parametrize(
    "name", ["with space.mp4", " lead.mp4", "two\nlines.mp4", "日本.mp4", b"caf\xe9.mp4", "-x.mp4"]
)
def test_any_name_is_found(name):
    make(b"in/" + os.fsencode(name))
    name = os.fsdecode(name)
    assert paths(find("in")) == [f"in/{name}"]
    assert paths(find(f"in/{name}")) == [f"in/{name}"]
    assert results(find("in")) == [name.removesuffix(".mp4")]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a/clip.mp4"], ["clip"]),
        (["a"], ["clip", "other", "sub/clip"]),
        (["a", "b"], ["a/clip", "a/other", "a/sub/clip", "b/clip"]),
        (["a/clip.mp4", "b/clip.mp4"], ["a/clip", "b/clip"]),
        (["a/clip.mp4", "a/other.mp4"], ["clip", "other"]),
        (["a/clip.mp4", "a/sub/clip.mp4"], ["clip", "sub/clip"]),
        (["a/sub", "a"], ["sub/clip", "clip", "other"]),
        (["a/*.mp4"], ["clip", "other"]),
        (["*/clip.mp4"], ["a/clip", "b/clip"]),
        (["a/**/other.mp4"], ["other"]),
        (["a/sub/*.mp4", "b"], ["a/sub/clip", "b/clip"]),
        (["top.mp4", "a/clip.mp4"], ["top", "a/clip"]),
    ],
)
def test_results_mirror_the_tree_below_what_was_named(arguments, expected):
    make("a/clip.mp4", "a/other.mp4", "a/sub/clip.mp4", "b/clip.mp4", "top.mp4")
    assert results(find(*arguments, recursive=True)) == expected


def test_equal_stems_keep_their_suffixes():
    make("in/clip.mp4", "in/clip.avi", "in/clip.npy", "in/other.mp4", "in/sub/clip.mp4")
    expected = ["clip.avi", "clip.mp4", "clip.npy", "other", "sub/clip"]
    assert results(find("in", recursive=True)) == expected


def test_a_kept_suffix_does_not_meet_another_stem():
    make("in/clip.mp4", "in/clip.avi", "in/clip.mp4.mkv")
    assert sorted(results(find("in"))) == ["clip.avi", "clip.mp4", "clip.mp4.mkv"]


def test_names_do_not_change_when_a_missing_file_appears():
    make("a/clip.mp4", "b/x/clip.mp4")
    arguments = ["a/clip.mp4", "a/clip.avi", "b/x/clip.mp4", "c/clip.mp4"]
    before = find(*arguments)
    assert results(before) == ["a/clip.mp4", "b/x/clip"]
    make("a/clip.avi", "c/clip.mp4")
    after = dict(zip(paths(find(*arguments)), results(find(*arguments)), strict=True))
    assert all(str(after[str(source.path)]) == str(source.relative) for source in before.sources)


def test_names_do_not_depend_on_the_current_folder(tmp_path, monkeypatch):
    make("x/a/clip.mp4", "x/b/clip.mp4")
    absolute = results(find(f"{tmp_path}/x/a", f"{tmp_path}/x/b"))
    monkeypatch.chdir("x/a")
    assert results(find(".", "../b")) == absolute == ["a/clip", "b/clip"]


def test_what_is_missing_does_not_stop_the_rest():
    make("a.mp4", "c.mp4")
    listing = find("a.mp4", "b.mp4", "c.mp4")
    assert [source.path.name for source in listing.sources] == ["a.mp4", "c.mp4"]
    (problem,) = listing.problems
    assert isinstance(problem, SourceError)
    assert problem.argument == "b.mp4"
    assert str(problem) == "b.mp4: no such file or folder; check the name"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing.mp4", "missing.mp4: no such file or folder; check the name"),
        ("missing/clip.mp4", "missing/clip.mp4: no such file or folder; check the name"),
        ("empty", "empty: holds no videos; add --recursive to look into its sub-folders"),
        ("*.avi", "*.avi: matches no videos; check the pattern"),
        ("none/**/*.avi", "none/**/*.avi: matches no videos; check the pattern"),
        pytest.param(
            "a**b",
            "a**b: not a pattern (Invalid pattern: '**' can only be an entire path component); ",
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="a pattern there"),
        ),
        ("@none.txt", "@none.txt: there is no list none.txt; check the name"),
        ("@blank.txt", "@blank.txt: the list is empty; write one path per line"),
        ("@zeros.mp4", "@zeros.mp4: not a text file; bring a list with one path per line"),
        ("@empty", "@empty: the list cannot be read (Is a directory); check its name and permissions"),
        ("@wrong.txt", "gone.mp4: no such file or folder; check the name"),
        ("-", "-: the list is empty; write one path per line"),
        ("", ": not a path; name a video, a folder or a pattern"),
        ("nul\0.mp4", r"nul\x00.mp4: not a path; name a video, a folder or a pattern"),
        ("two\nlines", r"two\nlines: no such file or folder; check the name"),
    ],
)
def test_what_gives_nothing_is_told_in_one_line(argument, message):
    make("notes.txt", "empty/sub/clip.mp4")
    Path("blank.txt").write_text("\n# nothing\n")
    Path("zeros.mp4").write_bytes(bytes(1000))
    Path("wrong.txt").write_text("gone.mp4\n")
    listing = find(argument)
    assert listing.sources == ()
    (problem,) = listing.problems
    assert str(problem).startswith(message)
    assert "\n" not in str(problem)


def test_an_empty_tree_says_something_else():
    make("in/sub/notes.txt")
    assert problems(find("in", recursive=True)) == ["in: holds no videos; name another folder"]


def test_each_problem_is_told_once():
    assert len(find("gone.mp4", "gone.mp4", "./gone.mp4").problems) == 1


def test_links_that_run_in_circles_end():
    make("in/a/clip.mp4", "in/b/clip.mp4")
    os.symlink("..", "in/a/up")
    os.symlink(".", "in/self")
    for one, other in (("a", "b"), ("b", "a")):
        os.symlink(f"../{other}", f"in/{one}/{other}")
    assert sorted(os.path.realpath(path) for path in paths(find("in", recursive=True))) == [
        os.path.realpath("in/a/clip.mp4"),
        os.path.realpath("in/b/clip.mp4"),
    ]
    assert [os.path.realpath(path) for path in paths(find("in/**/clip.mp4"))] == [
        os.path.realpath("in/a/clip.mp4"),
        os.path.realpath("in/b/clip.mp4"),
    ]


def test_links_to_folders_and_files_are_followed():
    make("store/a.mp4", "store/b.mp4")
    Path("in").mkdir()
    os.symlink("../store", "in/linked")
    os.symlink("../store/b.mp4", "in/b.mp4")
    assert paths(find("in", recursive=True)) == ["in/b.mp4", "in/linked/a.mp4", "in/linked/b.mp4"]


def test_a_broken_link_is_told_and_the_rest_is_taken():
    make("in/a.mp4")
    os.symlink("gone.mp4", "in/b.mp4")
    os.symlink("gone.txt", "in/b.txt")
    os.symlink("loop.mp4", "in/loop.mp4")
    listing = find("in")
    assert [source.path.name for source in listing.sources] == ["a.mp4"]
    assert problems(listing) == [
        "in/b.mp4: a link to a file that is gone; remove it or bring the file back",
        "in/loop.mp4: a link to a file that is gone; remove it or bring the file back",
    ]


def test_an_unreadable_folder_is_told_and_the_rest_is_taken(monkeypatch):
    make("in/a.mp4", "in/locked/b.mp4", "in/open/c.mp4")
    scan = os.scandir

    def deny(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", deny)  # file modes do not stop root
    listing = find("in", recursive=True)
    assert [source.path.name for source in listing.sources] == ["a.mp4", "c.mp4"]
    assert problems(listing) == ["in/locked: the folder cannot be read (Permission denied); check its permissions"]
    assert problems(find("in/locked")) == [
        "in/locked: the folder cannot be read (Permission denied); check its permissions"
    ]


def test_pipes_and_folders_with_video_names_are_no_videos():
    make("in/a.mp4", "in/folder.mp4/b.mp4")
    os.mkfifo("in/pipe.mp4")
    os.mkfifo("in/pipe.png")
    make("in/pipe.json")  # a record, of which the picture could be the plot
    assert paths(find("in")) == ["in/a.mp4"]
    assert paths(find("in", recursive=True)) == ["in/a.mp4", "in/folder.mp4/b.mp4"]


def test_deep_trees_are_read():
    folder = "in" + "/d" * 400
    make(f"{folder}/a.mp4")
    assert paths(find("in", recursive=True)) == [f"{folder}/a.mp4"]


def test_nothing_named_gives_nothing():
    assert find() == find_sources([], True, io.StringIO())
    assert find().sources == find().problems == ()


def test_a_name_too_long_is_told():
    name = "x" * 300
    (problem,) = find(name).problems
    assert str(problem).startswith(f"{name}: ")


def test_shards_are_the_whole_without_overlap():
    make(*(f"{number}.mp4" for number in range(7)))
    listing = find(".", "gone.mp4", "lost.mp4")
    shards = [listing.shard(number, 3) for number in (1, 2, 3)]
    assert [len(shard.sources) for shard in shards] == [3, 2, 2]
    assert {source for shard in shards for source in shard.sources} == set(listing.sources)
    assert [len(shard.problems) for shard in shards] == [1, 1, 0]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "rtsp://cam:554/1",
            "a live stream; detect reads recordings: record it first, with ffmpeg -i rtsp://cam:554/1 ",
        ),
        ("UDP://239.0.0.1:1234", "a live stream"),
        ("http://example.org", "names no file"),
        ("https://example.org/folder/", "names no file"),
        ("https://example.org/a.npy", "feature files are read from this machine only"),
        ("nonsense://a/b.mp4", "nonsense:// is not supported; http(s):// is"),
        ("s3://bucket/a.mp4", "s3:// needs another package"),
    ],
)
def test_urls_that_cannot_be_analysed(monkeypatch, url, message):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    (problem,) = find(url).problems
    assert str(problem).startswith(f"{url}: {message}")


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        (["https://h/v/a.mp4?token=1"], ["a"]),
        (["https://h/v/a.mp4", "https://h/v/a.mp4", "https://h/w/a.mp4"], ["v/a", "w/a"]),
        (["https://h/a.mp4", "http://i:80/a.mp4"], ["h/a", "i_80/a"]),
        (["clip.mp4", "https://h/v/clip.mp4"], ["clip", "h/v/clip"]),
        (["https://h/a%20b%3F.mp4"], ["a b_"]),
        (["https://h/../../a.mp4"], ["a"]),
    ],
)
def test_results_of_urls_are_called_by_their_paths(urls, expected):
    make("clip.mp4")
    assert results(find(*urls)) == expected


def test_urls_that_differ_in_their_query_only_have_results_of_their_own():
    names = results(find("https://h/get?id=1", "https://h/get?id=2"))
    assert len(set(names)) == 2
    assert all(re.fullmatch("get-[0-9a-f]{8}", name) for name in names)
    assert results(find("https://h/get?id=2", "https://h/get?id=1")) == names[::-1]


def pictures(listing):
    assert listing.problems == ()
    return [(str(s.path), str(s.relative), [file.name for file in s.path.files]) for s in listing.sources]


def test_a_folder_of_pictures_is_one_video_in_natural_order():
    make("in/f10.jpg", "in/f9.JPG", "in/f1.png", "in/notes.txt", "in/.hidden.jpg")
    assert pictures(find("in")) == [("in", "in", ["f1.png", "f9.JPG", "f10.jpg"])]


def test_a_pattern_of_pictures_is_one_video():
    make("in/a_10.jpg", "in/a_9.jpg", "in/b_1.jpg", "in/c.png")
    assert pictures(find("in/*.jpg")) == [("in/*.jpg", "in", ["a_9.jpg", "a_10.jpg", "b_1.jpg"])]
    assert pictures(find("in/a_*.jpg", "in/b_*.jpg")) == [
        ("in/a_*.jpg", "a", ["a_9.jpg", "a_10.jpg"]),
        ("in/b_*.jpg", "b", ["b_1.jpg"]),
    ]


@pytest.mark.parametrize("argument", ["in", "in/*"])
def test_folders_of_pictures_are_a_video_each(argument):
    make("in/x/2.jpg", "in/x/1.jpg", "in/y/1.jpg")
    found = pictures(find(argument, recursive=True))
    assert [(relative.removeprefix("in/"), files) for _, relative, files in found] == [
        ("x", ["1.jpg", "2.jpg"]),
        ("y", ["1.jpg"]),
    ]


def test_pictures_beside_videos_are_no_video():
    make("in/a.mp4", "in/a.jpg", "in/thumbs/b.jpg")
    for argument in ("in", "in/*", "in/**"):
        assert paths(find(argument, recursive=True)) == ["in/a.mp4"]


def test_plots_of_earlier_results_are_no_frames():
    make("in/x/1.png", "in/x/2.png", "in/x/2.json", "in/out/x.json")
    plot = b"\x89PNG\r\n\x1a\n....IHDR....tEXtSoftware\0dsanet...."
    for name in ("in/out/x.png", "in/x/x.png"):
        Path(name).write_bytes(plot)
    Path("in/x/x.json").touch()
    for argument in ("in", "in/*", "in/**"):
        ((_, _, files),) = pictures(find(argument, recursive=True))
        assert files == ["1.png", "2.png"]


def test_names_that_differ_in_case_only_have_results_of_their_own():
    make("in/Clip.mp4", "in/clip.mp4", "in/CLIP.avi", "in/\u00e9.mp4", "in/e\u0301.mp4", "in/other.mp4")
    listing = find("in")
    names = {source.path.name: str(source.relative) for source in listing.sources}
    assert names["other.mp4"] == "other"
    assert names["CLIP.avi"] == "CLIP.avi"
    assert re.fullmatch("Clip~[0-9a-f]{8}", names["Clip.mp4"])
    folded = {unicodedata.normalize("NFC", name).casefold() for name in names.values()}
    assert len(folded) == 6
    alone = find("in/Clip.mp4", "in/clip.mp4")
    assert results(alone)[0] == names["Clip.mp4"]


def test_folders_that_differ_in_case_only_have_results_of_their_own():
    make("A/clip.mp4", "a/clip.mp4", "b/clip.mp4")
    assert len({name.casefold() for name in results(find("A", "a", "b"))}) == 3


def test_a_video_called_summary_leaves_that_name_to_the_summary():
    make("in/Summary.mp4", "in/x/summary.mp4")
    assert sorted(results(find("in", recursive=True))) == ["Summary.mp4", "x/summary"]
    make("summary")
    assert re.fullmatch("summary~[0-9a-f]{8}", results(find("summary"))[0])


def test_results_of_the_longest_names_have_shorter_ones():
    make("in/" + "x" * 251 + ".mp4", "in/" + "x" * 250 + ".mp4", "in/" + "\u732b" * 83 + ".mp4")
    names = results(find("in"))
    assert all(len(f"{name}.json".encode()) <= 255 for name in names)
    assert len(set(names)) == 3
    assert "x" * 250 in names


def test_pictures_that_a_shell_put_in_place_of_a_pattern_are_one_video():
    make("in/2.jpg", "in/10.jpg", "in/1.jpg", "clip.mp4", "in/x/1.png", "in/x/2.jpg")
    listing = find("in/1.jpg", "in/10.jpg", "clip.mp4", "in/2.jpg", "in/x/1.png", "in/x/2.jpg")
    assert sorted(str(source.path) for source in listing.sources) == ["clip.mp4", "in/*.jpg", "in/x/*"]
    assert results(listing) == ["clip", "in", "in/x"]
    assert listing.sources[1].path.fps == 30


def test_one_picture_is_no_video():
    make("in/1.jpg")
    assert problems(find("in/1.jpg")) == ["in/1.jpg: a picture, not a video; name all of them, or their folder: in"]


def test_the_rate_of_pictures():
    make("in/1.jpg")
    (source,) = find_sources(["in"], False, None, Fraction(10)).sources
    assert source.path.fps == 10


def test_what_windows_hides_is_left_out(monkeypatch):
    class Entry:
        def __init__(self, name, attributes):
            self.name, self.attributes = name, attributes

        def stat(self, *, follow_symlinks):
            return SimpleNamespace(st_file_attributes=self.attributes)

    monkeypatch.setattr(sys, "platform", "win32")
    recycle_bin = Entry("$RECYCLE.BIN", stat.FILE_ATTRIBUTE_HIDDEN | stat.FILE_ATTRIBUTE_SYSTEM)
    assert _is_marked_hidden(recycle_bin)
    assert _is_marked_hidden(Entry(".cache", 0))
    assert not _is_marked_hidden(Entry("cameras", stat.FILE_ATTRIBUTE_DIRECTORY))
