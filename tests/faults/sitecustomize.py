"""Put on PYTHONPATH, makes decoding processes fail on files whose names say how."""

from __future__ import annotations

import os
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
