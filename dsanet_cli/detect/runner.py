"""The work of ``dsanet detect``, wherever it runs: a model loaded, videos analysed, results written."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from dsanet_cli.console import unexpected
from dsanet_cli.detect.analysis import Detection
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.films import StoppedError
from dsanet_cli.detect.kept_features import KeptFeatures
from dsanet_cli.detect.places import check_writable, write_stdout
from dsanet_cli.detect.profile import Profile, read_profile
from dsanet_cli.detect.results import ResultFolder, on_record
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.encoder.device import precision_name
from dsanet_cli.errors import DsanetError, ModelError, UsageError
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.regular import open_regular
from dsanet_cli.files.sources import Source, is_feature_file
from dsanet_cli.models.classes import read_classes
from dsanet_cli.models.directory import Model, load_model
from dsanet_cli.models.words import with_classes
from dsanet_cli.pipeline.pipeline import Ahead, Pipeline, Watch
from dsanet_cli.timeline.formats import FORMATS
from dsanet_cli.timeline.text import DEMONSTRATION
from dsanet_cli.timeline.timeline import Timeline

WAITING_RESULTS = 8
"""Videos analysed whose results are not written yet, at most."""

Report = Callable[[Source, Timeline | DsanetError], None]
"""Is called with each source's result: its timeline once that is written, or its error."""


class Runner:
    """A model ready to analyse videos, and the folder of their results.

    Args:
        settings: How to analyse, and where results go.
        writes: Whether results will be written, or only looked up.

    Raises:
        OutputError: the output folder cannot be written.
        ModelError: the model does not load.
        UsageError: a device or precision this machine does not have.
    """

    def __init__(self, settings: RunnerSettings, writes: bool = True) -> None:
        self._settings = settings
        folder = None if settings.output is None else open_folder(settings.output)
        if folder is not None and writes:
            check_writable(folder)
        trained = load_model(settings.model)
        model = _named_anew(trained, settings)
        overrides = {
            "threshold": settings.threshold,
            "release": settings.release,
            "merge_gap": settings.merge_gap,
            "min_length": settings.min_length,
        }
        chosen = {name: value for name, value in overrides.items() if value is not None}
        rule = dataclasses.replace(model.config.events, **chosen)  # type: ignore[arg-type]
        if settings.release is not None and settings.release > rule.threshold:
            raise UsageError(
                f"--release {settings.release:g} is above the model's threshold {rule.threshold:.3g}; "
                "an event ends below where it starts"
            )
        profile = (
            None if settings.profile is None else _profile(settings.profile, trained.sha256, model).overridden(**chosen)
        )
        self._detector = Detector(model, dataclasses.replace(settings.detect, events=rule, profile=profile))
        self._encoder_sha256 = weights_sha256(settings.detect.encoder_weights)
        self._results = None
        self._features = KeptFeatures(folder) if settings.detect.keep_features else None
        if folder is not None:
            self._results = ResultFolder(
                folder,
                settings.formats,
                self._detector,
                self._encoder_sha256,
                settings.replace_others,
                settings.thumbnails,
                settings.films,
                settings.other_films,
                self._features,
            )

    def load_encoder(self, sources: Sequence[Source] = ()) -> None:
        """Load the frame encoder, which feature files do without, for what is to be analysed as far as that is known.

        Raises:
            ModelError: its weights are missing or do not fit.
            UsageError: features are to be kept, and those that are there were made otherwise.
            OutputError: they cannot be written.
        """
        self._detector.load_encoder()
        if self._features is not None:
            names = [source.relative for source in sources]
            self._features.claim(self._detector, names, self._settings.replace_others)

    def pipeline(self, videos: int) -> Pipeline:
        """What decodes and encodes a number of videos here.

        Raises:
            ModelError: the encoder's weights are missing or do not fit.
        """
        return self._detector.pipeline(self._settings.pipeline.for_videos(videos))

    def describe(self) -> str:
        """What analyses here, in a line, and in another one what to know of the model."""
        detector, config = self._detector, self._detector.model.config
        reason = f" ({self._settings.model_reason})" if self._settings.model_reason else ""
        length = f" of {detector.snippet_seconds:.3g} s" if detector.snippet_seconds else ""
        frames = f"{detector.sampled_frames} frame{'s' * (detector.sampled_frames > 1)}"
        still = "" if detector.settings.reuse_still is None else ", still ones not again"
        line = (
            f"model {config.name}{reason}, encoder {config.encoder.architecture} on {detector.device} "
            f"in {precision_name(detector.dtype)}, {frames} a snippet{length}{still}"
        )
        return f"{line}\n{DEMONSTRATION}" if config.demonstration else line

    def settled(self, source: Source, skip_done: bool) -> Timeline | DsanetError | None:
        """The result of an earlier run that stands, or why there can be none; see ``ResultFolder.settled``."""
        return None if self._results is None else self._results.settled(source, skip_done)

    @property
    def outdated(self) -> int:
        """How many results of another version of the program were met that would stand otherwise."""
        return 0 if self._results is None else self._results.outdated

    @property
    def device_failure(self) -> str | None:
        """See ``Detector.device_failure``."""
        return self._detector.device_failure

    def run(self, sources: Sequence[Source], watch: Watch, report: Report, ahead: Ahead | None = None) -> None:
        """Analyse videos and feature files; whatever goes wrong with one of them is that one's alone.

        ``report`` is called from one other thread, where results are written beside the analysis.
        """
        self._write(self._detector.detect_many(sources, self._settings.pipeline, watch, ahead), report)

    def run_videos(self, sources: Iterable[Source | None], watch: Watch, report: Report) -> None:
        """As ``run``, for videos that become known one by one; see ``Detector.detect_arriving``."""
        self._write(self._detector.detect_arriving(sources, self._settings.pipeline, watch), report)

    def _write(self, outcomes: Generator[tuple[Source, Detection | DsanetError], None, None], report: Report) -> None:
        written: deque[Future[None]] = deque()
        saved = contextlib.nullcontext() if self._features is None else self._features.saved()
        with (
            saved,
            ThreadPoolExecutor(1, "writer") as writer,
            contextlib.closing(outcomes),
            contextlib.ExitStack() as stack,
        ):
            stack.push(self._stop_films)
            for source, outcome in outcomes:
                written.append(writer.submit(self._conclude, source, outcome, report))
                while len(written) > WAITING_RESULTS or (written and written[0].done()):
                    written.popleft().result()
            while written:
                written.popleft().result()

    def _stop_films(self, kind: type[BaseException] | None, *_: object) -> None:
        """Where a run ends early, films that take minutes are not waited for."""
        if kind is not None:
            for film in self._settings.films:
                film.stop()

    def _conclude(self, source: Source, outcome: Detection | DsanetError, report: Report) -> None:
        result = self._written(source, outcome)
        if not isinstance(result, StoppedError):
            report(source, result)

    def _written(self, source: Source, outcome: Detection | DsanetError) -> Timeline | DsanetError:
        if isinstance(outcome, DsanetError):
            return outcome
        try:
            if self._results is None:
                encoder = None if is_feature_file(source.path) else self._encoder_sha256
                timeline = on_record(source, outcome.timeline, source.path.stat(), encoder, self._settings.detect.clock)
                write_stdout(FORMATS[self._settings.formats[0]].content(timeline, outcome.peaks) or b"")
                return timeline
            return self._results.write(source, outcome)
        except DsanetError as error:
            return error
        except Exception as error:  # one input must never end the others
            return unexpected(source.path, error)


def _named_anew(model: Model, settings: RunnerSettings) -> Model:
    """The model with the classes that were given in words."""
    if settings.classes is None:
        return model
    return with_classes(model, read_classes(settings.classes).classes, settings.detect.encoder_weights)


def _profile(path: Path, sha256: str, model: Model) -> Profile:
    """The profile, if it goes with the model; ``sha256`` is that of the model with its own classes.

    Raises:
        UsageError: it is none, was calibrated with another model, or names classes that this one does not have.
    """
    profile = read_profile(path)
    if profile.model_sha256 not in (None, sha256):
        raise UsageError(
            f"--profile {path}: was calibrated with another model than {model.config.name}, whose scores differ; "
            "name that with --model, or calibrate anew"
        )
    if unknown := sorted(profile.dropped - set(model.config.class_names)):
        known = ", ".join(model.config.class_names)
        raise UsageError(f"--profile {path}: drops {', '.join(unknown)}; model {model.config.name} has {known}")
    return profile


def weights_sha256(path: Path | None) -> str | None:
    """SHA-256 (hex) of a file of encoder weights, None where none is given.

    Raises:
        ModelError: it cannot be read.
    """
    if path is None:
        return None
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check --encoder-weights") from error
