"""How long pages of many results take to write, and their index to open in a browser.

Writes ``--videos`` results of ten minutes, their pages and index, and opens the index ``--runs`` times, each time in a
new browser: seconds from asking for it until all is drawn, and seconds to sort all rows and to filter them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import open_browser, visit
from results import SECONDS, make_timeline, write_result

from dsanet_cli.report.run import ReportSettings, run_report

SNIPPETS = round(600 / SECONDS)
ACTIONS = {
    "": "",
    "sort": "document.querySelector('th[data-key=name] button').click();",
    "filter": "const f = document.getElementById('verdict'); f.value = '1'; f.dispatchEvent(new Event('input'));",
}
DRAWN = """
const done = arguments[0], start = ACTION ? performance.now() : 0;
ACTION
requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number in range(arguments.videos):
            firsts = rng.integers(0, SNIPPETS - 20, rng.integers(0, 4)).tolist()
            bumps = [(first, first + 15, 1 + number % 3, float(rng.uniform(0.5, 1))) for first in firsts]
            name = f"cam{number % 40}/{number:05}.mp4"
            write_result(
                folder / f"cam{number % 40}", make_timeline(name, SNIPPETS, bumps), f"{number:05}", pictures=False
            )
        start = time.perf_counter()
        run_report(ReportSettings((scratch,), quiet=True))
        print(f"{arguments.videos} pages and the index written in {time.perf_counter() - start:.1f} s")
        print(f"index of {(folder / 'index.html').stat().st_size / 2**20:.1f} MiB")
        for _ in range(arguments.runs):
            with open_browser(folder) as browser:
                visit(browser, folder / "index.html")
                times = [browser.execute_async_script(script(what)) for what in ACTIONS]
                print("drawn {:.0f} ms, sorted {:.0f} ms, filtered {:.0f} ms".format(*times))


def script(what: str) -> str:
    """Does something in the page, and gives the milliseconds until it is drawn."""
    return DRAWN.replace("ACTION ?", "true ?" if what else "false ?").replace("ACTION", ACTIONS[what])


if __name__ == "__main__":
    main()
