"""One browser for each file of tests, and the page of a video with three events."""

from __future__ import annotations

import pytest
from browser import complaints, open_browser, requests, resize, until, visit
from results import write_analysed

from dsanet_cli.report.run import ReportSettings, run_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def browser(folder):
    (folder / "downloads").mkdir()
    with open_browser(folder / "downloads") as driver:
        resize(driver, 1440, 1000)
        yield driver


@pytest.fixture(scope="module")
def page(folder):
    """The page of a video with three events, the last of them below the threshold once that is 0.6."""
    result = write_analysed(folder / "clip")
    run_report(ReportSettings((str(result),), quiet=True))
    return result.with_suffix(".html")


@pytest.fixture
def opened(browser, page):
    """The page as it is when it is opened for the first time, with its video loaded."""
    visit(browser, page)
    browser.execute_script("localStorage.clear()")
    visit(browser, page)
    until(browser, "dsanet.page.player.playable")
    yield browser
    assert complaints(browser) == []
    assert requests(browser) == []
