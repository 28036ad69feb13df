"""The folder that ``extract`` fills: names of feature files, which are done, and the sidecar that describes all."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.encoder.choices import TEN_CROPS
from dsanet_cli.errors import FeatureError, OutputError, UsageError
from dsanet_cli.features.files import open_array
from dsanet_cli.features.sidecar import (
    SIDECAR_FILE,
    Extraction,
    read_extraction,
    said_region,
    sidecar_lock,
    write_extraction,
)
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.sources import FEATURE_SUFFIX

_FEATURE_NAME = re.compile(rf"__(?P<crop>[0-9]){re.escape(FEATURE_SUFFIX)}$")
_SETTINGS: dict[str, Callable[[Extraction], object]] = {
    "encoder": lambda made: made.encoder.architecture,
    "encoder configuration": lambda made: made.encoder.custom,
    "encoder weights of SHA-256": lambda made: made.weights_sha256,
    "resize to (height, width)": lambda made: made.preprocessing.resize,
    "crop to (height, width)": lambda made: made.preprocessing.crop,
    "mean and deviation": lambda made: (made.preprocessing.mean, made.preprocessing.std),
    "frames per snippet": lambda made: made.sampled_frames,
    "snippet length": lambda made: made.snippet_frames,
    "seconds per snippet": lambda made: made.snippet_seconds,
    "storage": lambda made: made.storage,
    "precision": lambda made: made.precision,
    "--stream": lambda made: made.stream,
    "region": lambda made: said_region(made.region),
    "mask of SHA-256": lambda made: made.mask,
    "--reuse-still": lambda made: made.reuse_still,
}
"""Settings that all features of a folder share, the most telling first; crops may differ."""

FloatArray = NDArray[np.float32]


def feature_file(folder: Path, relative: Path, crop: int) -> Path:
    """Where the features of one crop of the video ``relative`` lie (protocol: features)."""
    return folder / relative.with_name(f"{relative.name}__{crop}{FEATURE_SUFFIX}")


def crop_of(path: Path) -> int | None:
    """The crop in a feature file's name; None where there is none."""
    match = _FEATURE_NAME.search(path.name)
    return int(match["crop"]) if match else None


def name_of(relative: Path) -> str:
    """What the sidecar calls the video of a feature file, given the file's path below the sidecar's folder."""
    stem = _FEATURE_NAME.sub("", relative.name).removesuffix(FEATURE_SUFFIX)
    return relative.with_name(stem or relative.name).as_posix()


def is_whole(path: Path, shape: tuple[int, int], storage: str) -> bool:
    """Whether ``path`` opens and holds finite numbers of this shape (N, D) and type."""
    try:
        array = open_array(path)
    except (OSError, ValueError):
        return False
    if array.dtype != np.dtype(storage) or array.shape != shape:
        return False
    return bool(np.isfinite(array).all())


def write_features(paths: Sequence[Path], features: FloatArray, storage: str) -> None:
    """Write the features (N, crops, D) of a video, one of ``paths`` per crop.

    Raises:
        FeatureError: a value that ``storage`` cannot hold; nothing is written.
        OutputError: a file cannot be written.
    """
    with np.errstate(over="ignore"):
        stored = features.astype(storage)
    if not np.isfinite(stored).all():
        raise FeatureError(
            f"{paths[0]}: not written, its features are not finite in {storage}; "
            "use --storage fp32 with --precision fp32"
        )
    for number, path in enumerate(paths):
        with atomic_write(path, "wb") as stream:
            np.save(stream, stored[:, number], allow_pickle=False)


def claim_folder(folder: Path, extraction: Extraction, relatives: Iterable[Path], overwrite: bool) -> None:
    """Write the sidecar of ``folder``, if it is true of every feature file there.

    Files of other settings, or of unknown ones, are in the way, unless ``overwrite`` is set and they belong to
    the videos ``relatives``, which are redone: they are removed at once, so that none is taken for done later.

    Raises:
        UsageError: names the setting that differs, and the way out.
        FeatureError: a sidecar that is damaged.
        OutputError: the folder cannot be written.
    """
    with contextlib.suppress(OSError):  # writing the sidecar reports it
        folder.mkdir(parents=True, exist_ok=True)
    with sidecar_lock(folder):
        write_extraction(folder, _claimed(folder, extraction, relatives, overwrite))


def _claimed(folder: Path, extraction: Extraction, relatives: Iterable[Path], overwrite: bool) -> Extraction:
    """The sidecar to write: what is asked for, with what stays true of the features that are there."""
    known = _read_sidecar(folder, overwrite)
    fault = f"have no {SIDECAR_FILE} beside them" if known is None else _difference(known, extraction)
    if known is not None and not fault:
        crops = tuple(sorted({*known.crops, *extraction.crops}))
        return dataclasses.replace(extraction, crops=crops, videos=known.videos)
    if others := sorted(path for path in folder.rglob(f"*{FEATURE_SUFFIX}") if crop_of(path) is not None):
        if not overwrite:
            raise UsageError(
                f"{folder}: the features there {fault}; choose another --output, or redo them with --overwrite"
            )
        own = {feature_file(folder, name, crop) for name in relatives for crop in TEN_CROPS}
        if left := [path for path in others if path not in own]:
            raise UsageError(
                f"{folder}: features of other videos there, such as {left[0].name}, {fault}, "
                "and --overwrite leaves those; choose another --output"
            )
        _remove(others)
    return extraction


def _read_sidecar(folder: Path, overwrite: bool) -> Extraction | None:
    if not (folder / SIDECAR_FILE).is_file():
        return None  # one in a folder above describes other features
    try:
        return read_extraction(folder)
    except FeatureError:
        if overwrite:
            return None
        raise


def _difference(known: Extraction, wanted: Extraction) -> str:
    """In which setting the features differ, as words after "the features"; empty where they do not."""
    for name, value in _SETTINGS.items():
        if value(known) != value(wanted):
            return f"were made with {name} {value(known)}, not {value(wanted)}"
    return ""


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: cannot be replaced ({error.strerror}); choose another --output") from error
