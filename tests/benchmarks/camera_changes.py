"""What a model finds of the same videos as another camera or recorder might have kept them.

    python tests/benchmarks/camera_changes.py FOLDER [--model scenes street] [--changes mirrored letterboxed …]

``FOLDER`` holds videos and ``groundtruth.txt``, as ``samples/make.py`` writes them. For each change and model, prints
the frame AUC, how many events are found (one of the same class with an IoU above 0.5), how many more there are, and
the mean IoU of those found. Some of the changes are among those that the recipes train on, drawn at random; ``dim``,
``sepia`` and ``tilted`` are not.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from frame_rates import ORIGINAL_RATE, analysed, detector_of, rows_of
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dsanet_cli.evaluate.groundtruth import read_annotations

Frame = NDArray[np.uint8]
CRF = 23


def mirrored(frame: Frame) -> Frame:
    return frame[:, ::-1]


def letterboxed(frame: Frame) -> Frame:
    """A picture of 4:3 shown at 16:9: three quarters of its height, between black bars."""
    height, width = frame.shape[:2]
    rows = 3 * height // 4
    changed = np.zeros_like(frame)
    top = (height - rows) // 2
    changed[top : top + rows] = cv2.resize(frame, (width, rows), interpolation=cv2.INTER_AREA)
    return changed


def stamped(frame: Frame) -> Frame:
    """With the time on a black box in the upper left corner."""
    changed = frame.copy()
    height, width = frame.shape[:2]
    changed[height // 40 : height // 10, width // 50 : width // 2] = 0
    place, size = (width // 40, height // 12), height / 600
    cv2.putText(changed, "2024-05-17 21:03:44", place, cv2.FONT_HERSHEY_SIMPLEX, size, (255,) * 3, 1, cv2.LINE_AA)
    return changed


def dim(frame: Frame) -> Frame:
    """At half the brightness."""
    return frame // 2


def sepia(frame: Frame) -> Frame:
    """As an old sensor with a colour cast."""
    return np.clip(frame * np.array([1.15, 1.0, 0.75]), 0, 255).astype(np.uint8)


def tilted(frame: Frame) -> Frame:
    """By a camera that hangs five degrees askew."""
    height, width = frame.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 5, 1.1)
    return cv2.warpAffine(frame, turn, (width, height), flags=cv2.INTER_AREA)


CHANGES: dict[str, tuple[Callable[[Frame], Frame], int]] = {
    "encoded again": (lambda frame: frame, CRF),
    "mirrored": (mirrored, CRF),
    "letterboxed": (letterboxed, CRF),
    "stamped": (stamped, CRF),
    "CRF 38": (lambda frame: frame, 38),
    "dim": (dim, CRF),
    "sepia": (sepia, CRF),
    "tilted": (tilted, CRF),
}


def copy_changed(source: Path, target: Path, change: Callable[[Frame], Frame], crf: int) -> None:
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream("libx264", rate=stream.average_rate)
        copy.width, copy.height, copy.pix_fmt = stream.width, stream.height, "yuv420p"
        copy.options = {"crf": str(crf), "preset": "veryfast", "g": str(2 * ORIGINAL_RATE)}
        for frame in read.decode(stream):
            picture = np.ascontiguousarray(change(frame.to_ndarray(format="rgb24")))
            written.mux(copy.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        written.mux(copy.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", nargs="+", default=["scenes", "street"])
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    truths = read_annotations(arguments.folder / "groundtruth.txt")
    lengths = {}
    for truth in truths:
        with av.open(str(arguments.folder / f"{truth.name}.mp4")) as container:
            lengths[truth.name] = container.streams.video[0].frames
    table = Table("change", "model", "AUC", "events found", "more", "mean IoU", box=None)
    for name in arguments.changes:
        with tempfile.TemporaryDirectory() as folder:
            copies = [Path(folder) / f"{truth.name}.mp4" for truth in truths]
            for copy in copies:
                copy_changed(arguments.folder / copy.name, copy, *CHANGES[name])
            for model in arguments.model:
                row = rows_of(truths, lengths, analysed(copies, detector_of(model, 0)))
                table.add_row(name, model, *row)
                print(name, model, *row, flush=True)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
