"""Several videos decoded at once, each in a process of its own: a decoder that crashes or hangs costs its video only.

One thread for each process hands it jobs, receives its snippets and starts another process where one has died;
a watchdog kills those that stall. All messages meet in one queue; how many of a process may wait there is limited, and
so is the memory that it shares with the program for its pictures.
"""

from __future__ import annotations

import math
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from dsanet_cli.errors import VideoError
from dsanet_cli.text import format_time
from dsanet_cli.video.container import video_error
from dsanet_cli.video.decoder_handle import DecoderEnded, DecoderProcess
from dsanet_cli.video.messages import Alive, DecodeJob, Decoding, Finished, Message, Notice, Placed, Scanned, Wanted
from dsanet_cli.video.picture_ring import PictureRing
from dsanet_cli.video.reader import Snippet

COMMAND = (sys.executable, "-P", "-m", "dsanet_cli.video.decoder_process")
START_TIMEOUT = 60.0
"""Seconds that a process may take to start, on a machine with much else to do, before it counts as stalled."""
WATCH_INTERVAL = 0.25
"""Seconds between checks for stalls."""
IDLE_AFTER = 0.02
"""Seconds without a message after which the caller gets None."""


NO_MEMORY = (
    "too little memory can be shared with the decoders (/dev/shm; docker run --shm-size=1g), so pictures go through "
    "pipes: slower, with the same results"
)


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


@dataclass(frozen=True)
class _Item(Generic[T]):
    """A message on its way to the caller."""

    task: T
    message: Message
    place: int
    release: Callable[[], None] = lambda: None
    """To be called when the caller is done with it."""


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
        self._depth = math.ceil(depth / processes)
        self._ready: queue.SimpleQueue[_Item[T] | BaseException | None] = queue.SimpleQueue()
        self._room = [threading.Semaphore(self._depth) for _ in range(processes)]
        """For messages of each process that are in the queue or with the caller."""
        self._decoders: list[DecoderProcess | None] = [None] * processes
        self._shares_memory = True
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self, tasks: Iterable[T | None]) -> Generator[tuple[T, Message] | None, None, None]:
        """Decode all videos; messages of one come in order, and end with ``Finished`` or a ``VideoError``.

        The frames of a snippet are only there until the next message is asked for. Yields None while there is nothing
        to do but wait. ``tasks`` are asked for one by one, as decoders become free, from other threads than the
        caller's; they are None while there is none yet.
        """
        self.start(tasks)
        yield from self.messages()

    def start(self, tasks: Iterable[T | None]) -> None:
        """Begin to decode, as far as there is room for what nobody has asked for; ``close`` must follow."""
        source = _SharedTasks(tasks)
        self._threads = [
            threading.Thread(target=self._serve, args=(place, source), name=f"decoder {place}", daemon=True)
            for place in range(len(self._decoders))
        ]
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._watch, args=(self._threads,), name="watchdog", daemon=True).start()

    def messages(self) -> Generator[tuple[T, Message] | None, None, None]:
        """What ``run`` yields, after ``start``."""
        running = len(self._threads)
        try:
            while running:
                try:
                    item = self._ready.get(timeout=IDLE_AFTER)
                except queue.Empty:
                    yield None
                    continue
                if item is None:
                    running -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item.task, item.message
                    item.release()
                    self._room[item.place].release()
        finally:
            self.close()

    def close(self) -> None:
        """End all processes, and the threads too if the caller stopped early."""
        threads = self._threads
        self._closing.set()
        self._kill_all()
        for room in self._room:
            room.release()  # in case a thread waits for it
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(timeout=0.05)
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
                        self._hand_over(place, task, message)
                if self._closing.is_set():
                    break
            self._ready.put(None)
        except BaseException as error:  # the program's fault, so it belongs to the caller
            self._ready.put(error)

    def _hand_over(self, place: int, task: T, message: Message | Placed) -> None:
        """Put a message into the queue, once there is room for one more of the process."""
        item = _Item(task, message, place) if not isinstance(message, Placed) else self._unpacked(task, message, place)
        self._room[place].acquire()
        if self._closing.is_set():
            self._room[place].release()  # for the next one
        else:
            self._ready.put(item)

    def _unpacked(self, task: T, placed: Placed, place: int) -> _Item[T]:
        decoder = self._decoders[place]
        assert decoder is not None
        return _Item(task, decoder.snippet(placed), place, partial(decoder.release, placed))

    def _ring(self, decoding: Decoding) -> PictureRing | None:
        """A ring for a process that decodes like this; None where there is no memory for it.

        Two more snippets than can wait: one that its thread holds, and one that is written meanwhile. So a process
        never waits for a slot while its thread waits for a message, which would look like a stall.
        """
        try:
            return PictureRing(self._depth + 2, decoding.snippet_bytes)
        except OSError:
            return None

    def _decode(self, place: int, task: T) -> Iterator[Message | Placed]:
        decoder = self._decoders[place]
        if decoder is None:
            ring = self._ring(task.job.decoding)
            if ring is None and self._shares_memory:
                self._shares_memory = False
                yield Notice(NO_MEMORY)
            try:
                decoder = self._decoders[place] = DecoderProcess(self._command, ring)
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
                if isinstance(message, Snippet | Placed):
                    end = (message.snippet if isinstance(message, Placed) else message).end
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
                    limit = self._stall_timeout if decoder.started else max(self._stall_timeout, START_TIMEOUT)
                    if decoder.silence > limit:
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
