"""How long ``summary.csv`` of a folder with thousands of results takes.

::

    python tests/benchmarks/summary.py [--results 10000] [--snippets 40]

Results of videos that last ``--snippets`` times half a second are written first, in folders of a hundred; then the
summary is made twice: for the first time, and as a later run makes it anew. Prints seconds on the clock and of the CPU.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path, PurePath

import numpy as np

from dsanet_cli.config import EventRule
from dsanet_cli.detect.summary import SummaryRow, update_summary
from dsanet_cli.files.folders import open_folder
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.timeline.facts import ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.files import write_json
from dsanet_cli.timeline.timeline import Timeline, build_timeline

SECONDS = 16 / 30
"""Of a snippet."""
IN_A_FOLDER = 100
DIFFERENT = 50
"""Contents; all other results repeat them."""


def timeline(seed: int, snippets: int) -> Timeline:
    """Scores like those of real videos: low, with a peak here and there."""
    rng = np.random.default_rng(seed)
    names = tuple(c.name for c in UCF_CRIME.classes)
    scores = (rng.random(snippets) ** 6).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(len(names)), snippets).astype(np.float32)
    starts = np.arange(snippets) * SECONDS
    facts = VideoFacts(
        f"in/{seed}.mp4", snippets * 16, snippets * SECONDS, width=320, height=240, codec="h264", bytes=1
    )
    return build_timeline(
        facts, ModelFacts("scenes", "0" * 64), names, Sampling(16, 4, "fp32", "cpu"), EventRule(),
        starts, starts + SECONDS, scores, probabilities,
    )  # fmt: skip


def write_results(folder: Path, count: int, snippets: int) -> None:
    """Write ``count`` results."""
    texts = []
    for seed in range(DIFFERENT):
        with (folder / "draft").open("w") as stream:
            write_json(timeline(seed, snippets), stream)
        texts.append((folder / "draft").read_text())
    (folder / "draft").unlink()
    for number, text in zip(range(count), itertools.cycle(texts)):
        place = folder / f"camera {number // IN_A_FOLDER}" / f"{number}.json"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)


def main() -> None:
    """Make results and summaries of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--snippets", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write_results(Path(place), arguments.results, arguments.snippets)
        size = sum(path.stat().st_size for path in Path(place).rglob("*.json"))
        print(f"{arguments.results} results, {size / 2**20:.0f} MiB")
        row = SummaryRow.failed("broken.mp4", "broken", PurePath("broken.json"))
        for which in ("first", "again"):
            clock, cpu = time.perf_counter(), time.process_time()
            update_summary(open_folder(place), [row], several=True, replace_others=False)
            print(f"{which}: {time.perf_counter() - clock:.1f} s, {time.process_time() - cpu:.1f} s of the CPU")
        assert len((Path(place) / "summary.csv").read_text().splitlines()) == arguments.results + 2


if __name__ == "__main__":
    main()
