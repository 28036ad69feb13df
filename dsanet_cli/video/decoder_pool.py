"""Several videos decoded at once, each in a process of its own: a decoder that crashes or hangs costs its video only.

One thread for each process hands it jobs, receives its snippets and starts another process where one has died;
a watchdog kills those that stall. All snippets meet in one queue of limited length.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from dsanet_cli.errors import VideoError
from dsanet_cli.text import format_time
from dsanet_cli.video.container import video_error
from dsanet_cli.video.messages import Alive, DecodeJob, Finished, Message, Scanned, Start, Wanted
from dsanet_cli.video.reader import Snippet

COMMAND = (sys.executable, "-P", "-m", "dsanet_cli.video.decoder_process")
WATCH_INTERVAL = 0.25
"""Seconds between looks at who stalls."""
IDLE_AFTER = 0.02
"""Seconds without a message after which the caller is told so."""


class DecoderEnded(Exception):
    """A decoder process ended, or was killed because it stalled."""


class DecoderProcess:
    """One decoder process, as its thread sees it; ``command`` starts it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dsanet-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError:
            self._folder.cleanup()
            raise
        self.waiting = False
        """Whether its thread waits for a message."""
        self.silence = 0.0
        """Seconds it has waited, by the watchdog's count: what stops the whole program stops the count, too."""
        self.stalled = False
        with contextlib.suppress(DecoderEnded):  # which the first job finds out, too
            self.send(Start(self._folder.name))

    def send(self, message: Start | DecodeJob | Wanted) -> None:
        """Hand over a job, or the answer it waits for.

        Raises:
            DecoderEnded: the process has ended.
        """
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise DecoderEnded from error

    def receive(self) -> Message | Alive:
        """Wait for the next message.

        Raises:
            DecoderEnded: the process has ended without one.
        """
        assert self._process.stdout is not None
        self.silence, self.waiting = 0.0, True
        try:
            message: Message | Alive = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise DecoderEnded from error
        finally:
            self.waiting = False
        return message

    def kill(self) -> None:
        """End the process at once, also a frozen one; its thread then finds out. From any thread."""
        self._process.kill()

    def end(self) -> int:
        """Wait for the end of a process that has ended of its own, or is about to, and tidy up; its exit status.

        Only from the thread that receives: a pipe that is closed while another thread reads takes that one along.
        """
        try:
            status = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        self._folder.cleanup()
        return status


class Task:
    """A job in the pool; the caller's own kinds of task derive from this."""

    def __init__(self, job: DecodeJob) -> None:
        self.job = job
        self.cancelled = threading.Event()
        self._answer: queue.SimpleQueue[Wanted] = queue.SimpleQueue()

    def answer(self, wanted: Wanted) -> None:
        """Name the snippets to decode after ``Scanned``; the decoder waits for this, or for ``cancel``."""
        self._answer.put(wanted)

    def cancel(self) -> None:
        """Give the video up: nothing more is decoded, and few messages still come."""
        self.cancelled.set()

    def wait_for_answer(self, timeout: float) -> Wanted | None:
        """The answer, None after ``timeout`` seconds without one."""
        try:
            return self._answer.get(timeout=timeout)
        except queue.Empty:
            return None


T = TypeVar("T", bound=Task)


class DecoderPool(Generic[T]):
    """Processes that decode, at most ``processes`` at once.

    Args:
        processes: Videos decoded at once.
        stall_timeout: Seconds without a sign of life after which a decoder is given up.
        depth: Snippets that wait for the caller at most, of all videos together.
        command: What starts a decoder process.
    """

    def __init__(self, processes: int, stall_timeout: float, depth: int, command: tuple[str, ...] = COMMAND) -> None:
        self._stall_timeout = stall_timeout
        self._command = command
        self._ready: queue.Queue[tuple[T, Message] | BaseException | None] = queue.Queue(depth)
        self._decoders: list[DecoderProcess | None] = [None] * processes
        self._closing = threading.Event()

    def run(self, tasks: Iterable[T | None]) -> Generator[tuple[T, Message] | None, None, None]:
        """Decode all videos; messages of one come in order, and end with ``Finished`` or a ``VideoError``.

        Yields None while there is nothing to do but wait. ``tasks`` are asked for one by one, as decoders
        become free, from other threads than the caller's; they are None while there is none yet.
        """
        source = _SharedTasks(tasks)
        threads = [
            threading.Thread(target=self._serve, args=(place, source), name=f"decoder {place}", daemon=True)
            for place in range(len(self._decoders))
        ]
        for thread in threads:
            thread.start()
        threading.Thread(target=self._watch, args=(threads,), name="watchdog", daemon=True).start()
        running = len(threads)
        try:
            while running:
                try:
                    message = self._ready.get(timeout=IDLE_AFTER)
                except queue.Empty:
                    yield None
                    continue
                if message is None:
                    running -= 1
                elif isinstance(message, BaseException):
                    raise message
                else:
                    yield message
        finally:
            self._abandon(threads)

    def _abandon(self, threads: list[threading.Thread]) -> None:
        """End all processes, and the threads too if the caller stopped early."""
        self._closing.set()
        self._kill_all()
        while any(thread.is_alive() for thread in threads):
            with contextlib.suppress(queue.Empty):
                self._ready.get(timeout=0.05)  # makes room, in case a thread waits for it
            self._kill_all()
        for decoder in filter(None, self._decoders):
            decoder.end()

    def _kill_all(self) -> None:
        for decoder in filter(None, self._decoders):
            decoder.kill()

    def _serve(self, place: int, source: _SharedTasks[T]) -> None:
        """Decode one video after the other in the process at ``place``."""
        if hasattr(signal, "pthread_sigmask"):
            # Inherited by the decoders: what a terminal or scheduler sends to all is for this process, which ends them.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        try:
            for task in source:
                if task is not None:
                    for message in self._decode(place, task):
                        self._ready.put((task, message))
                if self._closing.is_set():
                    break
            self._ready.put(None)
        except BaseException as error:  # the program's fault, so it belongs to the caller
            self._ready.put(error)

    def _decode(self, place: int, task: T) -> Iterator[Message]:
        decoder = self._decoders[place]
        if decoder is None:
            try:
                decoder = self._decoders[place] = DecoderProcess(self._command)
            except OSError as error:
                yield video_error(task.job.path, f"no decoder can be started ({error.strerror}); try fewer --jobs")
                return
        end = 0.0
        try:
            decoder.send(task.job)
            while not task.cancelled.is_set():
                message = decoder.receive()
                if isinstance(message, Alive):
                    continue
                if isinstance(message, Snippet):
                    end = message.end
                yield message
                if isinstance(message, VideoError | Finished):
                    return
                if isinstance(message, Scanned) and (wanted := self._answer_to(task)) is not None:
                    decoder.send(wanted)
            decoder.kill()  # the quickest way to make it stop
            self._decoders[place] = None
            decoder.end()
        except DecoderEnded:
            self._decoders[place] = None
            yield self._failure(decoder, task.job.path, end)

    def _answer_to(self, task: T) -> Wanted | None:
        """What the caller wants of a scan; None if it gave up the video, or all of them."""
        while not task.cancelled.is_set():
            if self._closing.is_set():
                task.cancel()
            elif (wanted := task.wait_for_answer(WATCH_INTERVAL)) is not None:
                return wanted
        return None

    def _failure(self, decoder: DecoderProcess, path: Path, end: float) -> VideoError:
        where = f"after {format_time(end)}" if end else "at its start"
        status = decoder.end()
        if decoder.stalled:
            fault = f"the decoder made no progress for {self._stall_timeout:g} s, {where}"
        else:
            how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
            fault = f"the decoder crashed {where} ({how})"
        return video_error(path, f"{fault}; copy the file again, or re-encode it")

    def _watch(self, threads: list[threading.Thread]) -> None:
        while any(thread.is_alive() for thread in threads):
            time.sleep(WATCH_INTERVAL)
            for decoder in filter(None, self._decoders):
                if decoder.waiting:
                    decoder.silence += WATCH_INTERVAL
                    if decoder.silence > self._stall_timeout:
                        decoder.stalled = True
                        decoder.kill()


class _SharedTasks(Generic[T]):
    """An iterator that several threads take from."""

    def __init__(self, tasks: Iterable[T | None]) -> None:
        self._tasks = iter(tasks)
        self._lock = threading.Lock()

    def __iter__(self) -> _SharedTasks[T]:
        return self

    def __next__(self) -> T | None:
        with self._lock:
            return next(self._tasks)
