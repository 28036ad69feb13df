"""Renders surveillance videos with ground truth: `python samples/make.py --seed 7 --videos 20 --out DIR`.

Besides the MP4 files (H.264, 320x240, 25 fps) the folder gets `list.csv` (header `path,label`) and
`groundtruth.txt`, one line a video in UCF-Crime's format: name, class, and two half-open frame intervals,
`-1  -1` where there is none.
"""

import argparse
import csv
import dataclasses
import functools
import io
import multiprocessing
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from rich.progress import track
from scenes import CLASSES, Scene
from scenes.story import SHORTEST

HERE = Path(__file__).resolve().parent
UCF_NAMES = dict(zip(CLASSES, ("Normal", "Fighting", "Explosion", "RoadAccidents", "Arson"), strict=True))
TWO_EVENTS = 0.2  # share of the videos with an event that have a second one of the same class
CRF = 27  # H.264 quality of rendered sets, typical of recorders
KEYFRAME_SECONDS = 2


@dataclasses.dataclass(frozen=True)
class Job:
    """One video to render: scene seed, class, number of events and length in seconds."""

    name: str
    seed: int
    kind: str
    events: int
    seconds: float

    def scene(self) -> Scene:
        """Build the scene."""
        return Scene(self.seed, self.kind, self.seconds, (self.kind,) * self.events)


SAMPLES = (
    Job("Normal001", 66, "normal", 0, 24),
    Job("Fighting001", 63, "fighting", 1, 24),
    Job("Explosion001", 61, "explosion", 1, 24),
    Job("RoadAccidents001", 64, "roadaccidents", 1, 24),
    Job("Arson001", 63, "arson", 1, 24),
    Job("Fighting002", 77, "fighting", 2, 30),
)
SAMPLES_CRF = 24  # the shipped clips stay below 6 MB together

SHEET_SECONDS = 24
SHEET_MOMENT = 0.6  # share of the event, or of a normal video
SHEET = (
    (("normal", 60), ("fighting", 63), ("explosion", 61), ("roadaccidents", 64), ("arson", 62), ("normal", 66)),
    (("roadaccidents", 60), ("normal", 67), ("fighting", 61), ("arson", 64), ("explosion", 64), ("normal", 62)),
    (("arson", 63), ("explosion", 67), ("normal", 63), ("fighting", 60), ("roadaccidents", 66), ("normal", 64)),
    (("fighting", 66), ("roadaccidents", 61), ("normal", 65), ("explosion", 60), ("arson", 60), ("fighting", 64)),
)


def plan(seed: int, videos: int, classes: list[str] | None, seconds: tuple[float, float]) -> list[Job]:
    """Draw which videos to render: half of them normal, or evenly over `classes` if given."""
    rng = np.random.default_rng(seed)
    if classes:
        kinds = [classes[k % len(classes)] for k in range(videos)]
    else:
        anomalies = CLASSES[1:]
        kinds = ["normal" if k % 2 else anomalies[k // 2 % len(anomalies)] for k in range(videos)]
    rng.shuffle(kinds)
    jobs, counts = [], Counter()
    for kind in kinds:
        counts[kind] += 1
        twice = kind in ("fighting", "explosion", "arson") and rng.random() < TWO_EVENTS
        length = float(rng.uniform(*seconds))
        events = 0 if kind == "normal" else 2 if twice and length >= 2 * SHORTEST else 1
        name = f"{UCF_NAMES[kind]}{counts[kind]:03d}"
        jobs.append(Job(name, int(rng.integers(2**31)), kind, events, round(length, 2)))
    return jobs


def render(job: Job, out: Path, crf: int) -> str:
    """Write a video as H.264 and return its line of ground truth."""
    scene = job.scene()
    height, width = scene.size
    with av.open(str(out / f"{job.name}.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(scene.fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.options = {
            "crf": str(crf),
            "preset": "fast",
            "g": str(KEYFRAME_SECONDS * scene.fps),
            "x264-params": "cpu-independent=1",  # otherwise the same frames may give different files
        }
        for frame in range(scene.frames):
            picture = av.VideoFrame.from_ndarray(scene.render(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    scene.close()
    return annotation(job, scene)


def annotation(job: Job, scene: Scene) -> str:
    """Return one line of ground truth in UCF-Crime's format."""
    bounds = [f"{event.start_frame}  {event.end_frame}" for event in scene.events]
    return "  ".join([job.name, UCF_NAMES[job.kind], *(bounds + ["-1  -1"] * 2)[:2]])


def write(path: Path, text: str) -> None:
    """Write a text file at once or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def make(jobs: list[Job], out: Path, crf: int, processes: int) -> None:
    """Render all videos into `out`, several at a time, and write their list and ground truth."""
    out.mkdir(parents=True, exist_ok=True)
    os.environ["LP_NUM_THREADS"] = "1"  # software rendering: a video a core, not one on all
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        work = pool.imap(functools.partial(render, out=out, crf=crf), jobs)
        lines = list(track(work, total=len(jobs), description="videos"))
    table = io.StringIO()
    rows = [("path", "label"), *((f"{job.name}.mp4", UCF_NAMES[job.kind]) for job in jobs)]
    csv.writer(table, lineterminator="\n").writerows(rows)
    write(out / "list.csv", table.getvalue())
    write(out / "groundtruth.txt", "\n".join(lines) + "\n")


def contact_sheet(path: Path) -> None:
    """Write a picture of many scenes at once."""
    rows = []
    for row in SHEET:
        cells = []
        for kind, seed in row:
            scene = Scene(seed, kind, SHEET_SECONDS)
            first, last = 0, scene.frames - 1
            if scene.events:
                first, last = scene.events[0].start_frame, scene.events[0].end_frame - 1
            cells.append(scene.render(round(first + SHEET_MOMENT * (last - first))))
            scene.close()
        rows.append(np.hstack(cells))
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="everything follows from it")
    parser.add_argument("--videos", type=int, default=10, help="how many")
    parser.add_argument("--out", type=Path, help="folder for the videos, list.csv and groundtruth.txt")
    parser.add_argument("--classes", nargs="+", choices=CLASSES, help="instead of half normal, half events")
    parser.add_argument("--seconds", nargs=2, type=float, default=(20, 60), metavar=("LOW", "HIGH"))
    parser.add_argument("--crf", type=int, default=CRF, help="H.264 quality, lower is better")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="videos rendered side by side")
    parser.add_argument("--samples", action="store_true", help="render the clips shipped in this folder")
    parser.add_argument("--contact-sheet", type=Path, metavar="PNG", help="write a grid of example frames")
    options = parser.parse_args(arguments)
    if not (options.out or options.samples or options.contact_sheet):
        parser.error("nothing to do: give --out DIR, --samples or --contact-sheet PNG")
    if options.contact_sheet:
        contact_sheet(options.contact_sheet)
    if options.samples:
        make(list(SAMPLES), HERE, SAMPLES_CRF, options.processes)
    if options.out:
        make(
            plan(options.seed, options.videos, options.classes, tuple(options.seconds)),
            options.out,
            options.crf,
            options.processes,
        )


if __name__ == "__main__":
    main()
