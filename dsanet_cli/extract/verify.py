"""How close this program's features come to a published file, and which pooling of frames that file was made with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from dsanet_cli.console import plain_console
from dsanet_cli.encoder.choices import CENTRE_CROP, DEFAULT_BATCH
from dsanet_cli.encoder.device import choose_encoder_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.features.files import load_features
from dsanet_cli.features.folder import crop_of
from dsanet_cli.files.sources import Source
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.pipeline.batcher import EncodedSnippet, FloatArray
from dsanet_cli.pipeline.pipeline import Collector, Pipeline, PipelineSettings
from dsanet_cli.pipeline.progress import BatchProgress
from dsanet_cli.text import format_time
from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.messages import Decoding
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import sample_offsets

GOOD_COSINE = 0.9
"""If the best pooling has a lower mean cosine, something other than the pooling differs."""
POOLINGS: dict[str, Callable[[int], Sequence[int]]] = {
    "mean of all frames": range,
    "first frame": lambda count: range(min(count, 1)),
    "middle frame": lambda count: sample_offsets(count, 1),
}
"""Ways to pool a snippet's frames: which are averaged. The likeliest is first and wins a tie."""


@dataclass(frozen=True)
class VerifySettings:
    """One run of ``dsanet extract --verify``."""

    published: Path
    video: Path
    encoder: EncoderChoice = field(default_factory=EncoderChoice)
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    quiet: bool = False
    reading: ReadOptions = WHOLE
    """What to read of the video."""


@dataclass(frozen=True)
class Comparison:
    """Features of a video against a published file, over the snippets that both have."""

    extracted: int
    """Whole snippets in the video."""
    published: int
    """Snippets in the published file."""
    starts: NDArray[np.float64]
    """(n,) seconds at which the snippets compared start."""
    cosines: dict[str, FloatArray]
    """(n,) cosine of each snippet, -1 to 1, by pooling."""

    @property
    def ranking(self) -> list[str]:
        """Poolings, the one of the highest mean cosine first."""
        return sorted(self.cosines, key=lambda pooling: -float(self.cosines[pooling].mean()))


def run_verify(settings: VerifySettings) -> Comparison:
    """Compare a video's features with a published file and print what was found.

    Raises:
        FeatureError: the published file is not a feature file, or of another width than the encoder.
        VideoError: the video cannot be opened or decoded.
        UsageError: contradicting options, or a device or precision this machine does not have.
        ModelError: the encoder does not load.
    """
    device = choose_encoder_device(settings.device)
    dtype = choose_precision(settings.precision, device)
    chosen = choose_encoder(settings.encoder)
    published = load_features(settings.published, chosen.config.width)
    encoder = FrameEncoder(chosen.load_tower(), chosen.preprocessing, device, dtype)
    named = crop_of(settings.published)
    crop = CENTRE_CROP if named is None else named
    plain_console(stderr=True, quiet=settings.quiet).print(
        f"encoder {chosen.config.architecture} on {device} in {precision_name(dtype)}, "
        f"crop {crop} ({'which no file name says' if named is None else 'as the file name says'})"
    )
    frames = chosen.snippet_frames
    decoding = Decoding(
        chosen.preprocessing.resize,
        frames,
        frames,
        first_snippets=len(published),
        whole_only=True,
        options=settings.reading,
    )
    batch_size = settings.batch_size or DEFAULT_BATCH[device.type]
    pipeline = Pipeline(encoder, decoding, batch_size, settings.pipeline, (crop,))
    source = Source(settings.video, Path(settings.video.stem))
    with BatchProgress([source], settings.quiet) as progress:
        comparison = pipeline.run_one(source, Poolings(published, frames), progress.watch)
    print_comparison(comparison, settings)
    return comparison


class Poolings(Collector[Comparison]):
    """Pools the frames of each snippet in each way, and compares with the published features.

    Args:
        published: (N, D) float32.
        snippet_frames: Frames in a snippet.
    """

    def __init__(self, published: FloatArray, snippet_frames: int) -> None:
        self._published = published
        self._snippet_frames = snippet_frames
        self._starts: list[float] = []
        self._cosines: dict[str, list[float]] = {name: [] for name in POOLINGS}

    def take(self, snippet: EncodedSnippet) -> None:
        """Compare a snippet of which every frame was encoded."""
        (frames,) = snippet.features
        self._starts.append(snippet.start)
        for name, kept in POOLINGS.items():
            pooled = frames[list(kept(len(frames)))].mean(axis=0)
            self._cosines[name].append(cosine(pooled, self._published[snippet.index]))

    def finish(self, info: VideoInfo) -> Comparison:
        """The comparison.

        Raises:
            VideoError: no snippet that both have can be decoded.
        """
        count = len(self._published)
        if not self._starts:
            raise video_error(info.path, f"none of its first {count} snippets can be decoded; {COPY_AGAIN}")
        return Comparison(
            extracted=max(1, info.frames // self._snippet_frames),
            published=count,
            starts=np.array(self._starts),
            cosines={name: np.array(values, dtype=np.float32) for name, values in self._cosines.items()},
        )


def cosine(one: FloatArray, other: FloatArray) -> float:
    """Cosine of the angle between two (D,) vectors; 0 where one has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def print_comparison(comparison: Comparison, settings: VerifySettings) -> None:
    """Print a line per snippet, a table of poolings, and which fits best."""
    console = plain_console()
    best, second = comparison.ranking[:2]
    console.print(f"snippet      start  cosine ({best})")
    for number, (start, value) in enumerate(zip(comparison.starts, comparison.cosines[best], strict=True)):
        console.print(f"{number:7}  {format_time(start):>9}  {value:.4f}")
    table = Table("pooling", "mean cosine", "lowest", box=None, header_style="bold")
    for name in comparison.ranking:
        values = comparison.cosines[name]
        table.add_row(name, f"{values.mean():.4f}", f"{values.min():.4f}")
    console.print(table)
    if comparison.extracted != comparison.published:
        console.print(
            f"lengths differ: {settings.video} has {comparison.extracted} whole snippets, {settings.published} "
            f"has {comparison.published}; the first {len(comparison.starts)} were compared"
        )
    mean = float(comparison.cosines[best].mean())
    ahead = mean - float(comparison.cosines[second].mean())
    console.print(f"the {best} fits best: mean cosine {mean:.4f}, {ahead:.4f} above the {second}")
    if mean < GOOD_COSINE:
        console.print(
            f"below {GOOD_COSINE}, something else differs: check the encoder and its activation (ViT-B-16-quickgelu "
            "made the published sets), the crop (__0 to __9 in the file name), and that this is the very video, at "
            "the frame rate it had"
        )
