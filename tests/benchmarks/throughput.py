"""How fast ``dsanet detect`` is: against one video at a time, and against the script one would write without it.

    python tests/benchmarks/throughput.py [--clips 40] [--clip-seconds 20] [--long-minutes 10] [--rounds 1]
                                          [--model scenes] [--baseline-clips 4]

A folder of short clips and one long video, all copied from ``samples/`` without encoding, are analysed

- by the product: the installed command as it is, its start and the loading of the model included in the seconds;
- one at a time: ``Detector.detect`` video by video, the same result files written after each; the
  model is loaded before, which is not in the seconds and printed apart;
- by a plain script (``PlainScript``): OpenCV reads all frames, Pillow resizes each, CLIP encodes each by itself, the
  head scores the means of 16. Same weights, precision and device; loaded before as well, and no files are written. It
  is slow, so it takes ``--baseline-clips`` of the clips, and its seconds are scaled by the length of the videos.

All take turns in every round, and the fewest seconds of each count. The product on two seconds of video shows what its
start alone costs; ratios without that are printed beside the others. The product encodes what its model says by
default, and all 16 frames of a snippet for comparison with the script, which always encodes all. Prints also how far
the scores of script and product at 16 frames are apart, to show that they do the same.

Other programs on the machine distort the ratios, by several times on a machine of few cores: use several rounds, and
see that their seconds, on the clock and of processors, are alike.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from PIL import Image

from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.encoder.device import precision_name
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import load_model
from dsanet_cli.timeline.files import read_timeline, write_csv, write_json
from dsanet_cli.timeline.plot import save_plot

DSANET = Path(sys.executable).with_name("dsanet")
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ALL_FRAMES = 16


def copy_frames(sources: Iterable[Path], target: Path, seconds: float) -> float:
    """Copy the compressed frames of videos of one encoder, one after the other, up to a key frame.

    Returns:
        The length in seconds: ``seconds``, or what it takes to the next key frame.
    """
    with av.open(str(target), "w") as written:
        copy, end = None, 0.0
        for source in sources:
            with av.open(str(source)) as read:
                stream = read.streams.video[0]
                if copy is None:
                    copy = written.add_stream_from_template(stream)
                    extradata = stream.codec_context.extradata
                assert stream.codec_context.extradata == extradata, f"{source} has another encoder's settings"
                begin = end
                for packet in read.demux(stream):
                    if not packet.size:
                        continue
                    if packet.is_keyframe and end >= seconds:
                        return end
                    shift = round(begin / packet.time_base)
                    end = max(end, begin + float((packet.pts + packet.duration) * packet.time_base))
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                    written.mux(packet)
    return end


@dataclass(frozen=True)
class Footage:
    """The videos of one measurement, all in one folder, and their length."""

    folder: Path
    paths: tuple[Path, ...]
    seconds: float
    """Of all together."""


def short_clips(folder: Path, count: int, seconds: float) -> Footage:
    folder.mkdir()
    samples = itertools.cycle(sorted(SAMPLES.glob("*.mp4")))
    paths = tuple(folder / f"clip{number:03}.mp4" for number in range(count))
    lengths = [copy_frames([next(samples)], path, seconds) for path in paths]
    return Footage(folder, paths, sum(lengths))


def long_video(folder: Path, minutes: float) -> Footage:
    folder.mkdir()
    path = folder / "long.mp4"
    length = copy_frames(itertools.cycle(sorted(SAMPLES.glob("*.mp4"))), path, 60 * minutes)
    return Footage(folder, (path,), length)


def product(footage: Footage, model: str, output: Path, *options: str) -> None:
    """The installed command, in its default configuration but for ``options``."""
    command = [DSANET, "detect", footage.folder, "--model", model, "-o", output, "--overwrite", *options]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{footage.folder}: exit code {result.returncode}\n{result.stderr}")


def one_at_a_time(footage: Footage, detector: Detector, output: Path) -> None:
    """Each video by itself, in one process, and the files that the command writes."""
    output.mkdir(exist_ok=True)
    for path in footage.paths:
        detection = detector.detect(path)
        with (output / f"{path.stem}.json").open("w") as stream:
            write_json(detection.timeline, stream)
        with (output / f"{path.stem}.csv").open("w") as stream:
            write_csv(detection.timeline, stream)
        with (output / f"{path.stem}.png").open("wb") as image:
            save_plot(detection.timeline, image, detection.thumbnails)


class PlainScript:
    """What one would write today: every frame decoded, resized and encoded by itself."""

    def __init__(self, detector: Detector) -> None:
        model = detector.model
        self.device, self.dtype = detector.device, detector.dtype
        self.tower = model.image_tower().to(self.device, self.dtype).eval()
        self.head, self.text_features = model.head.to(self.device), model.text_features.to(self.device)
        self.preprocessing, self.temperature = model.config.preprocessing, model.config.temperature

    @torch.inference_mode()
    def encode(self, frame: np.ndarray) -> np.ndarray:
        """The CLIP feature (D,) of one BGR frame (H, W, 3)."""
        (height, width), (h, w) = self.preprocessing.resize, self.preprocessing.crop
        image = Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).resize((width, height), Image.BILINEAR)
        left, top = (width - w) // 2, (height - h) // 2
        pixels = np.asarray(image.crop((left, top, left + w, top + h)), np.float32) / 255
        pixels = (pixels - np.float32(self.preprocessing.mean)) / np.float32(self.preprocessing.std)
        batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self.device, self.dtype)
        return self.tower(batch)[0].float().cpu().numpy()

    def run(self, path: Path) -> np.ndarray:
        """Anomaly scores (N,) of a video's snippets."""
        capture = cv2.VideoCapture(str(path))
        snippets, features = [], []
        while True:
            found, frame = capture.read()
            if found:
                features.append(self.encode(frame))
            if len(features) == ALL_FRAMES or (features and not found):
                snippets.append(np.mean(features, axis=0))
                features = []
            if not found:
                break
        capture.release()
        return score_snippets(
            self.head, torch.from_numpy(np.stack(snippets)), self.text_features, self.temperature
        ).scores.numpy()


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compare(work: Path, clips: Footage, long: Footage, arguments: argparse.Namespace) -> None:
    """Measure everything in turns and print it."""
    started = time.perf_counter()
    detector = Detector(load_model(arguments.model), DetectSettings())
    detector.load_encoder()
    script = PlainScript(detector)
    loading = time.perf_counter() - started
    print(f"model {arguments.model}, {detector.device} in {precision_name(detector.dtype)}, ", end="")
    print(f"{detector.sampled_frames} frames a snippet by default, loaded here in {loading:.1f} s (not counted below)")
    model, out = arguments.model, work / "out"
    share = clips.paths[: arguments.baseline_clips]
    scores: dict[Path, np.ndarray] = {}
    every = ("--frames-per-snippet", str(ALL_FRAMES))
    start = short_clips(work / "start", 1, 1)
    runs: dict[str, Callable[[], object]] = {
        "product, start": lambda: product(start, model, out / "start"),
        "product, clips": lambda: product(clips, model, out / "clips"),
        "one at a time, clips": lambda: one_at_a_time(clips, detector, work / "one"),
        "product, long": lambda: product(long, model, out / "long"),
        "one at a time, long": lambda: one_at_a_time(long, detector, work / "one"),
        "product, clips, 16 frames": lambda: product(clips, model, out / "every", *every),
        "product, long, 16 frames": lambda: product(long, model, out / "long-every", *every),
        "script": lambda: scores.update((path, script.run(path)) for path in share),
    }
    detector.detect(share[0])  # the first run of a network is slower
    script.run(share[0])
    times = take_turns(runs, arguments.rounds)
    best = {name: min(values) for name, values in times.items()}
    spread = max(max(values) / min(values) for values in times.values())
    print(f"\nbest of {arguments.rounds} rounds; the slowest round of one took up to {spread:.2f} times its best")
    start_cost = best.pop("product, start")
    share_seconds = sum(video_seconds(out / "every", path) for path in share)
    script_rate = best.pop("script") / share_seconds
    spent = best | {"script, clips": script_rate * clips.seconds, "script, long": script_rate * long.seconds}
    report_seconds(spent, clips, long, len(share))
    report_ratios(spent, start_cost)
    report_agreement(out / "every", scores)


def take_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            processors = sum(os.times()[:4])
            spent = seconds(run)
            processors = sum(os.times()[:4]) - processors
            print(f"round {number + 1}: {name:<26} {spent:8.2f} s, {processors:8.2f} s of processors", flush=True)
            times[name].append(spent)
    return times


def video_seconds(results: Path, path: Path) -> float:
    return read_timeline(results / f"{path.stem}.json").video.duration


def report_seconds(spent: dict[str, float], clips: Footage, long: Footage, share: int) -> None:
    print(f"{len(clips.paths)} clips, {clips.seconds:.0f} s of video; long video, {long.seconds:.0f} s of video")
    for name, value in spent.items():
        length = (long if "long" in name else clips).seconds
        scaled = f", scaled up from {share} of the clips" if name.startswith("script") else ""
        print(f"{name:<26} {value:8.2f} s, {length / value:6.1f} times real time{scaled}")


def report_ratios(spent: dict[str, float], start: float) -> None:
    print(f"\nhow many times as fast the product is (in brackets: without its start, {start:.1f} s):")
    for kind in ("clips", "long"):
        for title, other, frames in (
            ("by default, against one at a time", "one at a time", ""),
            ("at 16 frames, against script", "script", ", 16 frames"),
            ("by default, against script", "script", ""),
        ):
            theirs, ours = spent[f"{other}, {kind}"], spent[f"product, {kind}{frames}"]
            print(f"{kind:<6} {title:<34} {theirs / ours:6.2f} ({theirs / (ours - start):.2f})")


def report_agreement(results: Path, scores: dict[Path, np.ndarray]) -> None:
    apart = np.concatenate(
        [np.abs(read_timeline(results / f"{path.stem}.json").scores - values) for path, values in scores.items()]
    )
    print(f"\nscores of script and product at 16 frames: {apart.mean():.4f} apart, at most {apart.max():.4f}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--clip-seconds", type=float, default=20)
    parser.add_argument("--long-minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--baseline-clips", type=int, default=4)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        parsed = parser.parse_args(arguments)
        clips = short_clips(work / "clips", parsed.clips, parsed.clip_seconds)
        compare(work, clips, long_video(work / "long", parsed.long_minutes), parsed)


if __name__ == "__main__":
    main()
