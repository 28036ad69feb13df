"""How to analyse, and where results go: what the command line says, known without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from dsanet_cli.config import EventRule, ModelConfig
from dsanet_cli.detect.films import Film
from dsanet_cli.detect.profile import Profile
from dsanet_cli.files.paths import take_paths
from dsanet_cli.models.folders import BUILT_IN_MODEL
from dsanet_cli.pipeline.pipeline import PipelineSettings
from dsanet_cli.timeline.formats import DEFAULT_FORMATS
from dsanet_cli.timeline.recorded import FROM_THE_FILE, ClockSettings
from dsanet_cli.video.messages import Decoding
from dsanet_cli.video.options import WHOLE, ReadOptions


@dataclass(frozen=True)
class DetectSettings:
    """How to analyse; None means that the model decides."""

    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    sampled_frames: int | None = None
    snippet_seconds: float | None = None
    """That a snippet lasts, whatever the number of its frames."""
    events: EventRule | None = None
    encoder_weights: Path | None = None
    feature_fps: Fraction | None = None
    """Frames per second of feature files; None takes what the note beside them says, or 30."""
    profile: Profile | None = None
    """Rules of cameras, which go before ``events``, and their regions and masks, which do not go before ``reading``."""
    scan_level: float | None = None
    """Look at key frames first, and decode fully only around scores from this on (``dsanet_cli.detect.scan``)."""
    reading: ReadOptions = WHOLE
    """What to read of a video."""
    keep_features: bool = False
    """Give features with each detection."""
    clock: ClockSettings = FROM_THE_FILE
    """When it was recorded."""
    reuse_still: float | None = None
    """A picture is not encoded, and the feature of the last one that was is taken again, if no block of 8 x 8 pixels
    differs in its mean by more than so many grey levels of 255; None encodes every picture."""

    def __post_init__(self) -> None:
        take_paths(self, "encoder_weights")


def decoding_of(config: ModelConfig, settings: DetectSettings) -> Decoding:
    """What a model's analysis decodes of a video."""
    return Decoding(
        config.preprocessing.resize,
        settings.sampled_frames or config.sampled_frames,
        config.snippet_frames,
        settings.snippet_seconds or config.snippet_seconds,
        scan=settings.scan_level is not None,
        options=settings.reading,
    )


@dataclass(frozen=True)
class RunnerSettings:
    """How videos are analysed and where results go; None means that the model decides."""

    output: str | None
    """Folder for results, a path or a URL; None writes the one result to stdout."""
    formats: tuple[str, ...] = DEFAULT_FORMATS
    """In a folder, the record is written, too."""
    model: str = BUILT_IN_MODEL
    model_reason: str = ""
    """Why it was taken, for the console."""
    classes: Path | None = None
    """Other classes for it, in words."""
    profile: Path | None = None
    """Rules of the cameras at hand."""
    detect: DetectSettings = field(default_factory=DetectSettings)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    threshold: float | None = None
    release: float | None = None
    merge_gap: float | None = None
    min_length: float | None = None
    thumbnails: bool = False
    """Whether pictures of the highest scores are kept beside each record."""
    films: tuple[Film, ...] = ()
    """Formats that open the video again."""
    other_films: tuple[Film, ...] = ()
    """Such formats that are not asked for: what is there of them goes where events are others now."""
    replace_others: bool = False
    """Whether results may replace those of other videos."""
