"""Graphs of OpenVINO made from image towers, kept in the user's cache: quantising one takes a minute.

A graph's name is a hash of all that it is made from, so each is made once, whichever model or program it is for::

    <cache>/openvino/<hash>/graph.xml, graph.bin
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from dsanet_cli.encoder import openvino_library
from dsanet_cli.encoder.calibration import SHEET
from dsanet_cli.encoder.graph_maker import GRAPH, JOB, Job
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import UsageError
from dsanet_cli.files.swap import draft_of

RECIPE = 1
"""To be raised when graphs are made in another way."""
COMMAND = (sys.executable, "-P", "-m", "dsanet_cli.encoder.graph_maker")
PATIENCE = 1800.0
"""Seconds to wait for another process that makes graphs."""


@dataclass(frozen=True)
class KeptGraph:
    """A graph that was read, and what to tell of where it came from."""

    graph: Any
    notice: str | None = None


def graph_of(job: Job, accept: Callable[[Any], None]) -> KeptGraph:
    """The graph for a job, from the cache or made anew.

    Args:
        job: What it is made from.
        accept: Is called with a graph that was just made, before it is kept, and raises where it is no good.

    Raises:
        UsageError: OpenVINO cannot take the tower, or what ``accept`` raises.
    """
    started = time.monotonic()
    try:
        place = cache_folder() / graph_key(job)
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.parent / ".lock", timeout=PATIENCE):
            if (kept := _read_kept(place)) is not None:
                return KeptGraph(kept)
            graph = _make_in(place, job, accept)
    except (OSError, NotImplementedError) as error:  # a full disk, a home of others, a lock that does not come
        with tempfile.TemporaryDirectory(prefix="dsanet-") as folder:
            graph = _made(Path(folder), job, accept)
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return KeptGraph(graph, f"{_what(job)} was made for this run alone, since it cannot be kept ({reason})")
    seconds = time.monotonic() - started
    return KeptGraph(graph, f"{_what(job)} was made in {seconds:.0f} s, and is kept in {place} for other runs")


def cache_folder() -> Path:
    """Where graphs are kept.

    Raises:
        OSError: there is no home folder: an unknown user, as in a container.
    """
    try:
        return platformdirs.user_cache_path("dsanet") / "openvino"
    except RuntimeError as error:
        raise OSError(str(error)) from error


def graph_key(job: Job) -> str:
    """A hash (hex) of all that makes a difference to the graph: the tower, what it is given, and the versions."""
    said = (RECIPE, openvino_library.versions(), job.quantised, tuple(job.images.shape[1:]), repr(job.tower))
    digest = hashlib.sha256(f"{said} {tower_sha256(job.tower)}".encode())
    if job.quantised:
        digest.update(SHEET.read_bytes())
        digest.update(job.images[0].numpy().tobytes())  # which knows of the mean and deviation
    return digest.hexdigest()


def _read_kept(place: Path) -> Any | None:
    if not (place / GRAPH).exists():
        return None
    try:
        return openvino_library.core().read_model(place / GRAPH)
    except RuntimeError:  # damaged
        return None


def _make_in(place: Path, job: Job, accept: Callable[[Any], None]) -> Any:
    with _draft(place) as draft:
        graph = _made(draft, job, accept)
        shutil.rmtree(place, ignore_errors=True)  # damaged, if it is there
        draft.rename(place)
    return graph


@contextlib.contextmanager
def _draft(place: Path) -> Iterator[Path]:
    draft = draft_of(place)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _made(folder: Path, job: Job, accept: Callable[[Any], None]) -> Any:
    """Let another process make the graph in ``folder``, and read it without holding on to its files."""
    with (folder / JOB).open("wb") as stream:
        pickle.dump(job, stream)
    done = subprocess.run(
        [*COMMAND, str(folder)],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    (folder / JOB).unlink(missing_ok=True)
    if done.returncode or not (folder / GRAPH).exists():
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UsageError(f"OpenVINO cannot take this encoder ({said}); use --precision bf16 or auto, on --device cpu")
    graph = openvino_library.core().read_model(folder / GRAPH, config={"ENABLE_MMAP": False})
    accept(graph)
    return graph


def _what(job: Job) -> str:
    return "the int8 encoder" if job.quantised else "the encoder for OpenVINO"
