"""How long videos are by their headers, read in decoder processes, so that a damaged one costs only itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import VideoError
from dsanet_cli.files.sources import Source
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.video.decoder_pool import DecoderPool, Task
from dsanet_cli.video.messages import DecodeJob, Decoding, Opened

_HEADER = Decoding((16, 16), 1, FRAMES_PER_SNIPPET, header_only=True)
_DEPTH = 16
"""Answers that wait at most."""


class _HeaderTask(Task):
    def __init__(self, source: Source) -> None:
        super().__init__(DecodeJob(source.path, _HEADER, threads=1))
        self.source = source


def header_lengths(
    sources: Sequence[Source], settings: PipelineSettings
) -> Iterator[tuple[Source, float | VideoError]]:
    """Seconds that each video lasts by its header, 0 where that does not say, or why it cannot be opened."""
    filled = settings.for_videos(len(sources))
    assert filled.jobs is not None
    pool = DecoderPool[_HeaderTask](filled.jobs, filled.stall_timeout, _DEPTH)
    with contextlib.closing(pool.run(map(_HeaderTask, sources))) as messages:
        for task, message in filter(None, messages):
            if isinstance(message, Opened):
                yield task.source, message.duration
            elif isinstance(message, VideoError):
                yield task.source, message
