"""``dsanet detect --dry-run``: what would be done, and about how long it would take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.names import printable
from dsanet_cli.pipeline.batcher import EncodedSnippet
from dsanet_cli.pipeline.headers import header_lengths
from dsanet_cli.pipeline.pipeline import Collector, Pipeline, PipelineSettings
from dsanet_cli.text import format_clock
from dsanet_cli.video.messages import Message
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.probe import VideoInfo

MEASURED_SECONDS = 60.0
"""Of video, analysed to find out how fast this machine is."""
NAMED = 3
"""Videos that the estimate names as its basis."""


@dataclass
class Speed:
    """How much video was analysed in how much time, and of which videos."""

    video: float = 0.0
    """Seconds, as is ``elapsed``."""
    elapsed: float = 0.0
    sources: list[Source] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    lengths: dict[Source, float]
    """Seconds to analyse of each video, 0 where its header does not say."""
    features: int
    """Feature files to score, which takes no time worth mentioning."""
    done: int
    """Inputs whose results stand."""


class _EnoughError(DsanetError):
    """Ends the decoding of a video of which enough was seen."""


class _Meter(Collector[None]):
    """Counts the seconds of video that were decoded and encoded."""

    def __init__(self, source: Source, speed: Speed) -> None:
        self._source = source
        self._speed = speed

    def take(self, snippet: EncodedSnippet) -> None:
        """Add a snippet.

        Raises:
            _EnoughError: there were enough.
        """
        if self._source not in self._speed.sources:
            self._speed.sources.append(self._source)
        self._speed.video += snippet.end - snippet.start
        if self._speed.video >= MEASURED_SECONDS:
            raise _EnoughError

    def finish(self, info: VideoInfo) -> None:
        """Nothing is kept of it."""


def plan_work(
    sources: Sequence[Source],
    done: int,
    settings: PipelineSettings,
    failed: Callable[[Source, VideoError], None],
    options: ReadOptions = WHOLE,
) -> Plan:
    """Read the headers of what is to be analysed.

    Args:
        sources: What is to be done.
        done: How many inputs are done already.
        settings: How the work is shared out.
        failed: Is called with each video that cannot be opened, or has no such part.
        options: What is to be read of each video.
    """
    videos = [source for source in sources if not is_feature_file(source.path)]
    lengths: dict[Source, float] = {}
    for source, found in header_lengths(videos, settings, options) if videos else ():
        if isinstance(found, VideoError):
            failed(source, found)
        else:
            lengths[source] = found
    in_order = {source: lengths[source] for source in videos if source in lengths}
    return Plan(in_order, len(sources) - len(videos), done)


def measure(sources: Sequence[Source], pipeline: Pipeline) -> Speed:
    """Analyse a minute of the first videos, as many at once as a run would, and write nothing."""
    speed = Speed()
    started: list[float] = []

    def watch(_source: Source, _message: Message) -> None:
        if not started:  # the decoders are up, and the first video is open
            started.append(time.monotonic())

    runs = pipeline.run(iter(sources), lambda source: _Meter(source, speed), watch)
    with contextlib.closing(runs):
        for _, result in runs:
            if isinstance(result, _EnoughError):
                break
    speed.elapsed = time.monotonic() - started[0] if started else 0.0
    return speed


def describe(plan: Plan, speed: Speed | None) -> Iterator[str]:
    """Lines that say what would be done; ``speed`` is None where it was not measured."""
    for source, length in plan.lengths.items():
        yield f"{printable(source.path)}: {format_clock(length) if length else 'of unknown length'}"
    total, unknown = sum(plan.lengths.values()), sum(not length for length in plan.lengths.values())
    parts = [f"{_counted(len(plan.lengths), 'video')} to analyse, {format_clock(total, hours=True)} in all"]
    parts += [f"{unknown} of unknown length"] if unknown else []
    parts += [f"{_counted(plan.features, 'feature file')} to score"] if plan.features else []
    yield "; ".join([*parts, f"{plan.done} done already"])
    if speed is not None and speed.video and speed.elapsed and total:
        names = ", ".join(printable(source.path) for source in speed.sources[:NAMED])
        more = f" and {len(speed.sources) - NAMED} more" if len(speed.sources) > NAMED else ""
        left = format_clock(total * speed.elapsed / speed.video, hours=True)
        yield f"about {left} on this machine, since {speed.video:.0f} s of {names}{more} took {speed.elapsed:.1f} s"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
