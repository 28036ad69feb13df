"""Put on PYTHONPATH, makes decoding processes fail on files whose names say how, and devices of Ray actors fail.

While there are files in the folder that ``FAILING_DEVICE`` names, a device fails once in each process and takes one of
them away.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import pathlib
import signal
import sys
import time

FAULTS = {
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "freeze": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "loop": lambda: time.sleep(3600),
    "exit": lambda: os._exit(0),
    "bug": lambda: 1 // 0,
    "slow": lambda: time.sleep(2),
}

if "dsanet_cli.video.decoder_process" in sys.orig_argv:
    from dsanet_cli.video.demux import Demuxer

    original = Demuxer.write
    written: dict[str, int] = {}

    def write(self: Demuxer, *arguments: object) -> None:
        """Fail in the second chunk of a file, in the middle of what would be decoded."""
        name = self.path.stem
        written[name] = written.get(name, 0) + 1
        kind = name.partition("-")[0]
        if written[name] == 2 and kind in FAULTS:
            FAULTS[kind]()
        original(self, *arguments)

    Demuxer.write = write

    from dsanet_cli.video import decord_decoder

    next_frame = decord_decoder._next

    def slow_next(reader: object) -> object:
        """A decoder that takes seconds for a chunk, while it is at work all the time."""
        time.sleep(SLOWLY)
        return next_frame(reader)

    if SLOWLY := float(os.environ.get("SLOWLY", "0")):
        decord_decoder._next = slow_next


FAILING_DEVICE = os.environ.get("FAILING_DEVICE")
ENCODER = "dsanet_cli.encoder.frame_encoder"


class FailingDevice(importlib.abc.MetaPathFinder):
    """Replaces the step on the device once its module is loaded; torch takes seconds to import."""

    def find_spec(self, name: str, *_: object) -> object:
        """Only that of the encoder."""
        if name != ENCODER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_failing(module: object) -> None:
            load(module)
            encode = module._Tower.encode
            failures = list(pathlib.Path(FAILING_DEVICE).iterdir())[:1]

            def fail(tower: object, *arguments: object) -> object:
                with contextlib.suppress(IndexError):  # of the lanes, one fails
                    failures.pop().unlink()
                    raise RuntimeError("CUDA error: unspecified launch failure\nadvice for programmers")
                return encode(tower, *arguments)

            module._Tower.encode = fail

        spec.loader.exec_module = load_failing
        return spec


if FAILING_DEVICE and any(argument.endswith("default_worker.py") for argument in sys.orig_argv):
    sys.meta_path.insert(0, FailingDevice())
