"""Where models lie and what they say of themselves: found, listed and read without torch."""

from __future__ import annotations

import contextlib
import difflib
import glob
import os
from pathlib import Path

import platformdirs

from dsanet_cli.config import ModelConfig
from dsanet_cli.errors import ModelError, OutputError
from dsanet_cli.files.regular import check_inside, read_regular
from dsanet_cli.files.swap import recover, recover_all
from dsanet_cli.models.presets import PRESETS
from dsanet_cli.records import SchemaError, decode_exactly

CONFIG_FILE = "config.json"
BUILT_IN_MODEL = "street"
LARGEST_CONFIG = 16 * 2**20
"""Bytes; a thousand classes with a hundred prompts each stay below."""
CHECKPOINT_SUFFIXES = (".pth", ".pt")


def models_folders() -> tuple[Path, ...]:
    """Where names are looked up, in order: the user's folder, then the models that come with the package.

    ``DSANET_MODELS`` moves the user's folder.
    """
    package = Path(__file__).resolve().parents[1]
    bundled = package / "weights"
    folders = [bundled if bundled.is_dir() else package.parent / "weights"]
    with contextlib.suppress(OutputError):
        folders.insert(0, user_models_folder())
    return tuple(folders)


def user_models_folder() -> Path:
    """Where ``dsanet models import`` and ``dsanet train`` put models that are given by name.

    Raises:
        OutputError: there is no home folder: an unknown user, as in a container.
    """
    if named := os.environ.get("DSANET_MODELS"):
        return Path(named)
    try:
        return platformdirs.user_data_path("dsanet") / "models"
    except RuntimeError as error:
        raise OutputError("no home folder for models; name a folder in the variable DSANET_MODELS") from error


def find_model(name: str | os.PathLike[str]) -> Path:
    """The directory of the model called ``name``, which may be a path itself.

    Raises:
        ModelError: there is no such model.
    """
    candidates = (Path(name), *(folder / name for folder in models_folders()))
    for directory in candidates:
        recover(directory)
        if os.path.exists(directory / CONFIG_FILE):  # unlike Path.exists, no error where a home is not ours to read
            return directory
    raise ModelError(_why_no_model(os.fspath(name)))


def _why_no_model(name: str) -> str:
    """What is wrong with a model's name or path, and what to do."""
    if os.path.isdir(name):
        return f"{name}: not a model directory, it has no {CONFIG_FILE}"
    if name.endswith(CHECKPOINT_SUFFIXES):
        return f"{name}: a checkpoint, not a model directory; turn it into one with dsanet models import {name}"
    if os.path.isfile(name):
        return f"{name}: a file, not a model directory; name the folder that holds {CONFIG_FILE}"
    known = sorted({directory.name for directory in list_models()})
    plain = name.lower().replace("_", "-")
    if plain in PRESETS and plain not in known:
        return f"model {name}: not here yet; bring it with dsanet models pull {plain}"
    close = difflib.get_close_matches(plain, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"model {name}: neither a model directory nor one of: {', '.join(known)}{hint}"


def list_models() -> list[Path]:
    """The directories of all models that can be given by name; hidden ones are drafts."""
    for folder in models_folders():
        recover_all(folder)
    # Unlike Path.glob, no error where a home is not ours to read.
    return sorted(
        (folder / found).parent
        for folder in models_folders()
        for found in glob.glob(f"*/{CONFIG_FILE}", root_dir=folder)
    )


def read_config(directory: Path) -> ModelConfig:
    """The configuration in ``directory``.

    Raises:
        ModelError: it is missing, not JSON, or does not say what a model needs.
    """
    path = directory / CONFIG_FILE
    try:
        check_inside(path, directory)
        return decode_exactly(ModelConfig, read_regular(path, LARGEST_CONFIG))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (SchemaError, ModelError) as error:
        raise ModelError(f"{path}: {error}; bring the model directory again, or update dsanet") from error
