"""The index of many pages, in a real browser."""

from __future__ import annotations

import json

import pytest
from browser import complaints, count, find, press, requests, resize, texts, until, visit
from results import make_timeline, write_result
from selenium.webdriver.support.select import Select

from dsanet_cli.report.run import ReportSettings, run_report
from dsanet_cli.timeline.facts import Coverage

NAMES = "#videos tbody tr:not([hidden]) th"


@pytest.fixture(scope="module")
def index(folder):
    """The index of four videos of two cameras."""
    videos = {
        "gate/clip2.mp4": {"bumps": ((5, 10, 1, 0.9),)},
        "gate/clip10.mp4": {"bumps": (), "coverage": Coverage(0.4, ((1.0, 16.0),))},
        "yard/a.mp4": {"bumps": ((1, 5, 2, 0.7), (20, 24, 3, 0.75))},
        "yard/b.mp4": {"bumps": ((30, 33, 1, 0.6),), "coverage": Coverage(0.995, ((1.0, 1.1),)), "snippets": 80},
    }
    for name, changes in videos.items():
        camera, stem = name.removesuffix(".mp4").split("/")
        write_result(folder / "out" / camera, make_timeline(name, **changes), stem)
    entry = {"start": 3.2, "end": 6.4, "peak_time": 3.5, "label": "fighting", "verdict": "true"}
    review = {"schema": 1, "result_sha256": "0" * 64, "video": "clip2.mp4", "threshold": 0.5, "events": [entry]}
    (folder / "out" / "gate" / "clip2.review.json").write_text(json.dumps(review), encoding="utf-8")
    run_report(ReportSettings((str(folder / "out"),), quiet=True))
    return folder / "out" / "index.html"


@pytest.fixture
def opened(browser, index):
    visit(browser, index)
    yield browser
    assert complaints(browser) == []
    assert requests(browser) == []


def choose(browser, field, value):
    Select(find(browser, f"#{field}")).select_by_visible_text(value)


def test_the_highest_score_comes_first(opened):
    assert texts(opened, NAMES) == ["clip2.mp4", "a.mp4", "b.mp4", "clip10.mp4"]
    assert texts(opened, "h1") == ["4 videos"]
    assert texts(opened, ".title .about") == ["3 with events · 4 events in all"]


ORDERS = {
    "name": ["a.mp4", "b.mp4", "clip2.mp4", "clip10.mp4"],
    "first": ["a.mp4", "clip2.mp4", "b.mp4", "clip10.mp4"],
    "events": ["a.mp4", "clip2.mp4", "b.mp4", "clip10.mp4"],
    "analysed": ["clip2.mp4", "a.mp4", "b.mp4", "clip10.mp4"],
    "duration": ["b.mp4", "clip2.mp4", "a.mp4", "clip10.mp4"],
}


@pytest.mark.parametrize("key", ORDERS)
def test_a_click_on_a_column_sorts(opened, key):
    head = f"th[data-key={key}]"
    find(opened, f"{head} button").click()
    assert texts(opened, NAMES) == ORDERS[key]
    order = find(opened, head).get_attribute("aria-sort")
    find(opened, f"{head} button").click()
    assert find(opened, head).get_attribute("aria-sort") != order
    assert texts(opened, NAMES) != ORDERS[key]
    if key == "first":
        assert texts(opened, NAMES)[-1] == "clip10.mp4", "what has no event comes last, whichever way"


FILTERS = {
    ("verdict", "without"): ["clip10.mp4"],
    ("verdict", "with events"): ["clip2.mp4", "a.mp4", "b.mp4"],
    ("label", "road accidents"): ["a.mp4"],
    ("camera", "yard"): ["a.mp4", "b.mp4"],
    ("analysed", "all of it"): ["clip2.mp4", "a.mp4"],
    ("analysed", "less than all"): ["b.mp4", "clip10.mp4"],
    ("analysed", "less than half"): ["clip10.mp4"],
}


@pytest.mark.parametrize(("field", "value"), FILTERS)
def test_filters(opened, field, value):
    choose(opened, field, value)
    assert texts(opened, NAMES) == FILTERS[field, value]
    assert texts(opened, "#shown") == [f"{len(FILTERS[field, value])} of 4"]


def test_a_name_filters_and_nothing_may_be_left(opened):
    find(opened, "#name").send_keys("CLIP")
    assert texts(opened, NAMES) == ["clip2.mp4", "clip10.mp4"]
    assert find(opened, "#nothing").get_attribute("hidden")
    choose(opened, "camera", "yard")
    assert texts(opened, NAMES) == []
    assert find(opened, "#nothing").get_attribute("hidden") is None


def test_rows_show_what_there_is(opened):
    (row,) = [line for line in texts(opened, "#videos tbody tr") if line.startswith("clip2.mp4")]
    assert row.split("\t")[2:] == ["fighting", "0.90", "1", "0:03", "0:26", "100 %", "gate", "1 true, 0 false"]
    assert count(opened, "#videos tbody svg path[d^=M]") == 4
    assert count(opened, "#videos tbody svg rect") == 4
    assert "99 %" in texts(opened, "td.partly"), "what is nearly all is not all"


def test_a_row_leads_to_its_page_and_back(opened):
    find(opened, "#videos a").click()
    until(opened, "window.dsanet?.page")
    assert texts(opened, "h1") == ["clip2.mp4"]
    find(opened, ".back").click()
    until(opened, "window.dsanet?.index")
    opened.get_log("browser")  # the page's video is not there


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_index_fits_any_window(opened, width, scheme):
    resize(opened, width, 900, scheme)
    try:
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        resize(opened, 1440, 1000)


def test_everything_can_be_reached_by_keyboard(opened):
    reached = set()
    for _ in range(30):
        press(opened, "\ue004")  # tab
        reached.add(opened.execute_script("return document.activeElement.id || document.activeElement.innerText"))
    assert {"name", "verdict", "label", "camera", "analysed", "Video", "Highest", "clip2.mp4", "b.mp4"} <= reached
