"""A decoder process as the program sees it: started, given jobs, listened to, ended."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import subprocess
import tempfile

from dsanet_cli.video.messages import DecodeJob, Placed, Reply, Start, Wanted
from dsanet_cli.video.picture_ring import PictureRing
from dsanet_cli.video.reader import Snippet

APART = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""On Windows, keeps Ctrl-C from decoder processes, which the program ends itself; elsewhere a signal mask does."""


class DecoderEnded(Exception):
    """A decoder process ended, or was killed because it stalled."""


class DecoderProcess:
    """One decoder process, as its thread sees it.

    Args:
        command: Starts it.
        ring: For its pictures; None sends them through the pipe.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: tuple[str, ...], ring: PictureRing | None) -> None:
        self._ring = ring
        files = () if ring is None else (ring.place.file,)
        self._folder = tempfile.TemporaryDirectory(prefix="dsanet-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=files, creationflags=APART
            )
        except OSError:
            self._folder.cleanup()
            raise
        finally:
            if ring is not None:
                ring.close_file()
        self.waiting = False
        """Whether its thread waits for a message."""
        self.silence = 0.0
        """Seconds it has waited, by the watchdog's count: what stops the whole program stops the count, too."""
        self.started = False
        """Whether anything has come from it."""
        self.stalled = False
        with contextlib.suppress(DecoderEnded):  # which the first job finds out, too
            self.send(Start(self._folder.name, None if ring is None else ring.place))

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

    def receive(self) -> Reply:
        """Wait for the next message.

        Raises:
            DecoderEnded: the process has ended without one.
        """
        assert self._process.stdout is not None
        self.silence, self.waiting = 0.0, True
        try:
            reply: Reply = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise DecoderEnded from error
        finally:
            self.waiting = False
        self.started = True
        return reply

    def snippet(self, placed: Placed) -> Snippet:
        """A snippet with its pictures, which are there until ``release``."""
        assert self._ring is not None
        return dataclasses.replace(placed.snippet, frames=self._ring.pictures(placed.slot, placed.shape))

    def release(self, placed: Placed) -> None:
        """Let the process write over a snippet's pictures. From any thread."""
        assert self._ring is not None
        self._ring.release(placed.slot)

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
