"""The page of one video, in a real browser."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from browser import click_at, complaints, find, moment, press, resize, shown_frame, texts, until, visit
from commands import run
from results import CLASSES, SECONDS, make_timeline, write_analysed, write_result

from dsanet_cli.report.run import ReportSettings, run_report
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Recorded
from dsanet_cli.timeline.files import read_timeline

EVIL = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"


def test_the_curve_and_the_bands_are_drawn(opened):
    points = opened.execute_script("return document.querySelector('.curve').getAttribute('d')")
    assert points.count("V") > 500
    colors = opened.execute_script(
        "const c = document.querySelector('canvas'), p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "return new Set(new Uint32Array(p.buffer)).size"
    )
    assert colors > 3
    assert [name.strip() for name in texts(opened, ".names .name")] == ["anomaly score", *CLASSES[1:], CLASSES[0]]
    assert opened.execute_script("return document.querySelectorAll('.span').length") == 3


def test_events_stand_in_the_list_with_their_pictures(opened):
    assert texts(opened, ".event .label") == ["fighting", "road accidents", "explosion"]
    assert texts(opened, ".event .when") == ["0:03.2 – 0:06.4", "0:12.8 – 0:15.4", "0:19.2 – 0:21.1"]
    sizes = opened.execute_script("return [...document.querySelectorAll('.event img')].map((e) => e.naturalWidth)")
    assert len(sizes) == 3
    assert all(sizes)


@pytest.mark.parametrize("share", [0.25, 0.8])
def test_a_click_on_the_curve_goes_there(opened, share):
    plot = find(opened, "#plot")
    click_at(opened, plot, share)
    until(opened, "!document.querySelector('video').seeking")
    assert moment(opened) == pytest.approx(share * 40 * SECONDS, abs=0.1)
    assert opened.execute_script("return document.querySelector('video').currentTime") == moment(opened)
    head = opened.execute_script("return document.querySelector('.head').getAttribute('d')")
    assert float(head[1:].split()[0]) == pytest.approx(share * plot.size["width"], abs=3)


def test_the_picture_is_the_one_of_the_moment(opened):
    opened.execute_script("dsanet.page.player.seek(10)")
    until(opened, "!document.querySelector('video').seeking && dsanet.page.player.time === 10")
    assert abs(shown_frame(opened) - 250) <= 1


def test_keys(opened):
    until(opened, "document.querySelector('video').readyState >= 2")
    press(opened, "n")
    assert moment(opened) == pytest.approx(3.2, abs=0.01)
    press(opened, "nn")
    assert moment(opened) == pytest.approx(19.2, abs=0.01)
    press(opened, "p")
    assert moment(opened) == pytest.approx(12.8, abs=0.01)
    press(opened, "\ue012")  # left
    assert moment(opened) == pytest.approx(7.8, abs=0.01)
    press(opened, "\ue014")  # right
    assert moment(opened) == pytest.approx(12.8, abs=0.01)
    press(opened, " ")
    until(opened, "!document.querySelector('video').paused && dsanet.page.player.time > 12.9")
    press(opened, " ")
    until(opened, "document.querySelector('video').paused")
    press(opened, "f")
    assert opened.execute_script("return dsanet.page.events[1].verdict") == "false"


def test_keys_are_letters_in_a_note(opened):
    press(opened, "n")
    note = find(opened, ".event.current input")
    note.send_keys("not far\n")
    assert moment(opened) == pytest.approx(3.2, abs=0.01)
    assert opened.execute_script("return dsanet.page.review.entries.map((e) => [e.verdict, e.note])") == [
        [None, "not far"]
    ]


NAMES = ["a #1?x=2%20&.mp4", "кот на крыше ü.mp4", 'it\'s "so" <b>.mp4', "c:d.mp4", "-t.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_videos_of_any_name_play(browser, folder, name):
    result = write_analysed(folder / "names", name, stem=name.removesuffix(".mp4"), snippets=8, bumps=())
    run_report(ReportSettings((str(result),), quiet=True))
    visit(browser, result.with_name(result.name.removesuffix(".json") + ".html"))
    until(browser, "dsanet.page.player.playable")
    assert texts(browser, "h1") == [name]
    assert complaints(browser) == []


def test_no_name_gets_into_the_page_as_html(browser, folder):
    classes = ("normal", EVIL[:199], "'\"><svg onload=window.hacked=1>", "{{ 7 * 7 }}")
    event = {"start": 3.2, "end": 6.4, "peak_time": 3.5, "label": classes[1], "verdict": "relabelled"}
    timeline = dataclasses.replace(
        make_timeline(
            EVIL.replace("/", "\u2215") + ".mp4",
            classes=classes,
            coverage=Coverage(0.9, ((1.0, 2.0),), hole_reasons=(EVIL,)),
            model=ModelFacts(EVIL, "ab" * 32, demonstration=EVIL),
        ),
        program=EVIL,
    )
    result = write_result(folder / "evil", timeline, "evil")
    review = {"schema": 1, "result_sha256": "0" * 64, "video": EVIL, "threshold": 0.5, "program": EVIL}
    review["events"] = [{**event, "relabelled": "<i>x</i>", "note": EVIL}]
    result.with_name("evil.review.json").write_text(json.dumps(review), encoding="utf-8")
    other = write_result(folder / "evil", timeline, "other")
    run_report(ReportSettings((str(result), str(other)), quiet=True))
    for name in ("evil.html", "index.html"):
        visit(browser, folder / "evil" / name)
        until(browser, "window.dsanet")
        assert browser.execute_script("return window.hacked ?? null") is None
        assert (
            browser.execute_script("return document.querySelectorAll('i, b, svg [onload], img[onerror]').length") == 0
        )
        assert texts(browser, ".notice") == [EVIL]
        browser.execute_script(
            "const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.body.append(s)"
        )
        assert browser.execute_script("return window.hacked ?? null") is None, "no script but the page's own may run"
    visit(browser, folder / "evil" / "evil.html")
    assert texts(browser, ".event .label")[0] == "<i>x</i>"
    assert browser.execute_script("return document.querySelector('.event input').value") == EVIL


def test_without_its_video_a_page_shows_pictures_and_times(browser, folder):
    result = write_result(folder / "gone", make_timeline("gone.mp4"))
    run_report(ReportSettings((str(result),), quiet=True))
    visit(browser, result.with_suffix(".html"))
    until(browser, "document.querySelector('.stage').classList.contains('without')")
    assert "is not at gone.mp4 any more" in texts(browser, ".message")[0]
    press(browser, "n")
    assert moment(browser) == pytest.approx(3.2)
    until(browser, "document.querySelector('.still').naturalWidth > 0")
    assert texts(browser, "#now") == ["0:03.2"]
    elsewhere = write_analysed(folder / "elsewhere").parents[1] / "clip.mp4"
    find(browser, ".stage input[type=file]").send_keys(str(elsewhere))
    until(browser, "dsanet.page.player.playable")
    assert not browser.execute_script("return document.querySelector('.stage').classList.contains('without')")
    until(browser, "Math.abs(document.querySelector('video').currentTime - 3.2) < 0.01")


UNPLAYABLE = {"clip.avi": "mpeg4", "clip.ts": "mpeg2video"}


@pytest.mark.parametrize("name", UNPLAYABLE)
def test_a_small_copy_stands_for_what_browsers_do_not_play(browser, tmp_path, name):
    result = write_analysed(tmp_path, name, codec=UNPLAYABLE[name])
    timeline = read_timeline(result)
    video = dataclasses.replace(timeline.video, codec=UNPLAYABLE[name])
    write_result(result.parent, dataclasses.replace(timeline, video=video))
    assert run("report", result).returncode == 0
    visit(browser, result.with_suffix(".html"))
    until(browser, "document.querySelector('.stage').classList.contains('without')")
    message, hint = texts(browser, ".message")[0], texts(browser, ".stage .hint")
    assert f"{UNPLAYABLE[name]} in {name[4:]} is nothing that all browsers play" in message
    assert hint == ["or make a small copy: dsanet report --proxy"]
    until(browser, "document.querySelectorAll('.event img').length === 3")

    done = run("report", result, "--proxy")
    assert done.returncode == 0, done.stderr
    visit(browser, result.with_suffix(".html"))
    until(browser, "dsanet.page.player.playable")
    browser.execute_script("dsanet.page.player.seek(10.02)")
    until(browser, "!document.querySelector('video').seeking && Math.abs(dsanet.page.player.time - 10.02) < 0.01")
    assert shown_frame(browser) == 250
    assert complaints(browser) == []


def test_what_was_not_analysed_is_shown(browser, folder):
    coverage = Coverage(0.9, ((8.0, 9.5),), hole_reasons=("frames are missing",), unsure=((11.0, 12.0),))
    result = write_result(folder / "holes", make_timeline(coverage=coverage))
    run_report(ReportSettings((str(result),), quiet=True))
    visit(browser, result.with_suffix(".html"))
    assert browser.execute_script("return document.querySelectorAll('rect.hole').length") == 2
    assert "90.0 % analysed, not 0:08.0 to 0:09.5 (frames are missing)" in texts(browser, "footer li")
    assert "90.0% analysed" in texts(browser, ".about")[0]
    find(browser, "footer [data-seek]").click()
    assert moment(browser) == 8


def test_the_time_of_day_stands_beside_the_offset(browser, folder):
    began = Recorded(datetime(2026, 3, 29, 1, 59, 50, tzinfo=ZoneInfo("Europe/Berlin")), "Europe/Berlin", "option")
    timeline = make_timeline()
    timeline = dataclasses.replace(timeline, video=dataclasses.replace(timeline.video, recorded=began))
    result = write_result(folder / "clock", timeline)
    other = write_result(folder / "clock", make_timeline("other.mp4"), "other")
    run_report(ReportSettings((str(result), str(other)), quiet=True))
    visit(browser, result.with_suffix(".html"))
    assert texts(browser, ".event .day") == ["01:59:53", "03:00:02", "03:00:09"], "the clocks are put forward at 2"
    assert texts(browser, "#now") == ["0:00.0 · 01:59:50"]
    assert texts(browser, "header > .about")[0].startswith("2026-03-29 01:59:50 · ")
    visit(browser, folder / "clock" / "index.html")
    assert sorted(texts(browser, "td.recorded")) == ["", "2026-03-29 01:59:50"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900, 1440])
def test_the_page_fits_any_window(opened, width, scheme):
    resize(opened, width, 900, scheme)
    try:
        opened.execute_script("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width
        ground, ink = opened.execute_script(
            "const style = getComputedStyle(document.documentElement); return [style.backgroundColor, style.color]"
        )
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        assert ground != ink
    finally:
        resize(opened, 1440, 1000)


def test_whatever_can_be_used_has_a_name(opened):
    opened.execute_script("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    nodes = opened.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = [
        node
        for node in nodes
        if node.get("role", {}).get("value") in ("button", "slider", "spinbutton", "combobox", "textbox", "link")
    ]
    nameless = [node["role"]["value"] for node in used if not node.get("name", {}).get("value")]
    assert len(used) > 15
    assert nameless == []
