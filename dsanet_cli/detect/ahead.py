"""Decoding while torch is imported and the encoder loaded: a short video is decoded before there is an encoder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dsanet_cli.detect.day import Day
from dsanet_cli.detect.results import result_name
from dsanet_cli.detect.settings import DetectSettings, RunnerSettings, decoding_of
from dsanet_cli.encoder.choices import DEFAULT_BATCH
from dsanet_cli.errors import OutputError
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.models.folders import find_model, read_config
from dsanet_cli.pipeline.pipeline import Ahead
from dsanet_cli.video.decord_decoder import usable_cores

GPU_LANES = 2
"""Batches that are encoded side by side on a GPU; on a CPU it is one for each thread."""
NVIDIA_DRIVER = Path("/dev/nvidiactl")


@contextlib.contextmanager
def decoders_ahead(work: RunnerSettings, sources: Sequence[Source], skip_done: bool) -> Iterator[Ahead | None]:
    """Decoders at work, if all videos are to be analysed and can be begun at once; they end with the context.

    Args:
        work: How to analyse.
        sources: What to analyse, feature files among them.
        skip_done: Whether results that are there may stand.

    Raises:
        ModelError: there is no such model, or its configuration is damaged.
    """
    config = read_config(find_model(work.model))
    videos = [source for source in sources if not is_feature_file(source.path)]
    ahead = None
    if videos and _may_begin(work, videos, skip_done):
        ahead = Ahead(videos, decoding_of(config, work.detect), work.pipeline, _frames_at_once(work.detect))
    try:
        yield ahead
    finally:
        if ahead is not None:
            ahead.close()


def _may_begin(work: RunnerSettings, videos: Sequence[Source], skip_done: bool) -> bool:
    jobs = work.pipeline.for_videos(len(videos)).jobs or 1
    if len(videos) > jobs or work.profile is not None or any(isinstance(video.path, Day) for video in videos):
        return False  # many videos take much longer than to start; those of a profile are read each in its own way
    return not (skip_done and work.output is not None and _has_any(work.output, videos))


def _has_any(output: str, videos: Sequence[Source]) -> bool:
    """Whether a result is there that may stand; where nobody knows, too."""
    try:
        folder = open_folder(output)
        return any(folder.exists(result_name(video)) for video in videos)
    except OutputError:
        return True


def _frames_at_once(settings: DetectSettings) -> int:
    """About what the encoder will work on at a time. It only says how much may wait, so a guess is good enough."""
    on_gpu = settings.device.startswith("cuda") or (settings.device == "auto" and NVIDIA_DRIVER.exists())
    if on_gpu:
        return GPU_LANES * (settings.batch_size or DEFAULT_BATCH["cuda"])
    threads = os.environ.get("OMP_NUM_THREADS", "")
    lanes = int(threads) if threads.isdecimal() and int(threads) else usable_cores()
    return lanes * (settings.batch_size or DEFAULT_BATCH["cpu"])
