"""``dsanet report`` and ``detect -f html`` as commands."""

from __future__ import annotations

import dataclasses
import html
import json
import os
import re
import sys
from pathlib import PurePath

import av
import numpy as np
import pytest
from commands import results, run
from media import read_number, write_video
from results import make_timeline, write_analysed, write_result
from tiny import WIDTH

from dsanet_cli.detect.run import BatchSettings, run_batch
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.files.folders import RemoteFolder
from dsanet_cli.files.sources import find_sources
from dsanet_cli.report.run import FolderPages, ReportSettings, run_report
from dsanet_cli.timeline.facts import FilePart
from dsanet_cli.timeline.thumbnails import read_thumbnails


def test_pages_and_an_index_beside_the_results(tmp_path):
    write_result(tmp_path / "out" / "cam1", make_timeline("cam1/a.mp4"), "a")
    write_result(tmp_path / "out", make_timeline("b.mp4"), "b")
    (tmp_path / "out" / "metrics.json").write_text("{}", encoding="utf-8")
    (tmp_path / "out" / "other.json").write_text("[1]", encoding="utf-8")
    done = run("report", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"2 pages in out{os.sep}; open out{os.sep}index.html\n"
    found = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.html")}
    assert found == {"cam1/a.html", "b.html", "index.html"}
    assert 'href="../index.html"' in (tmp_path / "out" / "cam1" / "a.html").read_text(encoding="utf-8")
    assert 'href="cam1/a.html"' in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_pages_in_another_folder(tmp_path):
    write_analysed(tmp_path, name="a.mp4", stem="a", snippets=8, bumps=())
    write_result(tmp_path / "out" / "sub", make_timeline("b.mp4"), "b")
    before = set((tmp_path / "out").rglob("*"))
    assert run("report", "out", "-o", "pages/here", cwd=tmp_path).returncode == 0
    assert set((tmp_path / "out").rglob("*")) == before
    found = {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*")}
    assert found == {"here/a.html", "here/index.html", "here/sub/b.html"}
    assert '"../../a.mp4"' in (tmp_path / "pages" / "here" / "a.html").read_text(encoding="utf-8")


def test_a_damaged_result_costs_only_itself(tmp_path):
    good = write_result(tmp_path, make_timeline(), "good")
    whole = good.read_text(encoding="utf-8")
    (tmp_path / "cut.json").write_text(whole[: len(whole) // 2], encoding="utf-8")
    write_result(tmp_path, make_timeline(), "odd")
    (tmp_path / "odd.review.json").write_text("{", encoding="utf-8")
    done = run("report", tmp_path, tmp_path / "gone.json")
    assert done.returncode == 3
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert [any(name in line for line in errors) for name in ("cut.json", "odd.review.json", "gone.json")] == [True] * 3
    assert (tmp_path / "good.html").exists()
    assert not (tmp_path / "cut.html").exists()
    assert run("report", tmp_path / "cut.json").returncode == 1


def test_what_is_no_page_is_left_alone(tmp_path):
    result = write_result(tmp_path, make_timeline())
    result.with_suffix(".html").write_text("<p>mine", encoding="utf-8")
    done = run("report", result)
    assert done.returncode == 1
    assert "clip.html: is there and was not written by dsanet" in done.stderr
    assert result.with_suffix(".html").read_text(encoding="utf-8") == "<p>mine"
    assert run("report", result, "--overwrite").returncode == 0
    first = result.with_suffix(".html").read_bytes()
    assert run("report", result).returncode == 0, "an own page is replaced"
    assert result.with_suffix(".html").read_bytes() == first


def test_a_video_called_index_has_a_page_beside_the_index(tmp_path):
    for stem in ("index", "a"):
        write_result(tmp_path, make_timeline(f"{stem}.mp4"), stem)
    assert run("report", tmp_path).returncode == 0
    assert "<h1>2 videos</h1>" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<h1>index.mp4</h1>" in (tmp_path / "index.page.html").read_text(encoding="utf-8")
    assert 'href="index.page.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert run("report", tmp_path / "a.json").returncode == 0
    assert 'href="index.html"' in (tmp_path / "a.html").read_text(encoding="utf-8"), "the way back stays"


def test_an_index_that_is_none_of_ours(tmp_path):
    for stem in ("a", "b"):
        write_result(tmp_path, make_timeline(f"{stem}.mp4"), stem)
    (tmp_path / "index.html").write_text("<p>mine", encoding="utf-8")
    done = run("report", tmp_path)
    assert done.returncode == 3
    assert "index.html: is there and was not written by dsanet" in done.stderr
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == "<p>mine"
    assert (tmp_path / "a.html").exists()


def test_pages_of_results_behind_a_url(tmp_path):
    folder = RemoteFolder(f"memory://{tmp_path.name}")
    for stem in ("a", "b"):
        content = write_result(tmp_path, make_timeline(f"{stem}.mp4"), stem).read_bytes()
        with folder.write(PurePath("sub", f"{stem}.json"), "wb") as stream:
            stream.write(content)
    outcome = run_report(ReportSettings((f"memory://{tmp_path.name}",), quiet=True))
    assert (outcome.done, outcome.failed) == (2, 0)
    assert {path.as_posix() for path in folder.names() if path.suffix == ".html"} == {
        "index.html",
        "sub/a.html",
        "sub/b.html",
    }
    assert b"no way leads there from this page" in folder.read(PurePath("sub/a.html"))


def test_a_page_is_whole_in_itself(tmp_path):
    result = write_result(tmp_path, make_timeline())
    run("report", result)
    text = result.with_suffix(".html").read_text(encoding="utf-8")
    assert "default-src 'none'" in html.unescape(text)
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text)
    assert "@import" not in text
    assert text.count("</script") == text.count("<script"), "no part of the script ends it"


def test_detect_writes_pages_and_keeps_pictures(tiny_model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_video(tmp_path / "in" / f"{name}.mp4", frames=64)
    command = ("detect", "in", "--model", tiny_model, "-t", "0", "-o", "out", "-f", "html")
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {"a.json", "a.html", "a.thumbs.zip", "b.json", "b.html", "b.thumbs.zip", "index.html", "summary.csv"}
    assert results(tmp_path / "out").keys() == names
    assert f"open out{os.sep}index.html" in done.stderr
    pictures = read_thumbnails((tmp_path / "out" / "a.thumbs.zip").read_bytes())
    data = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert data["events"][0]["peak_time"] in pictures
    first = results(tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.html")}
    assert run(*command, cwd=tmp_path).returncode == 0
    assert results(tmp_path / "out") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.html")} == times

    (tmp_path / "out" / "a.html").unlink()
    run(*command, cwd=tmp_path)
    assert (tmp_path / "out" / "a.html").read_bytes() == first["a.html"], "a page that is missing is made of the result"
    write_video(tmp_path / "in" / "a.mp4", frames=80, first_number=1000)
    assert run(*command[:-2], "-f", "json", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out" / "a.html").read_bytes() != first["a.html"], "a page that is there follows its result"
    assert (tmp_path / "out" / "a.thumbs.zip").read_bytes() != first["a.thumbs.zip"]


def test_a_page_is_nothing_for_stdout(tiny_model, tmp_path):
    done = run("detect", "a.mp4", "--model", tiny_model, "-f", "html", "-o", "-", cwd=tmp_path)
    assert done.returncode == 2
    assert "--format html takes a folder" in done.stderr


def test_pictures_of_others_are_left_alone(tiny_model, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=64)
    run("detect", "clip.mp4", "--model", tiny_model, "-t", "0", "-o", "out", cwd=tmp_path)
    (tmp_path / "out" / "clip.thumbs.zip").write_text("mine", encoding="utf-8")
    os.remove(tmp_path / "out" / "clip.json")
    done = run("detect", "clip.mp4", "--model", tiny_model, "-t", "0", "-o", "out", cwd=tmp_path)
    assert "clip.thumbs.zip is there and was not written by dsanet" in done.stderr
    assert done.returncode == 1


def test_copies_have_the_times_of_their_videos_and_are_no_sources(tmp_path):
    times = [0.5 + number / 25 + (2.0 if number >= 60 else 0.0) for number in range(120)]
    (tmp_path / "in").mkdir()
    timeline = make_timeline(tmp_path / "in" / "clip.avi", snippets=11, bumps=())
    write_video(tmp_path / "in" / "clip.avi", frames=120, codec="mpeg4")
    write_video(tmp_path / "in" / "gap.flv", frames=120, times=times)
    write_result(tmp_path / "in", timeline)
    write_result(tmp_path / "in", make_timeline(tmp_path / "in" / "gap.flv", snippets=11, bumps=()), "gap")
    done = run("report", "in", "--proxy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = frames(tmp_path / "in" / "clip.proxy.mp4")
    assert [number for _, number in shown] == list(range(120))
    assert [time for time, _ in shown] == pytest.approx([number / 25 for number in range(120)], abs=0.002)
    gap = {number: time for time, number in frames(tmp_path / "in" / "gap.proxy.mp4")}
    assert gap[80] - gap[40] == pytest.approx(40 / 25 + 2.0, abs=0.01)
    before = (tmp_path / "in" / "clip.proxy.mp4").stat().st_mtime_ns
    run("report", "in", "--proxy", cwd=tmp_path)
    assert (tmp_path / "in" / "clip.proxy.mp4").stat().st_mtime_ns == before, "a copy that is there stays"
    listing = find_sources([str(tmp_path / "in")], True, sys.stdin)
    assert {source.path.name for source in listing.sources} == {"clip.avi", "gap.flv"}
    listing = find_sources([str(tmp_path / "in" / "*.*")], False, sys.stdin)
    assert not any("proxy" in source.path.name for source in listing.sources)


def frames(path):
    with av.open(str(path)) as container:
        return [(frame.time, read_number(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)]


def test_a_copy_of_what_is_gone_is_an_error(tmp_path):
    result = write_result(tmp_path, make_timeline("gone.avi"))
    done = run("report", result, "--proxy")
    assert done.returncode == 1
    assert "its video is not there (gone.avi); --proxy needs it" in done.stderr


def test_pages_are_written_one_by_one_and_the_index_at_the_end(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        np.save(
            tmp_path / "in" / f"{name}.npy", np.random.default_rng(1).standard_normal((20, WIDTH)).astype(np.float32)
        )
    pages, there = FolderPages("out", only_there=False, quiet=True), []

    def written(name, several):
        pages.add(name, several)
        there.append({path.name for path in (tmp_path / "out").iterdir() if path.suffix in (".html", ".json")})

    work = RunnerSettings(output="out", formats=("json",), model=str(tiny_model))
    outcome = run_batch(BatchSettings(("in",), recursive=False, work=work, quiet=True, on_written=written))
    first, last = there
    assert {f"{PurePath(name).stem}.html" for name in last if name.endswith(".json")} <= last
    assert first != last
    assert len([name for name in first if name.endswith(".html")]) == 1
    assert pages.finish(outcome.results) == 0
    assert (tmp_path / "out" / "index.html").exists()
    assert 'href="index.html"' in (tmp_path / "out" / "a.html").read_text(encoding="utf-8")


def test_where_all_others_failed_the_index_has_one(tmp_path):
    write_result(tmp_path, make_timeline(), "only")
    pages = FolderPages(str(tmp_path), only_there=False, quiet=True)
    pages.add(PurePath("only.json"), several=True)
    pages.add(PurePath("gone.json"), several=True)
    assert pages.finish([PurePath("only.json")]) == 0
    assert "<h1>1 video</h1>" in (tmp_path / "index.html").read_text(encoding="utf-8")
    others = FolderPages(str(tmp_path), only_there=True, quiet=True)
    write_result(tmp_path, make_timeline(), "new")
    others.add(PurePath("new.json"), several=True)
    assert others.finish([PurePath("new.json")]) == 0
    assert not (tmp_path / "new.html").exists(), "no page was asked for"


def test_the_files_of_a_day_have_a_copy_each(tmp_path):
    video = write_video(tmp_path / "yard.avi", frames=30, codec="mpeg4")
    paths = str(video), str(tmp_path / "gone.avi")
    files = tuple(FilePart(path, 10.0 * at, 10.0 * at + 10, real_path=path) for at, path in enumerate(paths))
    timeline = make_timeline("yard/2026-11-27")
    facts = dataclasses.replace(timeline.video, camera="yard", codec="mpeg4", files=files)
    result = write_result(tmp_path / "out", dataclasses.replace(timeline, video=facts), "2026-11-27")
    assert run_report(ReportSettings((str(result),), proxy=True, quiet=True)).failed == 0
    copies = [path.name for path in (tmp_path / "out").glob("*.proxy.mp4")]
    assert copies == ["2026-11-27.1.proxy.mp4"]
    page = result.with_suffix(".html").read_text(encoding="utf-8")
    assert '"sources": ["2026-11-27.1.proxy.mp4", "../yard.avi"' in page
    assert '"sources": ["../gone.avi"' in page
    with av.open(str(tmp_path / "out" / copies[0])) as copy:
        assert copy.streams.video[0].codec_context.name == "h264"
        assert len(list(copy.decode(video=0))) == 30
    assert find_sources([str(tmp_path / "out")], True, None).sources == (), "a copy is no source"
