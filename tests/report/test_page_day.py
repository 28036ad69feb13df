"""The page of a camera's day: its files are played one after the other, at the times of the day."""

from __future__ import annotations

import dataclasses

import pytest
from browser import complaints, count, find, moment, requests, shown_frame, texts, until, visit
from media import write_video
from results import make_timeline, write_result

from dsanet_cli.report.run import ReportSettings, run_report
from dsanet_cli.timeline.facts import FilePart


@pytest.fixture(scope="module")
def day(folder):
    """Two files of ten seconds with a hole of two seconds between them, and one that is gone; three events."""
    place = folder / "day" / "camera 1"
    place.mkdir(parents=True)
    parts = []
    for name, start in (("a#1.mp4", 0.0), ("b.mp4", 12.0), ("gone.mp4", 22.0)):
        path = place / name
        parts.append(FilePart(str(path), start, min(start + 10, 25.6), real_path=str(path)))
        if name != "gone.mp4":
            write_video(path, frames=250)
    timeline = make_timeline("camera 1/2026-11-27")
    video = dataclasses.replace(timeline.video, camera="camera 1", files=tuple(parts))
    timeline = dataclasses.replace(timeline, video=video)
    result = write_result(folder / "day" / "out" / "camera 1", timeline, "2026-11-27")
    run_report(ReportSettings((str(result),), quiet=True))
    return result.with_suffix(".html")


@pytest.fixture
def opened(browser, day):
    visit(browser, day)
    until(browser, "dsanet.page.player.playable")
    yield browser
    assert requests(browser) == []


def arrived(browser, seconds):
    until(browser, "dsanet.page.player.playable && !document.querySelector('video').seeking")
    until(browser, f"Math.abs(dsanet.page.player.time - {seconds}) < 0.05")


def test_events_and_moments_are_found_in_their_files(opened):
    assert texts(opened, "h1") == ["camera 1/2026-11-27"]
    for number, seconds, frame, name in ((1, 12.8, 20, "b.mp4"), (0, 3.2, 80, "a#1.mp4"), (2, 19.2, 180, "b.mp4")):
        find(opened, f".event:nth-child({number + 1}) .jump").click()
        arrived(opened, seconds)
        assert shown_frame(opened) == frame
        assert texts(opened, "#now")[0].endswith(f" · {name}")
        assert count(opened, ".event.current") == 1
    assert complaints(opened) == []


def test_between_files_there_is_no_picture(opened):
    opened.execute_script("dsanet.page.player.seek(11)")
    assert moment(opened) == 11
    assert count(opened, "#stage.without") == 1
    assert texts(opened, ".message") == ["No file of the camera covers this moment."]
    opened.execute_script("dsanet.page.player.seek(9)")
    arrived(opened, 9)
    assert count(opened, "#stage.without") == 0
    opened.execute_script("dsanet.page.player.seek(11); dsanet.page.player.toggle()")
    until(opened, "dsanet.page.player.time > 12.1 && !document.querySelector('video').paused")
    opened.execute_script("dsanet.page.player.toggle()")


def test_the_next_file_goes_on_where_one_ends(opened):
    opened.execute_script("dsanet.page.player.seek(9.7)")
    arrived(opened, 9.7)
    opened.execute_script("dsanet.page.player.toggle()")
    until(opened, "dsanet.page.player.time > 12.1 && !document.querySelector('video').paused")
    opened.execute_script("dsanet.page.player.seek(2)")
    until(
        opened,
        "dsanet.page.player.time > 2.1 && dsanet.page.player.time < 9 && !document.querySelector('video').paused",
    )
    opened.execute_script("dsanet.page.player.toggle()")


def test_a_file_that_is_gone_says_so(opened):
    opened.execute_script("dsanet.page.player.seek(24)")
    until(opened, "document.querySelector('.message').textContent.includes('gone.mp4 any more')")
    assert moment(opened) == 24
    opened.execute_script("dsanet.page.player.seek(1)")
    arrived(opened, 1)
    assert count(opened, "#stage.without") == 0
