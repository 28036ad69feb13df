"""The note beside extracted features that says how they were made, so that training and detection do the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from msgspec import Meta

from dsanet_cli.config import FRAMES_PER_SNIPPET, EncoderConfig, Frames, Preprocessing
from dsanet_cli.errors import FeatureError, ModelError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.records import Name, PathText, SchemaError, Sha256, decode_exactly, to_json

SIDECAR_FILE = "extraction.json"
LARGEST_SIDECAR = 2**30
"""Bytes; it has a line for each video."""


@dataclass(frozen=True)
class Extraction:
    """How the feature files of a folder were made."""

    encoder: EncoderConfig
    weights_sha256: Sha256
    """Of the image tower's tensors (``tower_sha256``), the same whichever file they came from."""
    preprocessing: Preprocessing
    sampled_frames: Frames
    """Frames encoded of each snippet and averaged."""
    crops: Annotated[tuple[Annotated[int, Meta(ge=0, le=9)], ...], Meta(min_length=1, max_length=10)]
    storage: Literal["float16", "float32"]
    precision: Name
    """Of the encoder: ``fp32``, ``bf16`` or ``fp16``."""
    model: PathText | None = None
    """The model directory whose encoder it was, if it was one's."""
    weights: PathText | None = None
    """The checkpoint file that the encoder came from, if it was one."""
    snippet_frames: Frames = FRAMES_PER_SNIPPET
    schema: Literal[1] = 1


def write_extraction(folder: Path, extraction: Extraction) -> None:
    """Write the sidecar of the features in ``folder``.

    Raises:
        OutputError: the folder cannot be written.
    """
    with atomic_write(folder / SIDECAR_FILE) as stream:
        json.dump(to_json(extraction), stream, indent=2)
        stream.write("\n")


def read_extraction(path: Path) -> Extraction | None:
    """The sidecar in ``path``, a folder, or in the nearest folder above it; None where there is none.

    Raises:
        FeatureError: a sidecar that is damaged.
    """
    for folder in (path, *path.resolve().parents):
        sidecar = folder / SIDECAR_FILE
        if sidecar.exists():
            try:
                return decode_exactly(Extraction, read_regular(sidecar, LARGEST_SIDECAR))
            except (OSError, SchemaError, ModelError) as error:
                raise FeatureError(f"{sidecar}: damaged ({error}); extract the features again") from error
    return None


def tower_sha256(tower: torch.nn.Module) -> str:
    """SHA-256 (hex) over names, shapes and float32 values of a module's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tower.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
