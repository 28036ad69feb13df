"""From videos to feature files in the published layout: one decode for all crops, and a note beside them."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.console import plain_console, print_error, progress_bar, unexpected
from dsanet_cli.encoder.device import DEFAULT_BATCH, choose_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import CENTRE_CROP, FrameEncoder
from dsanet_cli.errors import DsanetError, FeatureError, SourceError, UsageError
from dsanet_cli.features.folder import claim_folder, feature_file, is_whole, write_features
from dsanet_cli.features.lists import ListedFeature, VideoLabels, check_listable, write_list
from dsanet_cli.features.sidecar import Extraction, tower_sha256
from dsanet_cli.files.sources import FEATURE_SUFFIX, Listing, Source, find_sources
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.pipeline.batcher import FloatArray, encode_snippets
from dsanet_cli.pipeline.prefetch import PREFETCHED_BATCHES, prefetch
from dsanet_cli.video.container import video_error
from dsanet_cli.video.probe import VideoInfo, probe
from dsanet_cli.video.reader import Snippet, VideoReader, open_video


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
    storage: Literal["float16", "float32"] = "float32"
    """Number format of the files: ``float16`` or ``float32``."""
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    list_file: Path | None = None
    labels: Path | None = None
    """Mapping of videos to labels for the list; None takes the names of their folders."""
    overwrite: bool = False
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class ExtractOutcome:
    """How many videos were extracted, found done already, and failed."""

    extracted: int
    kept: int
    failed: int


def run_extract(settings: ExtractSettings) -> ExtractOutcome:
    """Extract the features of all videos; one that fails is reported in a line and does not stop the others.

    Raises:
        UsageError: settings that contradict each other, or the features that the output folder holds.
        SourceError: the mapping of labels cannot be read.
        ModelError: the encoder does not load.
        OutputError: the sidecar or the list cannot be written.
    """
    if settings.labels is not None and settings.list_file is None:
        raise UsageError("--labels says what to write into a list; name that with --list")
    run = _Run(settings)
    sources = run.videos(find_sources(settings.sources, settings.recursive, sys.stdin))
    if settings.list_file is not None:
        run.label(sources)
    if sources:
        run.start(sources)
    with run.progress:
        task = run.progress.add_task("", total=len(sources), visible=len(sources) > 1)
        for source in sources:
            run.progress.update(task, description=source.path.name)
            run.extract(source)
            run.progress.advance(task)
    if settings.list_file is not None and run.listed:
        write_list(settings.list_file, run.listed)
    outcome = ExtractOutcome(run.extracted, run.kept, len(run.failed))
    if outcome.extracted or outcome.kept:
        counts = f"{outcome.extracted} extracted, {outcome.kept} kept, {outcome.failed} failed"
        run.log.print(f"{counts}; features in {settings.output}{os.sep}")
    return outcome


class _Run:
    """What one run carries from video to video."""

    def __init__(self, settings: ExtractSettings) -> None:
        self.settings = settings
        self.log = plain_console(stderr=True, quiet=settings.quiet)
        self.progress = progress_bar(settings.quiet)
        self.labels = VideoLabels(settings.labels)
        self.label_of: dict[Path, str] = {}
        self.listed: list[ListedFeature] = []
        self.failed: set[str] = set()
        self.extracted = self.kept = 0
        self.encoder: FrameEncoder
        self.snippet_frames: int
        self.width: int
        self.batch_size: int

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
        device = choose_device(settings.device)
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
        )
        claim_folder(settings.output, extraction, [source.relative for source in sources], settings.overwrite)
        self.encoder = FrameEncoder(tower, chosen.preprocessing, device, dtype)
        self.snippet_frames, self.width = chosen.snippet_frames, chosen.config.width
        self.batch_size = settings.batch_size or DEFAULT_BATCH[device.type]
        crops = "10 crops" if len(settings.crops) > 1 else "centre crop"
        self.log.print(
            f"encoder {chosen.config.architecture} on {device} in {precision_name(dtype)}, "
            f"{settings.sampled_frames} frames a snippet, {crops}, stored in {settings.storage}"
        )

    def extract(self, source: Source) -> None:
        """Write the features of one video; whatever goes wrong is this video's alone."""
        paths = self._feature_files(source)
        try:
            if not self.settings.overwrite and self._is_done(source.path, paths):
                self.kept += 1
            else:
                started = time.monotonic()
                features = self._encode(source.path)
                write_features(paths, features, self.settings.storage)
                self.extracted += 1
                if self.settings.verbose:
                    seconds, count = time.monotonic() - started, len(features)
                    self.log.print(f"{source.path}: {count} snippet{'s' * (count > 1)} in {seconds:.1f} s")
            if source.path in self.label_of:
                self.listed += [ListedFeature(path, self.label_of[source.path]) for path in paths]
        except DsanetError as error:
            self.report_failure(str(source.path), error)
        except Exception as error:  # one video must never end the run
            self.report_failure(str(source.path), unexpected(source.path, error))

    def report_failure(self, name: str, error: DsanetError) -> None:
        """Print one line and remember the failure."""
        print_error(error)
        self.failed.add(name)

    def _feature_files(self, source: Source) -> list[Path]:
        return [feature_file(self.settings.output, source.relative, crop) for crop in self.settings.crops]

    def _is_done(self, video: Path, paths: Sequence[Path]) -> bool:
        """Whether the files are there and as long as the video, which is read for that but not decoded."""
        if not all(path.exists() for path in paths):
            return False
        info = probe(video)
        shape = (max(1, info.frames // self.snippet_frames), self.width)
        return not info.holes and all(is_whole(path, shape, self.settings.storage) for path in paths)

    def _encode(self, video: Path) -> FloatArray:
        """Features (N, crops, D) of a video's whole snippets, from one pass over it."""
        settings, crops = self.settings, self.settings.crops
        reader = open_video(video, self.encoder.preprocessing.resize, settings.sampled_frames, self.snippet_frames)
        depth = math.ceil(PREFETCHED_BATCHES * self.batch_size / settings.sampled_frames)
        try:
            with contextlib.closing(prefetch(reader.snippets(), depth)) as decoded:
                # The crops take turns batch by batch, so that no more than a batch waits for the last of them.
                copies = itertools.tee(_without_gaps(decoded, reader, self.snippet_frames), len(crops))
                encoded = (
                    encode_snippets(copy, self.encoder, self.batch_size, crop)
                    for copy, crop in zip(copies, crops, strict=True)
                )
                return np.array([[item.feature for item in same] for same in zip(*encoded, strict=True)])
        finally:
            reader.close()


def _without_gaps(snippets: Iterable[Snippet], reader: VideoReader, snippet_frames: int) -> Iterator[Snippet]:
    """The whole snippets of a video, or its only one; a rest is dropped (protocol: features).

    Raises:
        VideoError: the video has a hole: the features after it would be taken for those of an earlier time.
    """
    for snippet in snippets:
        _refuse_holes(reader.info)
        if snippet.length == snippet_frames or snippet.index == 0:
            yield snippet
    _refuse_holes(reader.info)


def _refuse_holes(info: VideoInfo) -> None:
    if info.holes:
        start, end = info.holes[0]
        raise video_error(
            info.path,
            f"cannot be decoded from {start:.1f} s to {end:.1f} s, and features with a gap would be out of time; "
            "copy it again, or cut it there",
        )
