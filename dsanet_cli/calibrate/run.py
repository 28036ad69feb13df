"""The ``calibrate`` command: one's own normal footage in, a profile with a threshold for it out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.table import Table

from dsanet_cli.calibrate.curve import save_rates
from dsanet_cli.calibrate.rates import Rate, parse_rate, rates, verdict
from dsanet_cli.calibrate.reviews import (
    ReviewedResult,
    Told,
    below_reviewed,
    choose_threshold,
    describe,
    one_rule,
    read_reviewed,
)
from dsanet_cli.config import EventRule
from dsanet_cli.console import plain_console, print_error, print_table
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.profile import Profile, path_from, write_profile
from dsanet_cli.detect.runner import weights_sha256
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.errors import DsanetError, SourceError, UsageError
from dsanet_cli.features.sidecar import said_region
from dsanet_cli.files.paths import as_texts, take_paths
from dsanet_cli.files.result_names import may_be_result
from dsanet_cli.files.sources import find_sources
from dsanet_cli.models.directory import Model, load_model
from dsanet_cli.models.folders import BUILT_IN_MODEL
from dsanet_cli.names import printable
from dsanet_cli.pipeline.pipeline import STALL_TIMEOUT, PipelineSettings
from dsanet_cli.pipeline.progress import BatchProgress
from dsanet_cli.records import Region
from dsanet_cli.timeline.calibration import ScoreCurve, calibrate
from dsanet_cli.timeline.files import read_timeline
from dsanet_cli.timeline.timeline import Timeline

RESULT_SUFFIX = ".json"
ROWS = 12
"""Of the table, at most."""


@dataclass(frozen=True)
class CalibrateSettings:
    """One run of ``dsanet calibrate``."""

    sources: tuple[str, ...]
    """Videos, feature files and folders of them, or the JSON results of an earlier ``detect``."""
    output: Path
    """The profile to write; its plot goes beside it."""
    false_alarms: str
    """That are allowed, such as ``1/day``."""
    recursive: bool = False
    model: str = BUILT_IN_MODEL
    detect: DetectSettings = field(default_factory=DetectSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    min_length: float | None = None
    """Seconds that an event lasts at least; None takes the model's."""
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", as_texts(self.sources))
        object.__setattr__(self, "model", os.fspath(self.model))
        take_paths(self, "output")

    @property
    def plot(self) -> Path:
        """False alarms against the threshold, beside the profile."""
        return self.output.with_suffix(".png")


@dataclass(frozen=True)
class CalibrateOutcome:
    """The rule that was chosen, how many videos it was chosen on, and how many failed, with the reasons."""

    rule: EventRule
    videos: int
    failed: int
    verdict: str
    """What the footage says about the threshold, and what it cannot say."""
    errors: tuple[DsanetError, ...] = ()


def run_calibrate(settings: CalibrateSettings, silent: bool = True) -> CalibrateOutcome:
    """Choose the threshold by the rule of ``train``, and write a profile and a plot.

    Args:
        settings: Which footage, and how many false alarms are allowed.
        silent: Print nothing, not even why a video failed.

    Raises:
        UsageError: a rate that is none, an output that is in the way, or a device this machine does not have.
        SourceError: nothing to calibrate on.
        ModelError: the model does not load.
        OutputError: the profile cannot be written.
    """
    allowed = parse_rate(settings.false_alarms)
    if settings.plot == settings.output:
        raise UsageError(f"{settings.output}: would be the plot beside the profile; name the profile .toml")
    for path in (settings.output, settings.plot):
        if path.exists() and not settings.overwrite:
            raise UsageError(f"{path}: exists already; choose another --output or pass --overwrite")
    model = load_model(settings.model)
    footage = _Footage(settings, model, silent)
    curves = [_curve(timeline) for timeline in footage.timelines()]
    if not curves:
        raise SourceError("nothing to calibrate on: no video and no result of one could be read")
    base = model.config.events
    if settings.min_length is not None:
        base = replace(base, min_length=settings.min_length)
    rule = calibrate(base, curves, allowed)
    found = rates(base, curves)
    chosen = next(rate for rate in found if rate.threshold == rule.threshold)
    said = verdict(chosen, allowed)
    _write(settings, model, rule, found, chosen, len(curves), said, footage.region)
    if not (settings.quiet or silent):
        _print_rates(found, chosen)
    log = plain_console(stderr=True, quiet=settings.quiet or silent)
    log.print(said)
    log.print(f"profile in {settings.output}, plot in {settings.plot}; use it with detect --profile {settings.output}")
    return CalibrateOutcome(rule, len(curves), len(footage.errors), said, tuple(footage.errors))


def calibrate_reviews(settings: CalibrateSettings, silent: bool = True) -> CalibrateOutcome:
    """Choose the threshold from what a person said of events, and write a profile.

    Args:
        settings: Which reviews, and where the profile goes.
        silent: Print nothing, not even why a review could not be taken.

    Raises:
        UsageError: a profile is in the way.
        SourceError: nothing to calibrate on, or nothing to tell apart.
        OutputError: the profile cannot be written.
    """
    if settings.output.exists() and not settings.overwrite:
        raise UsageError(f"{settings.output}: exists already; choose another --output or pass --overwrite")
    reviewed: list[ReviewedResult] = []
    errors: list[DsanetError] = []
    for source in settings.sources:
        try:
            reviewed.append(read_reviewed(Path(source)))
        except DsanetError as error:
            errors.append(error)
            if not silent:
                print_error(error)
    if not reviewed:
        raise SourceError("nothing to calibrate on: no review could be read")
    rule, told = choose_threshold(one_rule(reviewed, settings.min_length), reviewed)
    chosen = next(one for one in told if one.threshold == rule.threshold)
    facts = reviewed[0].timeline.model
    remark = f"From reviews of {len(reviewed)} result{'s' * (len(reviewed) > 1)}; may be edited."
    write_profile(
        settings.output,
        Profile(model=facts.name, model_sha256=facts.sha256, **asdict(rule)),
        [remark, describe(chosen)],
    )
    said = describe(chosen)
    if not (settings.quiet or silent):
        _print_told(told, chosen)
    log = plain_console(stderr=True, quiet=settings.quiet or silent)
    log.print(said)
    if (more := below_reviewed(rule, reviewed)) is not None:
        log.print(more)
    log.print(f"profile in {settings.output}; use it with detect --profile {settings.output}")
    return CalibrateOutcome(rule, len(reviewed), len(errors), said, tuple(errors))


def _write(
    settings: CalibrateSettings,
    model: Model,
    rule: EventRule,
    found: Sequence[Rate],
    chosen: Rate,
    videos: int,
    said: str,
    region: Region | None,
) -> None:
    """The profile and its plot."""
    mask = settings.detect.reading.mask
    profile = Profile(
        model=os.path.abspath(settings.model) if os.path.isdir(settings.model) else settings.model,
        model_sha256=model.sha256,
        region=region,
        mask=None if mask is None else path_from(settings.output.parent, mask.name),
        **asdict(rule),
    )
    many = f"{videos} video{'s' * (videos > 1)}"
    remark = f"For {settings.false_alarms} false alarms, from {many} of normal footage; may be edited."
    write_profile(settings.output, profile, [remark, said])
    save_rates(found, chosen, parse_rate(settings.false_alarms), settings.plot)


class _Footage:
    """The timelines to calibrate on: results that are there, and videos that are analysed now."""

    def __init__(self, settings: CalibrateSettings, model: Model, silent: bool) -> None:
        self._settings = settings
        self._model = model
        self._quiet = settings.quiet or silent
        self._console = plain_console(stderr=True, quiet=silent)
        self.errors: list[DsanetError] = []
        self._encoder = weights_sha256(settings.detect.encoder_weights)
        reading = settings.detect.reading
        self._mask = None if reading.mask is None else reading.mask.sha256
        self._seen = reading.cut if reading.region is not None else None
        self._is_settled = reading.region is not None
        """Whether it is known of which region the footage is."""

    @property
    def region(self) -> Region | None:
        """What was looked at in all of it; None is all of the picture."""
        return self._seen

    def timelines(self) -> Iterator[Timeline]:
        """All that can be read, and shows the same region; what does not is reported in a line."""
        for timeline in self._timelines():
            try:
                self._check_view(timeline)
            except DsanetError as error:
                self._report(error)
            else:
                yield timeline

    def _check_view(self, timeline: Timeline) -> None:
        """Make sure that all footage is of one region and mask, for which the threshold will be right.

        Raises:
            SourceError: this is of another one.
        """
        path, sampling = printable(timeline.video.path), timeline.sampling
        if not self._is_settled:
            self._seen, self._is_settled = sampling.region, True
        if sampling.region != self._seen:
            raise SourceError(
                f"{path}: analysed in {said_region(sampling.region)}, not {said_region(self._seen)}; calibrate regions "
                "one by one"
            )
        if sampling.mask != self._mask:
            made = "without a mask" if sampling.mask is None else "with another mask"
            raise SourceError(f"{path}: analysed {made}; name the mask that all of it was analysed with by --mask")

    def _timelines(self) -> Iterator[Timeline]:
        inputs = []
        for argument in self._settings.sources:
            if results := self._results(Path(argument)):
                yield from self._read(results)
            else:
                inputs.append(argument)
        if inputs:
            yield from self._analysed(inputs)
        else:
            self._note_without_effect()

    def _note_without_effect(self) -> None:
        """Say which options change nothing, since nothing is analysed."""
        settings = self._settings
        given = {
            "--recursive": settings.recursive,
            "--device": settings.detect.device != "auto",
            "--precision": settings.detect.precision != "auto",
            "--batch-size": settings.detect.batch_size is not None,
            "--encoder-weights": settings.detect.encoder_weights is not None,
            "--jobs": settings.pipeline.jobs is not None,
            "--stall-timeout": settings.pipeline.stall_timeout != STALL_TIMEOUT,
        }
        if vain := [option for option, is_given in given.items() if is_given]:
            log = plain_console(stderr=True, quiet=self._quiet)
            log.print(f"note: no effect on results, which are there already: {', '.join(vain)}")

    def _results(self, path: Path) -> list[Path]:
        """JSON results that an argument names: a file, or all in a folder that holds no videos."""
        if path.suffix.lower() == RESULT_SUFFIX:
            return [path]
        if not path.is_dir() or find_sources([str(path)], self._settings.recursive, sys.stdin).sources:
            return []
        return sorted(found for found in path.rglob(f"*{RESULT_SUFFIX}") if may_be_result(found.name))

    def _read(self, paths: Sequence[Path]) -> Iterator[Timeline]:
        for path in paths:
            try:
                yield self._result(path)
            except DsanetError as error:
                self._report(error)

    def _result(self, path: Path) -> Timeline:
        timeline = read_timeline(path)
        if timeline.model.sha256 != self._model.sha256:
            raise SourceError(
                f"{path}: was made with another model ({timeline.model.name}); name that with --model, "
                "or give the video instead"
            )
        if timeline.video.codec is not None and timeline.model.encoder_sha256 != self._encoder:
            raise SourceError(
                f"{path}: was made with other encoder weights; name them with --encoder-weights, or give the video"
            )
        return timeline

    def _analysed(self, inputs: Sequence[str]) -> Iterator[Timeline]:
        settings = self._settings
        listing = find_sources(inputs, settings.recursive, sys.stdin)
        for problem in listing.problems:
            self._report(problem)
        if not listing.sources:
            return
        detector = Detector(self._model, settings.detect)
        with BatchProgress(listing.sources, self._quiet) as progress:
            for source, result in detector.detect_many(listing.sources, settings.pipeline, progress.watch):
                progress.done(source, "failed" if isinstance(result, DsanetError) else "analysed")
                if isinstance(result, DsanetError):
                    self._report(result)
                else:
                    yield result.timeline

    def _report(self, error: DsanetError) -> None:
        self.errors.append(error)
        print_error(error, self._console)


def _curve(timeline: Timeline) -> ScoreCurve:
    return ScoreCurve(timeline.starts, timeline.ends, timeline.scores)


def _print_rates(found: Sequence[Rate], chosen: Rate) -> None:
    """The rates around the one that was chosen, a row each."""
    step = max(1, len(found) // ROWS)
    rows = [rate for at, rate in enumerate(found) if at % step == 0 or rate == chosen]
    table = Table("threshold", "false alarms", "an hour", "seconds in them an hour", "", box=None, header_style="bold")
    for rate in rows:
        cells = f"{rate.threshold:.2f}", str(rate.events), f"{rate.per_hour:.2f}", f"{rate.seconds / rate.hours:.0f}"
        table.add_row(*cells, "chosen" if rate == chosen else "")
    print_table(table)


def _print_told(told: Sequence[Told], chosen: Told) -> None:
    """What thresholds around the chosen one keep, a row for each at which something changes."""
    table = Table("threshold", "true found", "true missed", "false", "not judged", "", box=None, header_style="bold")
    before = None
    for one in told:
        kept = one.found, one.missed, one.false, one.open
        if kept != before or one == chosen:
            table.add_row(f"{one.threshold:.2f}", *map(str, kept), "chosen" if one == chosen else "")
        before = kept
    print_table(table)
