"""What ``detect --scan`` saves and what it misses, against the full analysis of the same videos.

    python tests/benchmarks/scan.py FOLDER [--model scenes] [--levels 0.1 0.2 0.3] [--frames-per-snippet K]

``FOLDER`` holds videos, such as the held-out scenes of ``weights/ablation.py``. For each scan level, prints the
seconds of both, the ratio, the share of the video that was decoded fully, how many events of the full analysis the scan
finds too (an event of the same class that overlaps), and how many it has that the full analysis has not. Model and
start-up are outside the seconds; both modes run in one process, through the code that the command runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.timeline.timeline import Event, Timeline


def timelines(
    sources: Sequence[Source], model: str, level: float | None, sampled: int | None
) -> tuple[dict[Path, Timeline], float]:
    """The timelines of all videos, and the seconds they took."""
    detector = Detector(load_model(model), DetectSettings(scan_level=level, sampled_frames=sampled))
    detector.load_encoder()
    started = time.perf_counter()
    found = {}
    for source, outcome in detector.detect_many(sources, PipelineSettings(), lambda *_: None):
        assert isinstance(outcome, Detection), outcome
        found[source.path] = outcome.timeline
    return found, time.perf_counter() - started


def shared(events: Sequence[Event], others: Sequence[Event]) -> int:
    """How many of ``events`` have one of the same class among ``others`` that overlaps."""
    return sum(any(e.label == o.label and e.start < o.end and o.start < e.end for o in others) for e in events)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--frames-per-snippet", type=int)
    arguments = parser.parse_args()
    sources = [Source(path, Path(path.stem)) for path in sorted(arguments.folder.glob("*.mp4"))]
    table = Table("level", "full s", "scan s", "ratio", "decoded fully", "events found", "events more", box=None)
    for level in arguments.levels:
        full, full_seconds = timelines(sources, arguments.model, None, arguments.frames_per_snippet)
        scan, scan_seconds = timelines(sources, arguments.model, level, arguments.frames_per_snippet)
        length = sum(t.video.duration for t in scan.values())
        decoded = sum(t.coverage.analysed * t.video.duration for t in scan.values()) / length
        pairs = [(full[path].events, scan[path].events) for path in full]
        table.add_row(
            f"{level:.2f}",
            f"{full_seconds:.1f}",
            f"{scan_seconds:.1f}",
            f"{full_seconds / scan_seconds:.2f}",
            f"{100 * decoded:.0f} %",
            f"{sum(shared(f, s) for f, s in pairs)} of {sum(len(f) for f, _ in pairs)}",
            str(sum(len(s) - shared(s, f) for f, s in pairs)),
        )
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
