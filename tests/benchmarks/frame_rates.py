"""What a model finds at other frame rates than it was trained at, by the length of its snippets.

    python tests/benchmarks/frame_rates.py FOLDER [--model scenes] [--rates 5 10 15 25 30 50 60]
        [--snippet-seconds 0 0.64 1.28] [--clips clips.csv]

``FOLDER`` holds videos and ``groundtruth.txt``, as ``samples/make.py`` writes them. They are copied at each rate, with
frames left out or doubled as ffmpeg's ``fps`` filter does, and analysed with snippets of each length; 0 seconds stands
for 16 frames. For each rate and length, prints the AUC over the frames of the original, how many events are found (one
of the same class with an IoU above 0.5), how many more there are, and the mean IoU of those found. With ``--clips``, a
table (path, label) beside clips whose label is of the whole clip, prints instead the AUC of their highest scores; a
label that begins with ``n`` is normal there, and the rate 0 leaves the clips as they are.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.filter import Graph
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.evaluate.frame_metrics import VideoTruth
from dsanet_cli.evaluate.groundtruth import frame_truth, read_annotations
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.timeline.timeline import Timeline

ORIGINAL_RATE = 25
IOU = 0.5


def copy_at(source: Path, target: Path, rate: float) -> None:
    """A copy of a video in which frames are left out or doubled, so that there are ``rate`` a second."""
    fraction = Fraction(rate).limit_denominator(1001)
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream("libx264", rate=fraction)
        copy.width, copy.height, copy.pix_fmt = stream.width, stream.height, "yuv420p"
        copy.options = {"crf": "18", "preset": "veryfast", "g": str(max(1, round(2 * rate)))}
        graph = Graph()
        first = graph.add_buffer(template=stream)
        last = first
        for name, options in (("fps", f"fps={fraction}"), ("format", "yuv420p"), ("buffersink", "")):
            step = graph.add(name, options)
            last.link_to(step)
            last = step
        graph.configure()
        for frame in [*read.decode(stream), None]:
            graph.push(frame)
            while True:
                try:
                    picture = graph.pull()
                except (av.BlockingIOError, av.EOFError):
                    break
                picture.pict_type = av.video.frame.PictureType.NONE
                written.mux(copy.encode(picture))
        written.mux(copy.encode())


def analysed(paths: Sequence[Path], detector: Detector) -> dict[str, Timeline]:
    """The timelines of videos, by their names."""
    found = {}
    sources = [Source(path, Path(path.stem)) for path in paths]
    for source, outcome in detector.detect_many(sources, PipelineSettings(), lambda *_: None):
        assert isinstance(outcome, Detection), outcome
        found[source.path.stem] = outcome.timeline
    return found


def detector_of(model: str, seconds: float) -> Detector:
    """A detector whose snippets last so long, or have 16 frames."""
    loaded = load_model(model)
    if not seconds:
        loaded = dataclasses.replace(loaded, config=dataclasses.replace(loaded.config, snippet_seconds=None))
    return Detector(loaded, DetectSettings(snippet_seconds=seconds or None))


def scores_of_frames(timeline: Timeline, frames: int) -> np.ndarray:
    """(N,) the score that shows in the middle of each frame of the original."""
    middles = (np.arange(frames) + 0.5) / ORIGINAL_RATE
    place = np.searchsorted(timeline.starts, middles, side="right") - 1
    return timeline.scores[place.clip(0)]


def rows_of(truths: Sequence[VideoTruth], lengths: Mapping[str, int], timelines: Mapping[str, Timeline]) -> list[str]:
    """AUC, events found, events more, mean IoU of those found."""
    labels, scores, overlaps = [], [], []
    events = found = 0
    for truth in truths:
        timeline = timelines[truth.name]
        labels.append(frame_truth(truth, lengths[truth.name]))
        scores.append(scores_of_frames(timeline, lengths[truth.name]))
        events += len(timeline.events)
        for segment in truth.segments:
            start, end = segment.start / ORIGINAL_RATE, segment.end / ORIGINAL_RATE
            best = max(
                (
                    max(0.0, min(event.end, end) - max(event.start, start))
                    / (max(event.end, end) - min(event.start, start))
                    for event in timeline.events
                    if event.label == str(segment.class_name).lower()
                ),
                default=0.0,
            )
            if best > IOU:
                found += 1
                overlaps.append(best)
    total = sum(len(truth.segments) for truth in truths)
    auc = roc_auc_score(np.concatenate(labels), np.concatenate(scores))
    return [f"{auc:.3f}", f"{found} of {total}", str(events - found), f"{np.mean(overlaps or [0]):.2f}"]


def scenes(arguments: argparse.Namespace, console: Console) -> None:
    truths = read_annotations(arguments.folder / "groundtruth.txt")
    paths = [arguments.folder / f"{truth.name}.mp4" for truth in truths]
    lengths = {}
    for path in paths:
        with av.open(str(path)) as container:
            lengths[path.stem] = container.streams.video[0].frames
    table = Table("frames/s", "snippet", "AUC", "events found", "more", "mean IoU", box=None)
    for rate in arguments.rates:
        with tempfile.TemporaryDirectory() as folder:
            copies = paths if rate == ORIGINAL_RATE else [Path(folder) / path.name for path in paths]
            if rate != ORIGINAL_RATE:
                for path, copy in zip(paths, copies, strict=True):
                    copy_at(path, copy, rate)
            for seconds in arguments.snippet_seconds:
                row = rows_of(truths, lengths, analysed(copies, detector_of(arguments.model, seconds)))
                table.add_row(f"{rate:g}", f"{seconds:g} s" if seconds else "16 frames", *row)
                print(rate, seconds, *row, flush=True)
    console.print(table)


def clips(arguments: argparse.Namespace, console: Console) -> None:
    with arguments.clips.open(encoding="utf-8") as stream:
        rows = [(row["path"], not row["label"].lower().startswith("n")) for row in csv.DictReader(stream)]
    table = Table("frames/s", "snippet", "AUC of clips", box=None)
    for rate in arguments.rates:
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, (name, _) in enumerate(rows):
                path = Path(folder) / f"{number}.mp4"
                if rate:
                    copy_at(arguments.clips.parent / name, path, rate)
                else:
                    os.symlink(arguments.clips.parent / name, path)
                paths.append(path)
            for seconds in arguments.snippet_seconds:
                found = analysed(paths, detector_of(arguments.model, seconds))
                highest = [found[str(number)].verdict.score for number in range(len(rows))]
                auc = f"{roc_auc_score([fight for _, fight in rows], highest):.3f}"
                table.add_row(f"{rate:g}", f"{seconds:g} s" if seconds else "16 frames", auc)
                print(rate, seconds, auc, flush=True)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("samples"))
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 10, 15, 25, 30, 50, 60])
    parser.add_argument("--snippet-seconds", type=float, nargs="+", default=[0, 0.64, 1.28])
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    console = Console(highlight=False)
    scenes(arguments, console) if arguments.clips is None else clips(arguments, console)


if __name__ == "__main__":
    main()
