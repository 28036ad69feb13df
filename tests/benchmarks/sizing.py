"""Hours of video that are analysed in an hour: measured end to end, and by the formula that the README sizes with.

    python tests/benchmarks/sizing.py [VIDEO ...] [--seconds 30] [--copies 2] [--device auto] [--encoder vit street …]
                                      [--precision bf16 int8 …] [--frames-per-snippet 1 4]

``vit`` is the published ViT-B/16 with random weights, whose speed is that of the real ones. Without videos, frames of
``samples/`` are enlarged to 720p and encoded as cameras do. All ``--copies`` of the videos are analysed as one batch,
decoders and encoder side by side, the encoder loaded and warm; the head takes no time worth naming. ``int8`` is
OpenVINO's; graphs that are not in the user's cache yet are made first, uncounted.

The formula: an hour of video takes 1/D hours to decode, D being what decoding alone reaches, and holds 3600 x R/16 x F
images, with R frames a second and F of each 16 looked at. On a CPU both take turns on the same cores, so their times
add up; on a GPU the slower of both decides.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from decoding import KINDS, write
from int8 import speed, tower_of

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.encoder.choices import DEFAULT_BATCH
from dsanet_cli.encoder.device import Device, OpenvinoDevice, choose_device, choose_precision
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.files.sources import Source
from dsanet_cli.pipeline.pipeline import Collector, Pipeline, PipelineSettings
from dsanet_cli.video.messages import Decoding
from dsanet_cli.video.probe import VideoInfo


class Pictures(Collector[tuple[int, float]]):
    """Counts pictures, and seconds of video."""

    def __init__(self, _: Source) -> None:
        self._pictures = 0

    def take(self, snippet) -> None:
        self._pictures += snippet.features.shape[1]

    def finish(self, info: VideoInfo) -> tuple[int, float]:
        return self._pictures, info.duration


class NoTower(torch.nn.Module):
    """Costs nothing, so that what is left is decoding."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(images), 8, dtype=images.dtype, device=images.device)


def end_to_end(encoder: FrameEncoder, sources: list[Source], sampled: int, batch: int) -> tuple[float, float]:
    """Seconds of video in a second, and pictures looked at in a second of video."""
    settings = PipelineSettings().for_videos(len(sources))
    pipeline = Pipeline(encoder, Decoding(encoder.preprocessing.resize, sampled, FRAMES_PER_SNIPPET), batch, settings)
    started, pictures, length = time.perf_counter(), 0, 0.0
    for source, outcome in pipeline.run(sources, Pictures, lambda *_: None):
        if isinstance(outcome, Exception):
            raise SystemExit(f"{source.path}: {outcome}")
        pictures, length = pictures + outcome[0], length + outcome[1]
    return length / (time.perf_counter() - started), pictures / length


def memory() -> float:
    """GiB, at most so far, of this process; decoders are others."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def formula(decoding: float, encoding: float, device: Device) -> float:
    """Seconds of video in a second, of the seconds that are decoded and encoded in one when nothing else is done."""
    return min(decoding, encoding) if device.type == "cuda" else 1 / (1 / decoding + 1 / encoding)


def measure(name: str, precision: str, arguments: argparse.Namespace, sources: list[Source]) -> None:
    # torch changes the towers that it gets
    tower, preprocessing = tower_of(name)
    device: Device = OpenvinoDevice("CPU") if precision == "int8" else choose_device(arguments.device)
    batch = DEFAULT_BATCH[device.type]
    encoder = FrameEncoder(tower, preprocessing, device, choose_precision(precision, device))
    frames = np.random.default_rng(0).integers(0, 256, (batch, *preprocessing.resize, 3), dtype=np.uint8)
    images = speed(encoder, frames, arguments.encode_seconds)
    print(f"{name} {precision}: {images:.1f} images/s alone", flush=True)
    idle = FrameEncoder(NoTower(), preprocessing, torch.device("cpu"), torch.float32)
    for sampled in arguments.frames_per_snippet:
        decoding, pictures = end_to_end(idle, sources, sampled, DEFAULT_BATCH["cpu"])
        reached, _ = end_to_end(encoder, sources, sampled, batch)
        expected = formula(decoding, images / pictures, device)
        print(
            f"    {sampled} a snippet: {reached:7.1f} hours of video an hour, {expected:7.1f} by the formula; decoding "
            f"alone {decoding:7.1f}; {memory():.1f} GiB",
            flush=True,
        )
    encoder.close()
    idle.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=30, help="of a video that is made")
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--encoder", nargs="+", default=["vit", "street", "scenes"])
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--frames-per-snippet", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--encode-seconds", type=float, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "camera.mp4"
        paths = arguments.videos or [write(made, arguments.seconds, KINDS["camera"])]
        copies = [(path, number) for number in range(arguments.copies) for path in paths]
        sources = [Source(path, Path(f"{path.stem}-{number}")) for path, number in copies]
        for name in arguments.encoder:
            for precision in arguments.precision:
                measure(name, precision, arguments, sources)


if __name__ == "__main__":
    main()
