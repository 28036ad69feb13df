"""Render the training footage: only the frames that training looks at, with the degradations of real video."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.video.reader import sample_offsets

sys.path.append(str(Path(__file__).resolve().parent.parent / "samples"))

from scenes import Scene, degrade

EVENT_KINDS = ("fighting", "explosion", "roadaccidents", "arson")
CAPTIONS_PER_FRAME = 4
EVENT_SHARE = 0.6
"""Of the captioned frames of a scene with an event, those inside it."""


@dataclass(frozen=True)
class Footage:
    """A set of scenes to render: ``count`` seeds from ``first_seed`` on, a share of them normal."""

    first_seed: int
    count: int
    normal_share: float

    def scenes(self) -> Iterator[tuple[int, str]]:
        """Seed and kind of each scene; kinds are spread evenly over the seeds."""
        normal = 0.0
        events = 0
        for seed in range(self.first_seed, self.first_seed + self.count):
            normal += self.normal_share
            if normal >= 1.0:
                normal -= 1.0
                yield seed, "normal"
            else:
                yield seed, EVENT_KINDS[events % len(EVENT_KINDS)]
                events += 1


@dataclass(frozen=True)
class CaptionedFrames:
    """Frames (n, H, W, 3) uint8 in a memory map, scene after scene, with ``CAPTIONS_PER_FRAME`` captions each."""

    frames: NDArray[np.uint8]
    captions: list[list[str]]
    labels: list[str]
    frames_per_scene: int


def render_captioned(
    footage: Footage, frames_per_scene: int, size: tuple[int, int], folder: Path, processes: int
) -> CaptionedFrames:
    """Render ``frames_per_scene`` random frames of each scene, ``EVENT_SHARE`` of them inside its events if it has any.

    The frames lie in ``folder`` as one array; a finished rendering there is used again.
    """
    array_path, text_path = folder / "frames.npy", folder / "captions.json"
    if not text_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shape = (footage.count * frames_per_scene, *size, 3)
        array = np.lib.format.open_memmap(array_path, "w+", np.uint8, shape)
        jobs = [(seed, kind, frames_per_scene, size) for seed, kind in footage.scenes()]
        texts = []
        for number, (frames, captions) in enumerate(_in_processes(_captioned_scene, jobs, processes)):
            array[number * frames_per_scene : (number + 1) * frames_per_scene] = frames
            texts.extend(captions)
        array.flush()
        text_path.write_text(json.dumps(texts))
    texts = json.loads(text_path.read_text())
    return CaptionedFrames(
        np.load(array_path, mmap_mode="r"),
        [t["captions"] for t in texts],
        [t["label"] for t in texts],
        frames_per_scene,
    )


def render_snippets(
    scenes: Sequence[tuple[int, str]], sampled_frames: int, size: tuple[int, int], processes: int
) -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
    """Render what ``detect`` would sample of each scene, given by seed and kind.

    Yields:
        Seed, kind, and frames (N, ``sampled_frames``, H, W, 3) uint8 of its N whole snippets.
    """
    jobs = [(seed, kind, sampled_frames, size) for seed, kind in scenes]
    for (seed, kind, *_), frames in zip(jobs, _in_processes(_snippet_scene, jobs, processes), strict=True):
        yield seed, kind, frames


def _captioned_scene(job: tuple[int, str, int, tuple[int, int]]) -> tuple[NDArray[np.uint8], list[dict[str, object]]]:
    seed, kind, count, size = job
    rng = np.random.default_rng(seed)
    scene = Scene(seed, kind)
    inside = [f for event in scene.events for f in range(event.start_frame, event.end_frame)]
    numbers = rng.integers(0, scene.frames, count)
    if inside:
        within = round(EVENT_SHARE * count)
        numbers[:within] = rng.choice(inside, within)
    frames = np.stack([_resize(degrade(scene.render(int(n)), rng), size) for n in numbers])
    texts: list[dict[str, object]] = [
        {
            "captions": [scene.caption(int(n), rng) for _ in range(CAPTIONS_PER_FRAME)],
            "label": scene.label_at(int(n)),
        }
        for n in numbers
    ]
    scene.close()
    return frames, texts


def sample_scene(scene: Scene, seed: int, sampled: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Render the frames that ``detect`` would sample of the whole snippets of ``scene``, degraded.

    Returns:
        (N, ``sampled``, H, W, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    offsets = sample_offsets(FRAMES_PER_SNIPPET, sampled)
    frames = [
        [_resize(degrade(scene.render(first + offset), rng), size) for offset in offsets]
        for first in range(0, scene.frames - FRAMES_PER_SNIPPET + 1, FRAMES_PER_SNIPPET)
    ]
    return np.asarray(frames)


def _snippet_scene(job: tuple[int, str, int, tuple[int, int]]) -> NDArray[np.uint8]:
    seed, kind, sampled, size = job
    scene = Scene(seed, kind)
    frames = sample_scene(scene, seed, sampled, size)
    scene.close()
    return frames


def _resize(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    # Area averaging is what the video reader's scaler does when it shrinks.
    return cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _in_processes(function, jobs: Sequence, processes: int) -> Iterator:
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ["LP_NUM_THREADS"] = "1"  # software rendering: one scene a core, not one scene on all
    with multiprocessing.get_context("spawn").Pool(processes, cv2.setNumThreads, (1,), maxtasksperchild=100) as pool:
        yield from track(pool.imap(function, jobs), total=len(jobs), description="rendering")
