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

from dsanet_cli.errors import VideoError
from dsanet_cli.text import format_time
from dsanet_cli.video.container import video_error
from dsanet_cli.video.messages import Alive, DecodeJob, Message, Wanted
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

COMMAND = (sys.executable, "-P", "-m", "dsanet_cli.video.decoder_process")
WATCH_INTERVAL = 0.25
"""Seconds between looks at who stalls."""
IDLE_AFTER = 0.02
"""Seconds without a message after which the caller is told so."""


class DecoderEnded(Exception):
    """A decoding process ended, or was killed because it stalled."""


class DecoderProcess:
    """One decoding process, as its thread sees it; ``command`` starts it.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: tuple[str, ...]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dsanet-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                [*command, self._folder.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError:
            self._folder.cleanup()
            raise
        self.waiting = False
        """Whether its thread waits for a message."""
        self.silence = 0.0
        """Seconds it has waited, by the watchdog's count: what stops the whole program stops the count, too."""
        self.stalled = False

    def send(self, message: DecodeJob | Wanted) -> None:
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
    """A job in the pool; the caller's own kinds of task derive from this.

    ``answer`` is what a scan waits for after its first pass.
    """

    def __init__(self, job: DecodeJob) -> None:
        self.job = job
        self.answer: queue.SimpleQueue[Wanted] = queue.SimpleQueue()


class DecoderPool:
    """Processes that decode, at most ``processes`` at once.

    Args:
        processes: Videos decoded at once.
        stall_timeout: Seconds without a sign of life after which a decoder is given up.
        depth: Snippets that wait for the caller at most, of all videos together.
        command: What starts a decoding process.
    """

    def __init__(self, processes: int, stall_timeout: float, depth: int, command: tuple[str, ...] = COMMAND) -> None:
        self._stall_timeout = stall_timeout
        self._command = command
        self._ready: queue.Queue[tuple[Task, Message] | BaseException | None] = queue.Queue(depth)
        self._workers: list[DecoderProcess | None] = [None] * processes
        self._closing = threading.Event()

    def run(self, tasks: Iterable[Task | None]) -> Generator[tuple[Task, Message] | None, None, None]:
        """Decode all videos; messages of one come in order, and end with its ``VideoInfo`` or ``VideoError``.

        Yields None while there is nothing to do but wait. ``tasks`` are asked for one by one, as decoders
        become free, from other threads than the caller's; they are None while there is none yet.
        """
        source = _Shared(tasks)
        threads = [
            threading.Thread(target=self._serve, args=(place, source), name=f"decoder {place}", daemon=True)
            for place in range(len(self._workers))
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
        for worker in filter(None, self._workers):
            worker.end()

    def _kill_all(self) -> None:
        for worker in filter(None, self._workers):
            worker.kill()

    def _serve(self, place: int, source: _Shared) -> None:
        """Decode one video after the other in the process at ``place``."""
        if hasattr(signal, "pthread_sigmask"):
            # Inherited by the decoders: Ctrl-C is for this process, which ends them.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
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

    def _decode(self, place: int, task: Task) -> Iterator[Message]:
        worker = self._workers[place]
        if worker is None:
            try:
                worker = self._workers[place] = DecoderProcess(self._command)
            except OSError as error:
                yield video_error(task.job.path, f"no decoder can be started ({error.strerror}); try fewer --jobs")
                return
        end = 0.0
        answered = not task.job.scan
        try:
            worker.send(task.job)
            while True:
                message = worker.receive()
                if isinstance(message, Alive):
                    continue
                if isinstance(message, Snippet):
                    end = message.end
                yield message
                if isinstance(message, VideoError):
                    return
                if isinstance(message, VideoInfo):
                    if answered:
                        return
                    wanted = self._answer_to(task)
                    worker.send(wanted)
                    answered = True
                    if not wanted:
                        return
        except DecoderEnded:
            self._workers[place] = None
            yield self._failure(worker, task.job.path, end)

    def _answer_to(self, task: Task) -> Wanted:
        while not self._closing.is_set():
            with contextlib.suppress(queue.Empty):
                return task.answer.get(timeout=WATCH_INTERVAL)
        return frozenset()

    def _failure(self, worker: DecoderProcess, path: Path, end: float) -> VideoError:
        where = f"after {format_time(end)}" if end else "at its start"
        status = worker.end()
        if worker.stalled:
            fault = f"the decoder made no progress for {self._stall_timeout:g} s, {where}"
        else:
            how = signal.strsignal(-status) if status < 0 else f"exit status {status}"
            fault = f"the decoder crashed {where} ({how})"
        return video_error(path, f"{fault}; copy the file again, or re-encode it")

    def _watch(self, threads: list[threading.Thread]) -> None:
        while any(thread.is_alive() for thread in threads):
            time.sleep(WATCH_INTERVAL)
            for worker in filter(None, self._workers):
                if worker.waiting:
                    worker.silence += WATCH_INTERVAL
                    if worker.silence > self._stall_timeout:
                        worker.stalled = True
                        worker.kill()


class _Shared:
    """An iterator that several threads take from."""

    def __init__(self, tasks: Iterable[Task | None]) -> None:
        self._tasks = iter(tasks)
        self._lock = threading.Lock()

    def __iter__(self) -> _Shared:
        return self

    def __next__(self) -> Task | None:
        with self._lock:
            return next(self._tasks)
