"""How many frames a second come from the decoders to the encoder: through shared memory, and through pipes.

    python tests/benchmarks/frames.py [--jobs 2] [--videos 4] [--seconds 60] [--frames-per-snippet 16] [--rounds 3]

Small pictures of one colour are decoded, which costs next to nothing, enlarged to the published size, and given to an
encoder that does nothing: what is left is mostly the way of the frames. Both ways take turns. Prints the frames a
second and the seconds of processors, which other programs on the machine distort less; the best of each counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import av
import numpy as np

from dsanet_cli.files.sources import Source
from dsanet_cli.pipeline.batcher import EncodedSnippet
from dsanet_cli.pipeline.pipeline import Collector, Pipeline, PipelineSettings
from dsanet_cli.video import picture_ring
from dsanet_cli.video.messages import Decoding
from dsanet_cli.video.probe import VideoInfo

SIZE = (256, 340)
BATCH = 256


class NoEncoder:
    """Takes batches as a GPU does, and gives back nothing of worth."""

    lanes = 2
    notices: ClassVar[deque[str]] = deque()

    def submit(self, frames: np.ndarray, crop: int) -> Future[np.ndarray]:
        future: Future[np.ndarray] = Future()
        future.set_result(np.zeros((len(frames), 1), np.float32))
        return future


class Count(Collector[int]):
    def __init__(self, source: Source) -> None:
        self._frames = 0

    def take(self, snippet: EncodedSnippet) -> None:
        self._frames += snippet.features.shape[1]

    def finish(self, info: VideoInfo) -> int:
        return self._frames


def write(path: Path, seconds: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for index in range(25 * seconds):
            picture = np.full((64, 64, 3), index % 250, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@dataclass(frozen=True)
class Cost:
    """Of one round."""

    rate: float
    """Frames a second."""
    program: float
    """Seconds of processors for 1,000 frames, as is ``decoders``."""
    decoders: float


def measure(sources: list[Source], jobs: int, sampled: int) -> Cost:
    pipeline = Pipeline(NoEncoder(), Decoding(SIZE, sampled, 16), BATCH, PipelineSettings(jobs=jobs))
    started, before = time.perf_counter(), os.times()
    frames = sum(result for _, result in pipeline.run(sources, Count, lambda *_: None))
    spent, after = time.perf_counter() - started, os.times()
    program = after.user + after.system - before.user - before.system
    decoders = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(frames / spent, 1000 * program / frames, 1000 * decoders / frames)


def refuse(file: int, size: int) -> None:
    raise OSError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--videos", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--frames-per-snippet", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    reserve = picture_ring._reserve
    with tempfile.TemporaryDirectory() as folder:
        paths = [write(Path(folder) / f"{number}.mp4", arguments.seconds) for number in range(arguments.videos)]
        sources = [Source(path, Path(path.stem)) for path in paths]
        found: dict[str, list[Cost]] = {"shared memory": [], "pipes": []}
        for _ in range(arguments.rounds):
            for name, way in (("shared memory", reserve), ("pipes", refuse)):
                picture_ring._reserve = way
                cost = measure(sources, arguments.jobs, arguments.frames_per_snippet)
                found[name].append(cost)
                print(f"{name:<14} {cost.rate:6.0f} frames/s, s of processors for 1,000 frames: ", end="")
                print(f"program {cost.program:.3f}, decoders {cost.decoders:.3f}", flush=True)
    ring, pipe = found.values()
    print(f"best rates: {max(c.rate for c in ring) / max(c.rate for c in pipe):.2f} times the frames a second")
    for who in ("program", "decoders"):
        ratio = min(getattr(c, who) for c in pipe) / min(getattr(c, who) for c in ring)
        print(f"fewest seconds of the {who}: 1 / {ratio:.2f}")


if __name__ == "__main__":
    main()
