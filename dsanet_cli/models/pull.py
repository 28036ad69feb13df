"""A real model in one command: the authors' checkpoint, or a mirror of it, fetched, checked and imported."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from dsanet_cli.config import Origin
from dsanet_cli.errors import DsanetError, ModelError, OutputError, UsageError
from dsanet_cli.models.directory import check_free
from dsanet_cli.models.fetch import Progress, Remote, fetch, file_sha256
from dsanet_cli.models.folders import CHECKPOINT_SUFFIXES, list_models, read_config, user_models_folder
from dsanet_cli.models.presets import PRESETS
from dsanet_cli.models.published import Imported, import_checkpoint

AUTHORS_FOLDER = "1PqvaNm_s-fOOrnJRqrG50zV2R2UqRwHK"
"""The Google Drive folder that DSANet's authors publish their checkpoints in."""
AUTHORS_PAGE = f"https://drive.google.com/drive/folders/{AUTHORS_FOLDER}"
DRIVE_FILE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
"""Returns a large file at once; the link in the folder first asks to confirm that it was not scanned for viruses."""
HUGGING_FACE = "hf://"
LISTING_TIMEOUT = 30.0
"""Seconds."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

List = Callable[[], list[Remote]]


@dataclass(frozen=True)
class Pulled:
    """A model that is ready, and whether this call fetched it."""

    model: Imported
    fetched: bool


def list_authors_folder() -> list[Remote]:
    """The files that the authors publish.

    Raises:
        ModelError: the folder cannot be listed.
    """
    import gdown  # noqa: PLC0415  (slow, and nothing else wants it)
    from gdown.exceptions import DownloadError  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        found: list[Any] = gdown.download_folder(
            id=AUTHORS_FOLDER, skip_download=True, quiet=True, use_cookies=False, timeout=LISTING_TIMEOUT
        )
    except (DownloadError, RequestException) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{AUTHORS_PAGE}: cannot be listed ({reason}); open it in a browser, download the checkpoint, "
            "and run: dsanet models import FILE"
        ) from error
    return [Remote(DRIVE_FILE + file.id, Path(file.path).name, AUTHORS_PAGE) for file in found]


def pull(
    target: str,
    progress: Callable[[Remote], Progress],
    sha256: str | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    listing: List = list_authors_folder,
) -> Pulled:
    """Fetch a published checkpoint, check it and import it, unless that was done before.

    Args:
        target: ``ucf-crime`` or ``xd-violence``, from the authors; or the ``http(s)://`` or
            ``hf://owner/repository/file`` address of a checkpoint.
        progress: Makes the callback for the progress of a file.
        sha256: The hash to check (hex).
        output: Directory to write; None takes the data set's name among the user's models.
        overwrite: Fetch again, and replace the model that is there.
        listing: Lists the authors' folder.

    Raises:
        UsageError: neither a data set nor an address, or something that is no SHA-256.
        ModelError: the file cannot be fetched, has another hash, or is no published checkpoint.
        OutputError: something cannot be written, or another model of that name exists.
    """
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise UsageError(f"--sha256 {sha256}: not 64 hexadecimal digits")
    preset = target if target in PRESETS else None
    if not overwrite and (known := _there_already(target, sha256, output)) is not None:
        return Pulled(known, fetched=False)
    if (directory := output or (user_models_folder() / preset if preset else None)) is not None:
        check_free(directory, overwrite)
    candidates = _candidates(preset, listing()) if preset is not None else [_address(target)]
    return Pulled(_first_that_fits(candidates, preset, progress, sha256, output, overwrite), fetched=True)


def _first_that_fits(
    candidates: list[Remote],
    preset: str | None,
    progress: Callable[[Remote], Progress],
    sha256: str | None,
    output: Path | None,
    overwrite: bool,
) -> Imported:
    """Import the first file that is a checkpoint of the data set; its name alone does not prove it."""
    faults: list[DsanetError] = []
    for remote in candidates:
        file = fetch(remote, downloads_folder(), progress(remote), sha256)
        try:
            imported = import_checkpoint(file, output, preset, overwrite, Origin(remote.url, file_sha256(file)))
        except ModelError as error:
            faults.append(error)
            file.unlink(missing_ok=True)  # it is none
        except OutputError as error:
            raise OutputError(
                f"{error}; the download is kept, turn it into a model with: dsanet models import {file}"
            ) from error
        else:
            file.unlink(missing_ok=True)  # the model directory holds all that was in it
            return imported
    raise faults[0]


def downloads_folder() -> Path:
    """Where downloads are until they are complete."""
    return platformdirs.user_cache_path("dsanet") / "downloads"


def _candidates(preset: str, files: list[Remote]) -> list[Remote]:
    """Checkpoints in the folder, those named after the data set first.

    Raises:
        ModelError: there are none.
    """
    word = preset.partition("-")[0]
    checkpoints = [file for file in files if Path(file.name).suffix.lower() in CHECKPOINT_SUFFIXES]
    if not checkpoints:
        raise ModelError(
            f"{AUTHORS_PAGE}: no checkpoint is there any more; look for it at https://github.com/lessiYin/DSANet, "
            "and run: dsanet models import FILE"
        )
    others = [other.partition("-")[0] for other in PRESETS if other != preset]
    return sorted(
        checkpoints,
        key=lambda file: (word not in file.name.lower(), any(other in file.name.lower() for other in others)),
    )


def _address(target: str) -> Remote:
    """The file at an address.

    Raises:
        UsageError: it is none.
    """
    if target.startswith(HUGGING_FACE):
        owner, _, rest = target.removeprefix(HUGGING_FACE).partition("/")
        repository, _, file = rest.partition("/")
        if not (owner and repository and file):
            raise UsageError(f"{target}: write hf://owner/repository/file")
        from huggingface_hub import hf_hub_url  # noqa: PLC0415  (slow, and nothing else here wants it)

        url = hf_hub_url(f"{owner}/{repository}", file)
        return Remote(url, _file_name(file), url)
    parts = urllib.parse.urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(
            f"{target}: neither {' nor '.join(PRESETS)}, nor an address such as https://host/model_ucf.pth "
            "or hf://owner/repository/file"
        )
    return Remote(target, _file_name(parts.path), target)


def _file_name(path: str) -> str:
    """A plain file name for the local copy, without a path."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.rpartition("/")[2]).lstrip(".") or "checkpoint.pth"


def _there_already(target: str, sha256: str | None, output: Path | None) -> Imported | None:
    """The model that an earlier pull of the same target made."""
    if target in PRESETS:
        directories = [output or user_models_folder() / target]
    else:
        url = _address(target).url
        directories = [output] if output is not None else list_models()
    for directory in directories:
        try:
            config = read_config(directory)
        except DsanetError:
            continue
        origin = config.origin
        if origin is None or (sha256 is not None and origin.sha256 != sha256.lower()):
            continue
        if target in PRESETS or origin.url == url:
            name = directory.name if output is None else str(output)
            return Imported(directory, str(config.training.get("data", "")), name)
    return None
