"""Pages in a real browser, chromium, without a window; what it logs and asks for is checked when it is closed."""

from __future__ import annotations

import io
import json
import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest
from media import read_number
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
HARMLESS = ("file:", "data:", "blob:", "about:", "chrome:")


@contextmanager
def open_browser(downloads):
    """A browser that saves files to a folder; skipped where there is none."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "mute-audio"):
        options.add_argument(f"--{argument}")
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def resize(browser, width, height, scheme="light"):
    """Set the size of the page, and whether the system is light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def visit(browser, path):
    """Open a page, and forget what was logged before."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.resolve().as_uri())


def complaints(browser):
    """What the browser's console says that is more than information, such as errors of scripts."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def requests(browser):
    """The addresses that were asked for and are neither a file nor in the page itself."""
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
            parameters = message["params"]
            asked.append(parameters.get("url") or parameters["request"]["url"])
    return [address for address in asked if not address.startswith(HARMLESS)]


def until(browser, condition, patience=30):
    """Wait until a condition in JavaScript holds."""
    wait_for(lambda: browser.execute_script(f"return Boolean({condition})"), condition, patience)


def wait_for(condition, name="", patience=30):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, f"never: {name}"
        time.sleep(0.05)


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser, selector):
    """What each element shows that the selector finds."""
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)", selector
    )


def count(browser, selector):
    return browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector)


def press(browser, keys):
    ActionChains(browser).send_keys(keys).perform()


def click_at(browser, element, share):
    """Click into an element, at a share of its width."""
    offset = round((share - 0.5) * element.size["width"])
    ActionChains(browser).move_to_element_with_offset(element, offset, 0).click().perform()


def moment(browser):
    """The second that the page looks at."""
    return browser.execute_script("return dsanet.page.player.time")


def shown_frame(browser):
    """The number that the video of a page shows, which has black bars at both sides."""
    browser.execute_script("document.querySelector('video').controls = false")
    picture = np.asarray(Image.open(io.BytesIO(find(browser, "video").screenshot_as_png)).convert("RGB"))
    height, width, _ = picture.shape
    bar = (width - height * 4 // 3) // 2
    return read_number(picture[:, bar : width - bar])
