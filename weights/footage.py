"""Features of the training footage before any projection, computed once: the image tower is locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cameras import as_by_a_camera, mirrored
from frames import CaptionedFrames, Footage, render_snippets
from numpy.typing import NDArray
from real import Clip, snippets_of
from rich.progress import track
from scenes.captions import PHRASES
from tuning import TowerFrames

from dsanet_cli.encoder.frame_encoder import FrameEncoder

CAMERAS = 2
"""Versions of a video as other cameras might have recorded it."""
CLASSES = list(PHRASES)
CHUNK = 64
"""Frames encoded at once."""


@dataclass(frozen=True)
class Track:
    """A video: as it is, mirrored, and by other cameras."""

    name: str
    label: str
    """Its class."""
    source: str
    """The scene or the recording that it is of."""
    features: NDArray[np.float32]
    """(V, N snippets, S frames of each, width of the tower)."""


def encode_captioned(data: CaptionedFrames, encoder: FrameEncoder, kept: Path) -> TowerFrames:
    """The captioned frames, in half of the cases mirrored, and by other cameras: another one for each frame."""
    if not kept.exists():
        versions = []
        for version in range(1 + CAMERAS):
            rng = np.random.default_rng(version)
            parts = []
            for start in track(range(0, len(data.frames), CHUNK), description=f"captioned frames, version {version}"):
                frames = np.asarray(data.frames[start : start + CHUNK])
                single = [_seen(frames[i : i + 1], version, rng) for i in range(len(frames))]
                parts.append(encoder.encode(np.concatenate(single)))
            versions.append(np.concatenate(parts))
        np.save(kept, np.stack(versions))
    return TowerFrames(
        torch.from_numpy(np.load(kept)),
        torch.tensor([CLASSES.index(label) for label in data.labels]),
        torch.arange(len(data.labels)) // data.frames_per_scene,
        data.captions,
    )


def encode_scenes(footage: Footage, size: tuple[int, int], encoder: FrameEncoder, kept: Path, jobs: int) -> list[Track]:
    """One frame of each snippet of rendered scenes."""
    kept.mkdir(parents=True, exist_ok=True)
    missing = [scene for scene in footage.scenes() if not _file(kept, scene).exists()]
    for seed, kind, frames in render_snippets(missing, 1, size, jobs) if missing else ():
        np.save(_file(kept, (seed, kind)), _versions(frames, seed, encoder))
    return [
        Track(f"{kind}{seed}", kind, str(seed), np.load(_file(kept, (seed, kind)))) for seed, kind in footage.scenes()
    ]


def encode_clips(
    clips: Sequence[Clip], sampled: int, size: tuple[int, int], encoder: FrameEncoder, kept: Path
) -> list[Track]:
    """``sampled`` frames of each snippet of real clips."""
    kept.mkdir(parents=True, exist_ok=True)
    tracks = []
    for number, clip in enumerate(track(clips, description="real clips")):
        path = kept / f"{clip.path.stem}.npy"
        if not path.exists():
            np.save(path, _versions(snippets_of(clip, sampled, size), number, encoder))
        tracks.append(Track(clip.path.stem, clip.label.lower(), clip.source, np.load(path)))
    return tracks


def _file(folder: Path, scene: tuple[int, str]) -> Path:
    return folder / f"{scene[1]}{scene[0]}.npy"


def _versions(frames: NDArray[np.uint8], seed: int, encoder: FrameEncoder) -> NDArray[np.float32]:
    """(N, S, H, W, 3) to the features of all versions (V, N, S, width)."""
    flat = frames.reshape(-1, *frames.shape[2:])
    seen = [flat, mirrored(flat, np.random.default_rng())]
    seen += [as_by_a_camera(flat, np.random.default_rng((seed, version))) for version in range(CAMERAS)]
    encoded = [
        np.concatenate([encoder.encode(some[i : i + CHUNK]) for i in range(0, len(some), CHUNK)]) for some in seen
    ]
    return np.stack(encoded).reshape(len(seen), *frames.shape[:2], -1)


def _seen(frames: NDArray[np.uint8], version: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    if version == 0:
        return mirrored(frames, rng) if rng.random() < 0.5 else frames
    return as_by_a_camera(frames, rng)
