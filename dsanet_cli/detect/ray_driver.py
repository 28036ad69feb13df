"""One batch on many machines: actors on a Ray cluster take one video after the other and write their results.

The machines share the inputs, and the output folder or URL. When an actor dies, its videos go to the other actors, and
a new one is started in its place.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ray
from ray.exceptions import RayError, RayTaskError

from dsanet_cli.console import unexpected
from dsanet_cli.detect.ray_actor import DeviceLostError, RayActor
from dsanet_cli.detect.runner import Report
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.errors import DsanetError, UsageError
from dsanet_cli.files.folders import absolute
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.names import printable
from dsanet_cli.pipeline.pipeline import Watch
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.version import __version__
from dsanet_cli.video.messages import Opened

CORE_GROUP = 4
"""Cores of an actor on machines without a GPU; ``--jobs`` sets another number."""
ATTEMPTS = 3
"""Actors that may die while they analyse a video before that is given up."""
CONNECT_TIMEOUT = 10.0
"""Seconds."""
DEVICE_ATTEMPTS = 2
"""Devices that may fail in a row, without a result in between, before the next actor works on the CPU."""
PATIENCE = 20.0
"""Seconds without any actor after which a line says so."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class Share:
    """What one actor takes of a machine."""

    cores: int
    gpus: int
    instead: bool = False
    """Whether it works on the CPU because its GPU fails again and again."""


def shares(machines: Iterable[tuple[int, int]], device: str, jobs: int | None) -> list[Share]:
    """What the actors of a cluster take.

    There is one for each GPU or, where there is none or the device is ``cpu``, for a group of cores.

    Args:
        machines: (cores, GPUs) of each.
        device: As for ``detect``.
        jobs: Cores of a group; None for the usual number.
    """
    with_gpu, groups = [], []
    for cores, gpus in machines:
        if gpus:
            with_gpu += [Share(cores // gpus, 1)] * gpus
        if cores:
            size = min(jobs or CORE_GROUP, cores)
            groups += [Share(size, 0)] * (cores // size)
    return groups if device == "cpu" or not with_gpu else with_gpu


def run_on_ray(
    work: RunnerSettings, skip_done: bool, sources: Sequence[Source], watch: Watch, report: Report, log: Log
) -> None:
    """Analyse videos and feature files on the Ray cluster of this machine, or on the one that RAY_ADDRESS names.

    Args:
        work: What to do; paths are those of the shared file system.
        skip_done: Keep results that stand.
        sources: To be analysed.
        watch: Is called when an actor takes a source.
        report: Is called with the result of each source.
        log: Prints a line for the person who watches.

    Raises:
        UsageError: no cluster, settings that do not go with one, or no actor can work.
        DsanetError: no actor can work for another reason.
    """
    if work.output is None:
        raise UsageError("--engine ray: the actors write files; name a folder with --output")
    if work.detect.device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--engine ray: an actor has one GPU of its own; use --device cuda, not {work.detect.device}")
    _connect()
    try:
        machines = [
            (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()  # type: ignore[no-untyped-call]
            if node["Alive"]
        ]
        parts = shares(machines, work.detect.device, work.pipeline.jobs)
        if not parts:
            raise UsageError("--engine ray: no machine of the cluster offers cores")
        log(f"engine ray: {len(parts)} actor{'s' * (len(parts) > 1)}")
        batch = _ClusterBatch(_anywhere(work), skip_done, sources, watch, report, log)
        batch.run(parts[: len(sources)])
    finally:
        ray.shutdown()  # ends the actors


def _connect() -> None:
    try:
        _check_reachable(os.environ.get("RAY_ADDRESS", ""))
        with _same_handler(signal.SIGTERM):
            ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(
            "--engine ray: there is no cluster; start one with ray start --head, or name one with RAY_ADDRESS"
        ) from error


@contextlib.contextmanager
def _same_handler(number: signal.Signals) -> Iterator[None]:
    """Keep what the program does on a signal, which Ray changes in the main thread."""
    handler = signal.getsignal(number)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(number, handler)


def _check_reachable(address: str) -> None:
    """Make sure that something answers at ``host:port`` or ``ray://host:port``; Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    place = urlsplit(address if "://" in address else f"//{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), CONNECT_TIMEOUT).close()


def _anywhere(work: RunnerSettings) -> RunnerSettings:
    """The same settings with absolute paths."""
    weights = work.detect.encoder_weights
    return replace(
        work,
        output=work.output and absolute(work.output),
        model=os.path.abspath(work.model) if Path(work.model).exists() else work.model,
        classes=work.classes and work.classes.absolute(),
        profile=work.profile and work.profile.absolute(),
        detect=replace(work.detect, encoder_weights=weights and weights.absolute()),
    )


class _ClusterBatch:
    """The driver: hands out sources, collects results and errors, replaces actors that die."""

    def __init__(
        self,
        work: RunnerSettings,
        skip_done: bool,
        sources: Sequence[Source],
        watch: Watch,
        report: Report,
        log: Log,
    ) -> None:
        self._work = work
        self._skip_done = skip_done
        self._waiting = deque(sources)
        self._relative = not all(source.path.is_absolute() for source in sources)
        self._videos = not all(is_feature_file(source.path) for source in sources)
        self._left = len(sources)
        self._lost: Counter[Source] = Counter()
        self._watch = watch
        self._report = report
        self._log = log
        self._starting: dict[Any, tuple[Any, Share]] = {}
        """By the reference of its first call, an actor and its share."""
        self._rooms: dict[Any, tuple[Share, int]] = {}
        """Of each actor that works, its share and how many more calls it takes."""
        self._calls: dict[Any, tuple[Any, Source]] = {}
        """By the reference of a call, its actor and source."""
        self._descriptions: set[str] = set()
        self._succeeded = 0
        self._devices_lost = 0
        """Since the last result."""

    def run(self, parts: Iterable[Share]) -> None:
        for share in parts:
            self._start(share)
        patient = False
        while self._left:
            self._hand_out()
            done, _ = ray.wait([*self._starting, *self._calls], num_returns=1, timeout=PATIENCE)
            if not done and not self._rooms and not patient:
                self._log("waiting for the cluster: its cores or GPUs are taken, or their machines are gone")
                patient = True
            for reference in done:
                if reference in self._starting:
                    self._loaded(reference)
                elif reference in self._calls:  # not given up together with its actor
                    self._answered(reference)

    def _start(self, share: Share) -> None:
        jobs = self._jobs(share)
        pipeline = replace(self._work.pipeline, jobs=jobs, cores=max(1, share.cores))
        detect = replace(self._work.detect, device="cpu") if share.instead else self._work.detect
        actor: Any = (
            ray.remote(RayActor)
            .options(num_cpus=share.cores, num_gpus=share.gpus, max_concurrency=jobs + 1)
            .remote(replace(self._work, detect=detect, pipeline=pipeline), os.getcwd(), share.cores, share.instead)
        )
        self._starting[actor.load.remote(__version__, self._relative, self._videos)] = actor, share

    def _jobs(self, share: Share) -> int:
        return self._work.pipeline.jobs or max(1, share.cores)

    def _hand_out(self) -> None:
        actors = len(self._rooms) + len(self._starting)
        for actor, (share, room) in self._rooms.items():
            given = min(room, math.ceil(len(self._waiting) / actors))
            for _ in range(given):
                source = self._waiting.popleft()
                self._watch(source, Opened(0.0))
                self._calls[actor.analyse.remote(source, self._skip_done)] = actor, source
            self._rooms[actor] = share, room - given

    def _loaded(self, reference: Any) -> None:
        actor, share = self._starting.pop(reference)
        try:
            answer = ray.get(reference)
        except RayError as error:
            reason = str(error).strip().splitlines()[-1]
            answer = UsageError(f"--engine ray: an actor cannot start ({reason}); install dsanet-cli on all machines")
        if isinstance(answer, DsanetError):
            if self._devices_lost and not share.instead:  # what worked before does so without its GPU
                self._log(f"{answer}; it is replaced by one on the CPU")
                self._start(replace(share, gpus=0, instead=True))
                return
            if not self._rooms and not self._starting:
                raise answer
            self._log(f"an actor is missing: {answer}")
            return
        if answer not in self._descriptions:
            self._descriptions.add(answer)
            self._log(answer)
        # One more than it decodes at once, so that it need not wait for the next.
        self._rooms[actor] = share, self._jobs(share) + 1

    def _answered(self, reference: Any) -> None:
        actor, source = self._calls[reference]
        try:
            result = ray.get(reference)
        except RayTaskError as error:
            if isinstance(error.cause, DeviceLostError):
                self._devices_lost += 1
                self._replace(actor, f"its device failed: {error.cause}")
                return
            cause = error.cause if isinstance(error.cause, DsanetError) else unexpected(source.path, error.cause)
            if self._succeeded == 0:  # no actor would fare better
                raise cause from error
            self._replace(actor, str(cause))
            return
        except RayError:
            self._replace(actor, "it ended")
            return
        if isinstance(result, Timeline):
            self._succeeded += 1
            self._devices_lost = 0
        del self._calls[reference]
        share, room = self._rooms[actor]
        self._rooms[actor] = share, room + 1
        self._conclude(source, result)

    def _replace(self, actor: Any, reason: str) -> None:
        """Start an actor in place of one that died, and hand out its videos again."""
        share, _ = self._rooms.pop(actor)
        ray.kill(actor)  # it may only be out of reach
        lost = [reference for reference, (owner, _) in self._calls.items() if owner == actor]
        sources = [self._calls.pop(reference)[1] for reference in lost]
        names = ", ".join(printable(source.path) for source in sources)
        self._log(f"an actor died ({reason}); its videos go to the others: {names}")
        for source in sources:
            self._lost[source] += 1
            if self._lost[source] < ATTEMPTS:
                self._waiting.append(source)
            else:
                ending = f"{ATTEMPTS} actors died while analysing it; try it alone, without --engine"
                self._conclude(source, DsanetError(f"{source.path}: {ending}"))
        if self._devices_lost >= DEVICE_ATTEMPTS and not share.instead:
            self._log("its device fails again and again; the next actor works on the CPU")
            share = replace(share, gpus=0, instead=True)
        self._start(share)

    def _conclude(self, source: Source, result: Timeline | DsanetError) -> None:
        self._left -= 1
        self._report(source, result)
