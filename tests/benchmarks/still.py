"""What ``--reuse-still`` saves and costs, by its level.

    python tests/benchmarks/still.py FOLDER_OR_VIDEO ... [--model scenes] [--levels 0.5 1 2 3 4]
    python tests/benchmarks/still.py --yard 600 [--seed 1] [--night] [--speed]

With folders and videos: each is analysed once, and then with the features of some pictures taken for others, as the
pipeline does at each level. Prints the share of pictures reused, how many events of the first analysis no event of the
other overlaps and the other way round, verdicts that changed, and the largest change of a score. Where a folder has a
``groundtruth.txt``, it prints the frame AUC too, and for a ``clips.csv`` (columns path and label) the AUC of the
highest scores of the clips whose label begins with ``fight`` against the others.

With ``--yard``, a parking lot of so many seconds is rendered in which nobody is but for one fight, with the noise and
the drift of the sensor and the compression of the other rendered scenes. ``--speed`` compares the seconds of processors
that decoding and encoding take with ViT-B/16 (random weights, which cost as much as others), with and without
``--levels``.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import open_clip
import torch
from sklearn.metrics import roc_auc_score

from dsanet_cli.config import Preprocessing
from dsanet_cli.detect.analysis import Analysis
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.encoder.architecture import OPENAI_MEAN, OPENAI_STD
from dsanet_cli.encoder.device import choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.evaluate.groundtruth import frame_truth, read_annotations
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.batcher import EncodedSnippet, FrameBatcher
from dsanet_cli.pipeline.pipeline import Collector, Pipeline, PipelineSettings
from dsanet_cli.pipeline.still import Means, StillRule
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.video.messages import Decoding
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

FIGHT_SECONDS = 16
"""That people are in the yard."""

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "samples"))


class Record(Collector[tuple[list[EncodedSnippet], VideoInfo]]):
    """All that comes of a video."""

    def __init__(self, _: Source) -> None:
        self._snippets: list[EncodedSnippet] = []

    def take(self, snippet: EncodedSnippet) -> None:
        self._snippets.append(snippet)

    def finish(self, info: VideoInfo) -> tuple[list[EncodedSnippet], VideoInfo]:
        return self._snippets, info


@dataclass(frozen=True)
class Pair:
    """Timelines of a video: of all pictures, and with some reused."""

    whole: Timeline
    reused: Timeline


def lost(events: Sequence, others: Sequence) -> int:
    return sum(not any(one.start < other.end and other.start < one.end for other in others) for one in events)


def frame_auc(folder: Path, timelines: dict[str, Timeline]) -> float:
    labels, scores = [], []
    for truth in read_annotations(folder / "groundtruth.txt"):
        timeline = timelines[truth.name]
        frames = timeline.video.frames
        labels.append(frame_truth(truth, frames))
        scores.append(np.repeat(timeline.scores, timeline.sampling.snippet_frames)[:frames])
    return float(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))


def clip_auc(folder: Path, timelines: dict[str, Timeline]) -> float:
    with (folder / "clips.csv").open() as stream:
        fights = {Path(row["path"]).stem: row["label"].lower().startswith("fight") for row in csv.DictReader(stream)}
    names = [name for name in timelines if name in fights]
    return float(roc_auc_score([fights[name] for name in names], [timelines[name].scores.max() for name in names]))


def auc(folder: Path, timelines: dict[str, Timeline]) -> str:
    if (folder / "groundtruth.txt").exists():
        return f", frame AUC {frame_auc(folder, timelines):.4f}"
    return f", clip AUC {clip_auc(folder, timelines):.4f}" if (folder / "clips.csv").exists() else ""


def with_level(
    snippets: Sequence[EncodedSnippet], means: Sequence[Sequence[Means]], level: float | None
) -> Iterator[EncodedSnippet]:
    """What the batcher would have given with ``--reuse-still``."""
    rule, latest = StillRule(level or 0.0), None
    for snippet, ours in zip(snippets, means, strict=True):
        features, reused = [], 0
        for number, these in enumerate(ours):
            if level is not None and latest is not None and rule.is_same(these, latest[0]):
                reused += 1
            else:
                latest = these, snippet.features[:, number]
            features.append(latest[1])
        yield dataclasses.replace(snippet, features=np.stack(features, axis=1), reused=reused)


def compare(place: Path, model_name: str, levels: Sequence[float], sampled: int | None) -> None:
    paths = sorted(path for path in place.rglob("*") if path.suffix in (".mp4", ".avi")) if place.is_dir() else [place]
    sources = [Source(path, Path(path.stem)) for path in paths]
    detector = Detector(load_model(model_name), DetectSettings(sampled_frames=sampled))
    means: defaultdict[Source, list[list[Means]]] = defaultdict(list)
    rule = StillRule(0.0, detector.model.config.preprocessing.crop)
    add = FrameBatcher.add

    def noting(batcher: FrameBatcher, task: Any, snippet: Snippet) -> None:
        means[task.source].append([rule.means(frame) for frame in snippet.frames])
        add(batcher, task, snippet)

    pipeline = detector.pipeline(PipelineSettings().for_videos(len(sources)))
    with mock.patch.object(FrameBatcher, "add", noting):
        seen = dict(pipeline.run(sources, Record, lambda *_: None))

    def timelines(level: float | None) -> dict[str, Timeline]:
        found = {}
        for source, (snippets, info) in seen.items():
            sampling = dataclasses.replace(detector.sampling(source), reuse_still=level)
            analysis = Analysis(source.path, detector._scoring(source), lambda sampling=sampling: sampling)
            for snippet in with_level(snippets, means[source], level):
                analysis.take(snippet)
            found[source.path.stem] = analysis.finish(info).timeline
        return found

    whole = timelines(None)
    length = sum(timeline.video.duration for timeline in whole.values())
    events = sum(len(timeline.events) for timeline in whole.values())
    print(f"{place.name}: {len(paths)} videos, {length / 60:.1f} min, {events} events{auc(place, whole)}", flush=True)
    for level in levels:
        found = timelines(level)
        pairs = [Pair(timeline, found[name]) for name, timeline in whole.items()]
        share = sum(pair.reused.sampling.reused * pair.whole.video.duration for pair in pairs) / length
        gone = sum(lost(pair.whole.events, pair.reused.events) for pair in pairs)
        new = sum(lost(pair.reused.events, pair.whole.events) for pair in pairs)
        verdicts = sum(pair.whole.verdict.anomalous != pair.reused.verdict.anomalous for pair in pairs)
        change = max(np.abs(pair.whole.scores - pair.reused.scores).max() for pair in pairs)
        print(
            f"    level {level:<4g} reused {share:6.1%}, events lost {gone}, new {new}, verdicts changed {verdicts}, "
            f"scores up to {change:.3f} apart{auc(place, found)}",
            flush=True,
        )
    detector.close()


def render_yard(path: Path, seconds: float, seed: int, night: bool) -> None:
    """Nobody but for one fight in the middle. Where nobody is, the light that reaches the sensor is always the same."""
    from scenes import Scene, scene  # noqa: PLC0415  (which draws with OpenGL)
    from scenes.light import Weather  # noqa: PLC0415

    weather = Weather.drawn

    def drawn(rng: np.random.Generator) -> Weather:
        while ((one := weather(rng)).darkness > 0.6) != night:
            pass
        return one

    nobody = {name: lambda *_: None for name in ("add_chat", "add_groups", "add_traffic", "add_walkers", "react")}
    with mock.patch.multiple(scene, **nobody), mock.patch.object(Weather, "drawn", drawn):
        yard = Scene(seed, "fighting", FIGHT_SECONDS, place=1)
    yard.sensor.clock = False
    yard.show[:] = False
    with mock.patch.object(yard, "_pose"):
        empty, _ = yard._light(0)
    frames = round(25 * seconds)
    first = (frames - yard.frames) // 2
    (event,) = yard.events
    noise, drift = yard.sensor.noise_level, yard.sensor.drift[0]
    start, end = ((first + frame) / 25 for frame in (event.start_frame, event.end_frame))
    print(
        f"{path.name}: people from {first / 25:.0f} s to {first / 25 + FIGHT_SECONDS:.0f} s, fight from {start:.1f} s"
    )
    print(f"    to {end:.1f} s; noise of {noise:.1f} grey levels, drift of the gain {drift:.1%}", flush=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 240, 320, "yuv420p"
        stream.options = {"crf": "27", "preset": "fast", "g": "50"}
        for number in range(frames):
            light = yard._light(number - first)[0] if 0 <= number - first < yard.frames else empty
            picture = yard.sensor.develop(light, number, number / 25, seed)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    yard.close()


class Count(Collector[tuple[int, int]]):
    """Frames looked at and reused."""

    def __init__(self, _: Source) -> None:
        self._found = [0, 0]

    def take(self, snippet) -> None:
        self._found[0] += snippet.features.shape[1]
        self._found[1] += snippet.reused

    def finish(self, info) -> tuple[int, int]:
        return self._found[0], self._found[1]


def processors() -> float:
    """Seconds that processors have worked for this process and those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure_speed(path: Path, levels: Sequence[float], sampled: int, batch: int) -> None:
    torch.manual_seed(0)
    preprocessing = Preprocessing((256, 340), (224, 224), OPENAI_MEAN, OPENAI_STD)
    device = torch.device("cpu")
    tower = open_clip.create_model("ViT-B-16-quickgelu").visual
    encoder = FrameEncoder(tower, preprocessing, device, choose_precision("auto", device))
    source = Source(path, Path(path.stem))
    seconds: dict[float | None, float] = {}
    for level in (*levels, None):
        pipeline = Pipeline(encoder, Decoding(preprocessing.resize, sampled, 16), batch, reuse_still=level)
        started = processors()
        looked_at, reused = pipeline.run_one(source, Count(source), lambda *_: None)
        seconds[level] = processors() - started
        print(
            f"    ViT-B/16, {sampled} a snippet, level {level}: {seconds[level]:.1f} s, {looked_at} pictures, "
            f"{reused / looked_at:.1%} reused",
            flush=True,
        )
    for level in levels:
        print(f"    level {level:g}: {seconds[None] / seconds[level]:.1f} times as fast", flush=True)
    encoder.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", type=Path)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.5, 1, 2, 3, 4])
    parser.add_argument("--frames-per-snippet", type=int)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--yard", type=float, help="seconds to render")
    parser.add_argument("--keep", type=Path, help="where the yard goes that is to be kept")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--night", action="store_true")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    sampled = arguments.frames_per_snippet
    for place in arguments.places:
        compare(place, arguments.model, arguments.levels, sampled)
        if arguments.speed:
            measure_speed(place, arguments.levels, sampled or 1, arguments.batch_size)
    if arguments.yard:
        with tempfile.TemporaryDirectory() as folder:
            path = arguments.keep or Path(folder) / "yard.mp4"
            render_yard(path, arguments.yard, arguments.seed, arguments.night)
            compare(path, arguments.model, arguments.levels, sampled)
            if arguments.speed:
                measure_speed(path, arguments.levels, sampled or 1, arguments.batch_size)


if __name__ == "__main__":
    main()
