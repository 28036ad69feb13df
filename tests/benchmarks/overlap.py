"""How well decoding and encoding overlap: detect's wall time against each of the two alone.

    python tests/benchmarks/overlap.py VIDEO [--model NAME] [--frames-per-snippet K] [--rounds N]

Prints, for the best of N rounds, the seconds of decode alone, encode alone and detect, and detect's ratio to
the slower of the two. They take turns, so that a noisy machine hits them alike. Detect decodes in a process of its
own, whose start is in its seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.models.directory import load_model
from dsanet_cli.pipeline.batcher import FrameBatcher
from dsanet_cli.video.reader import Snippet, open_video


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", default="scenes")
    parser.add_argument("--frames-per-snippet", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    detector = Detector(load_model(arguments.model), DetectSettings(sampled_frames=arguments.frames_per_snippet))
    encoder = detector.load_encoder()
    size = detector.model.config.preprocessing.resize

    def decode() -> list[Snippet]:
        return list(open_video(arguments.video, size, detector.sampled_frames).snippets())

    decoded = decode()

    def encode(snippets: list[Snippet]) -> None:
        batcher = FrameBatcher[None](encoder, detector.batch_size)
        for snippet in snippets:
            batcher.add(None, snippet)
            list(batcher.encoded())
        list(batcher.rest())

    encode(decoded[:8])
    rounds = [
        (
            seconds(decode),
            seconds(lambda: encode(decoded)),
            seconds(lambda: detector.detect(arguments.video)),
        )
        for _ in range(arguments.rounds)
    ]
    decoding, encoding, detecting = (min(column) for column in zip(*rounds, strict=True))
    print(f"{len(decoded)} snippets, {detector.sampled_frames} frames each, {detector.device}, {detector.dtype}")
    print(f"decode alone {decoding:.2f} s, encode alone {encoding:.2f} s, detect {detecting:.2f} s")
    print(f"detect / slower of the two: {detecting / max(decoding, encoding):.2f}")
    print(f"detect / sum of the two:    {detecting / (decoding + encoding):.2f}")


if __name__ == "__main__":
    main()
