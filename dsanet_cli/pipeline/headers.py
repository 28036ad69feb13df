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
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.probe import nothing_after

_DEPTH = 16
"""Answers that wait at most."""


class _HeaderTask(Task):
    def __init__(self, source: Source, options: ReadOptions) -> None:
        decoding = Decoding((16, 16), 1, FRAMES_PER_SNIPPET, header_only=True, options=options)
        super().__init__(DecodeJob(source.path, decoding, threads=1))
        self.source = source


def headers(
    sources: Sequence[Source], settings: PipelineSettings, options: ReadOptions = WHOLE
) -> Iterator[tuple[Source, Opened | VideoError]]:
    """What each video says by its header, or why it cannot be opened, as they are read.

    Args:
        sources: The videos.
        settings: How the work is shared out.
        options: What is to be read of them.
    """
    filled = settings.for_videos(len(sources))
    assert filled.jobs is not None
    pool = DecoderPool[_HeaderTask](filled.jobs, filled.stall_timeout, _DEPTH)
    with contextlib.closing(pool.run(_HeaderTask(source, options) for source in sources)) as messages:
        for task, message in filter(None, messages):
            if isinstance(message, Opened | VideoError):
                yield task.source, message


def header_lengths(
    sources: Sequence[Source], settings: PipelineSettings, options: ReadOptions = WHOLE
) -> Iterator[tuple[Source, float | VideoError]]:
    """Seconds of each video that are to be read by its header, 0 where that does not say, or why it cannot be opened.

    The arguments are those of ``headers``.
    """
    for source, header in headers(sources, settings, options):
        if isinstance(header, VideoError):
            yield source, header
        elif header.duration and header.duration <= header.start:
            yield source, nothing_after(source.path, header.duration, header.start)
        else:
            yield source, max(0.0, header.duration - header.start)
