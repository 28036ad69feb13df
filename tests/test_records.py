"""What all files of dataclasses have in common."""

from __future__ import annotations

import subprocess
import sys

THREADS = """
import sys, threading
from dsanet_cli.records import SchemaError, decode
from dsanet_cli.timeline.files import TimelineFile

def read():
    barrier.wait()
    try:
        decode(TimelineFile, b'{"schema": 1}')
    except SchemaError:
        pass

sys.setswitchinterval(1e-6)
barrier = threading.Barrier(6)
threads = [threading.Thread(target=read) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_read_the_first_files_at_once_do_not_crash():
    for _ in range(5):
        subprocess.run([sys.executable, "-c", THREADS], check=True)
