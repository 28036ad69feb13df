"""One actor of a batch on a Ray cluster, as ``ray_driver`` starts it."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Thread

import torch

from dsanet_cli.detect.runner import Runner
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.errors import DsanetError, UsageError
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.timeline.timeline import Timeline
from dsanet_cli.version import __version__
from dsanet_cli.video.messages import Message

ATTENTION = 1.0
"""Seconds until something that waits for a video takes notice of a failure."""


class DeviceLostError(Exception):
    """The device of an actor failed; it may work again in a new process."""


class RayActor:
    """The actor: a ``Runner`` that is given one source a call, several calls at a time.

    Args:
        settings: What to do.
        folder: The driver's current folder, which relative paths start from.
        cores: Of this actor.
        goes_on: Whether it goes on on the CPU when its device fails. If not, it fails too, since the device may work
            again in a new process.
    """

    def __init__(self, settings: RunnerSettings, folder: str, cores: int, goes_on: bool) -> None:
        self._settings = settings
        self._folder = folder
        self._cores = cores
        self._goes_on = goes_on
        self._runner: Runner
        self._videos: queue.SimpleQueue[Source] = queue.SimpleQueue()
        self._results: dict[Source, Future[Timeline | DsanetError]] = {}
        self._failure: BaseException | None = None

    def load(self, version: str, relative: bool, videos: bool) -> str | DsanetError:
        """Get ready; a line on what analyses here.

        Args:
            version: The driver's.
            relative: Whether there are relative paths.
            videos: Whether there are other sources than feature files.
        """
        try:
            if version != __version__:
                raise UsageError(f"dsanet {__version__} is installed here, and {version} where the run was started")
            self._enter_folder(relative)
            if self._cores:
                torch.set_num_threads(self._cores)
            self._runner = Runner(self._settings)
            if videos:
                self._runner.load_encoder()
        except DsanetError as error:
            return error
        if videos:
            Thread(target=self._run, name="videos", daemon=True).start()
        return self._runner.describe()

    def analyse(self, source: Source, skip_done: bool) -> Timeline | DsanetError:
        """Analyse a source and write its result, unless there is one that stands."""
        if (settled := self._runner.settled(source, skip_done)) is not None:
            return settled
        result = self._results[source] = Future()
        if is_feature_file(source.path):
            self._runner.run([source], self._watch, self._report)
        else:
            self._videos.put(source)
        while True:
            try:
                return result.result(timeout=ATTENTION)
            except TimeoutError:
                if self._failure is not None:
                    raise self._failure from None

    def _enter_folder(self, needed: bool) -> None:
        try:
            os.chdir(self._folder)
        except OSError as error:
            if needed:
                raise UsageError(
                    f"{self._folder}: not there ({error.strerror}); start the run in a folder that all machines share, "
                    "or name the inputs with absolute paths"
                ) from error

    def _run(self) -> None:
        try:
            self._runner.run_videos(self._arriving(), self._watch, self._report)
        except BaseException as error:  # the calls that wait raise it
            self._failure = error

    def _arriving(self) -> Iterator[Source | None]:
        while True:
            try:
                yield self._videos.get(timeout=ATTENTION)
            except queue.Empty:
                yield None

    def _report(self, source: Source, result: Timeline | DsanetError) -> None:
        self._results.pop(source).set_result(result)

    def _watch(self, source: Source, message: Message) -> None:  # noqa: ARG002  (as any ``Watch``)
        """Stop once the device has failed; how far a video is, actors do not report."""
        failure = self._runner.device_failure
        if failure is not None and not self._goes_on:
            raise DeviceLostError(failure)
