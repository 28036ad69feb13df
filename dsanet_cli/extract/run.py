"""From videos to feature files in the published layout: one decode for all crops, and a note beside them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.console import plain_console, print_error, unexpected
from dsanet_cli.encoder.choices import CENTRE_CROP, DEFAULT_BATCH
from dsanet_cli.encoder.device import choose_encoder_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import DsanetError, FeatureError, SourceError, UsageError
from dsanet_cli.extract.collector import FeatureCollector, VideoFeatures
from dsanet_cli.features.folder import claim_folder, feature_file, is_whole, write_features
from dsanet_cli.features.lists import ListedFeature, VideoLabels, check_listable, write_list
from dsanet_cli.features.origins import Origins, origin
from dsanet_cli.features.sidecar import Extraction
from dsanet_cli.files.paths import as_texts, take_paths
from dsanet_cli.files.sources import (
    FEATURE_SUFFIX,
    RECURSIVE_IN_VAIN,
    Listing,
    Source,
    find_sources,
    may_be_folder,
)
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.names import printable
from dsanet_cli.pipeline.pipeline import Pipeline, PipelineSettings
from dsanet_cli.pipeline.progress import BatchProgress
from dsanet_cli.records import Region
from dsanet_cli.timeline.text import small_region
from dsanet_cli.video.mask import Mask
from dsanet_cli.video.messages import Decoding
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.view import box


@dataclass(frozen=True)
class ExtractSettings:
    """One run of ``dsanet extract``."""

    sources: tuple[str, ...]
    output: Path
    recursive: bool = False
    encoder: EncoderChoice = field(default_factory=EncoderChoice)
    crops: tuple[int, ...] = (CENTRE_CROP,)
    sampled_frames: int = FRAMES_PER_SNIPPET
    """Frames encoded of each snippet and averaged."""
    snippet_seconds: float | None = None
    """That a snippet lasts, whatever the number of its frames; None takes the published 16 frames."""
    storage: Literal["float16", "float32"] = "float32"
    """Number format of the files: ``float16`` or ``float32``."""
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    list_file: Path | None = None
    labels: Path | None = None
    """Mapping of videos to labels for the list; None takes the names of their folders."""
    shard: tuple[int, int] = (1, 1)
    """(k, n): take every n-th video from the k-th on, so that n runs share the work."""
    stream: int | None = None
    """Number of the video stream, from 0; None is the one that a player would show."""
    region: Region | None = None
    """Left, top, width and height of what is looked at, as shares of the picture; None is all of it."""
    mask: Mask | None = None
    """Hides parts of the picture."""
    reuse_still: float | None = None
    """A picture is not encoded, and the feature of the last one that was is taken again, if no block of 8 x 8 pixels
    differs in its mean by more than so many grey levels of 255; None encodes every picture."""
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    overwrite: bool = False
    quiet: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", as_texts(self.sources))
        take_paths(self, "output", "list_file", "labels")


@dataclass(frozen=True)
class ExtractOutcome:
    """How many videos were extracted, found done already, and failed, and why these did."""

    extracted: int
    kept: int
    failed: int
    errors: tuple[DsanetError, ...] = field(default=(), compare=False)


def run_extract(settings: ExtractSettings, silent: bool = True) -> ExtractOutcome:
    """Extract the features of all videos; one that fails does not stop the others.

    Args:
        settings: What to extract, how, and where to.
        silent: Print nothing, not even why a video failed.

    Raises:
        UsageError: settings that contradict each other, or the features that the output folder holds.
        SourceError: the mapping of labels cannot be read.
        ModelError: the encoder does not load.
        OutputError: the sidecar or the list cannot be written.
    """
    if settings.labels is not None and settings.list_file is None:
        raise UsageError("--labels says what to write into a list; name that with --list")
    if settings.list_file is not None and settings.shard != (1, 1):
        raise UsageError(
            "--list and --shard: a part of the videos makes no list; when all parts are done, run it once without "
            "--shard, which keeps what is there and writes the list"
        )
    run = _Run(settings, silent)
    if settings.recursive and not any(map(may_be_folder, settings.sources)):
        run.log.print(f"note: {RECURSIVE_IN_VAIN}")
    sources = run.videos(find_sources(settings.sources, settings.recursive, sys.stdin).shard(*settings.shard))
    if settings.list_file is not None:
        run.label(sources)
    if sources:
        run.start(sources)
        run.extract([source for source in sources if not run.is_kept(source)])
    if settings.list_file is not None and (listed := run.listed(sources)):
        write_list(settings.list_file, listed)
    outcome = ExtractOutcome(run.extracted, run.kept, len(run.failed), tuple(run.faults))
    if outcome.extracted or outcome.kept:
        counts = f"{outcome.extracted} extracted, {outcome.kept} kept, {outcome.failed} failed"
        run.log.print(f"{counts}; features in {settings.output}{os.sep}")
    return outcome


class _Run:
    """What one run carries from video to video."""

    def __init__(self, settings: ExtractSettings, silent: bool) -> None:
        self.settings = settings
        self.quiet = settings.quiet or silent
        self.log = plain_console(stderr=True, quiet=self.quiet)
        self.errors = plain_console(stderr=True, quiet=silent)
        self.labels = VideoLabels(settings.labels)
        self.label_of: dict[Path, tuple[str, str | None]] = {}
        """Label and group."""
        self.done: set[Source] = set()
        """Videos whose features are there."""
        self.failed: set[str] = set()
        self.faults: list[DsanetError] = []
        self.extracted = self.kept = 0
        self.reading = ReadOptions(settings.stream, region=settings.region, mask=settings.mask)
        self.origins: Origins
        self.pipeline: Pipeline
        self.width: int

    def videos(self, listing: Listing) -> list[Source]:
        """The videos among what was found; the rest is reported, but for features that ``extract`` wrote itself."""
        for problem in listing.problems:
            self.report_failure(problem.argument, problem)
        sources = []
        output = Path(os.path.abspath(self.settings.output))
        for source in listing.sources:
            if source.path.suffix.lower() != FEATURE_SUFFIX:
                sources.append(source)
            elif not Path(os.path.abspath(source.path)).is_relative_to(output):
                fault = FeatureError(f"{source.path}: holds features already, not video; leave it out")
                self.report_failure(str(source.path), fault)
        return sources

    def label(self, sources: Sequence[Source]) -> None:
        """Find the labels for the list before the work begins; a video without one is reported and not listed."""
        for source in sources:
            try:
                check_listable(self._feature_files(source)[0])
                self.label_of[source.path] = self.labels.of(source)
            except SourceError as error:
                self.report_failure(str(source.path), error)

    def start(self, sources: Sequence[Source]) -> None:
        """Load the encoder, claim the output folder, and say what will run where.

        Raises:
            UsageError: a device or precision this machine does not have, or features of other settings.
            ModelError: the encoder does not load.
            OutputError: the folder cannot be written.
        """
        settings = self.settings
        reading = self.reading
        device = choose_encoder_device(settings.device)
        dtype = choose_precision(settings.precision, device)
        chosen = choose_encoder(settings.encoder)
        tower = chosen.load_tower()
        extraction = Extraction(
            encoder=chosen.config,
            weights_sha256=tower_sha256(tower),
            preprocessing=chosen.preprocessing,
            sampled_frames=settings.sampled_frames,
            crops=settings.crops,
            storage=settings.storage,
            precision=precision_name(dtype),
            model=None if chosen.model is None else os.path.abspath(chosen.model.directory),
            weights=None if chosen.weights is None else os.path.abspath(chosen.weights),
            snippet_frames=chosen.snippet_frames,
            snippet_seconds=settings.snippet_seconds,
            stream=settings.stream,
            region=reading.cut,
            mask=None if reading.mask is None else reading.mask.sha256,
            reuse_still=settings.reuse_still,
        )
        claim_folder(settings.output, extraction, [source.relative for source in sources], settings.overwrite)
        self.origins = Origins(settings.output)
        self.width = chosen.config.width
        self.pipeline = Pipeline(
            FrameEncoder(tower, chosen.preprocessing, device, dtype),
            Decoding(
                chosen.preprocessing.resize,
                settings.sampled_frames,
                chosen.snippet_frames,
                settings.snippet_seconds,
                whole_only=True,
                options=reading,
            ),
            settings.batch_size or DEFAULT_BATCH[device.type],
            settings.pipeline,
            settings.crops,
            reuse_still=settings.reuse_still,
        )
        crops = "10 crops" if len(settings.crops) > 1 else "centre crop"
        length = "" if settings.snippet_seconds is None else f" of {settings.snippet_seconds:g} s"
        self.log.print(
            f"encoder {chosen.config.architecture} on {device} in {precision_name(dtype)}, "
            f"{settings.sampled_frames} frames a snippet{length}, {crops}, stored in {settings.storage}"
        )

    def is_kept(self, source: Source) -> bool:
        """Whether there is nothing to do: the features are there, or are another video's, which is reported."""
        if self.settings.overwrite:
            return False
        try:
            if not self._is_done(source):
                return False
        except FeatureError as error:
            self.report_failure(str(source.path), error)
            return True
        self.kept += 1
        self.done.add(source)
        return True

    def extract(self, sources: Sequence[Source]) -> None:
        """Write the features of videos as they are done; whatever goes wrong with one of them is that one's alone."""
        settings = self.settings.pipeline.for_videos(len(sources))
        pipeline = dataclasses.replace(self.pipeline, settings=settings)
        with BatchProgress(sources, self.quiet) as progress, contextlib.ExitStack() as stack:
            if progress.console is not None:
                self.log = self.errors = progress.console
            stack.callback(self.origins.save)
            results = pipeline.run(sources, FeatureCollector, progress.watch)
            stack.enter_context(contextlib.closing(results))
            for source, result in results:
                progress.done(source, self._conclude(source, result, progress.elapsed(source)))

    def listed(self, sources: Sequence[Source]) -> list[ListedFeature]:
        """The rows of the list: one for each feature file of a video that has a label."""
        return [
            ListedFeature(path, *self.label_of[source.path])
            for source in sources
            if source in self.done and source.path in self.label_of
            for path in self._feature_files(source)
        ]

    def report_failure(self, name: str, error: DsanetError) -> None:
        """Print one line and remember the failure."""
        print_error(error, self.errors)
        self.faults.append(error)
        self.failed.add(name)

    def _conclude(self, source: Source, result: VideoFeatures | DsanetError, elapsed: float | None) -> str:
        """Write what there is of a video, and say how it went."""
        try:
            if isinstance(result, DsanetError):
                raise result
            write_features(self._feature_files(source), result.features, self.settings.storage)
            count = len(result.features)
            if result.origin is not None:
                reused = None if self.settings.reuse_still is None else round(result.reused, 4)
                made = dataclasses.replace(result.origin, snippets=count, crops=self.settings.crops, reused=reused)
                self.origins.add(made)
        except DsanetError as error:
            self.report_failure(str(source.path), error)
            return "failed"
        except Exception as error:  # one video must never end the run
            self.report_failure(str(source.path), unexpected(source.path, error))
            return "failed"
        if self.reading.cut is not None:
            top, bottom, left, right = box(self.reading.cut, *result.size)
            if (remark := small_region(bottom - top, right - left)) is not None:
                self.log.print(f"{printable(source.path)}: {remark}")
        self.extracted += 1
        self.done.add(source)
        counted = f"{count} snippet{'s' * (count > 1)}"
        if self.settings.verbose and elapsed is not None:
            self.log.print(f"{printable(source.path)}: {counted} in {elapsed:.1f} s")
        return counted

    def _feature_files(self, source: Source) -> list[Path]:
        return [feature_file(self.settings.output, source.relative, crop) for crop in self.settings.crops]

    def _is_done(self, source: Source) -> bool:
        """Whether whole feature files are there, made from the video as it is now.

        Raises:
            FeatureError: they were made from another video.
        """
        known, now = self.origins.of(source.relative), origin(source)
        if known is None or now is None:
            return False
        if not known.is_of(now):
            if known.path != now.path and any(path.exists() for path in self._feature_files(source)):
                raise FeatureError(
                    f"{source.path}: not extracted, since the features of {known.path} have its name in "
                    f"{self.settings.output}; choose another --output, or replace them with --overwrite"
                )
            return False
        shape = (known.snippets, self.width)
        return {*self.settings.crops} <= {*known.crops} and all(
            is_whole(path, shape, self.settings.storage) for path in self._feature_files(source)
        )
