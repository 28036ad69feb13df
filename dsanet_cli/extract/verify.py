"""How close one's own features come to a published file, and by which pooling of frames that file was made."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from dsanet_cli.console import plain_console
from dsanet_cli.encoder.device import DEFAULT_BATCH, choose_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import CENTRE_CROP, FrameEncoder
from dsanet_cli.features.files import load_features
from dsanet_cli.features.folder import crop_of
from dsanet_cli.models.encoder_choice import EncoderChoice, choose_encoder
from dsanet_cli.pipeline.batcher import FloatArray, encode_frames
from dsanet_cli.pipeline.prefetch import PREFETCHED_BATCHES, prefetch
from dsanet_cli.text import format_time
from dsanet_cli.video.container import COPY_AGAIN, video_error
from dsanet_cli.video.reader import VideoReader, open_video, sample_offsets

GOOD_COSINE = 0.9
"""Mean cosine of the best pooling below which something else than the pooling must differ."""
POOLINGS: dict[str, Callable[[int], Sequence[int]]] = {
    "mean of all frames": range,
    "first frame": lambda count: range(min(count, 1)),
    "middle frame": lambda count: sample_offsets(count, 1),
}
"""Which of a snippet's frames are averaged, out of how many; the likeliest pooling first, which wins a tie."""


@dataclass(frozen=True)
class VerifySettings:
    """One run of ``dsanet extract --verify``."""

    published: Path
    video: Path
    encoder: EncoderChoice = field(default_factory=EncoderChoice)
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    quiet: bool = False


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
        FeatureError: the published file is none, or of another width than the encoder.
        VideoError: the video cannot be opened or decoded.
        UsageError: contradicting options, or a device or precision this machine does not have.
        ModelError: the encoder does not load.
    """
    device = choose_device(settings.device)
    dtype = choose_precision(settings.precision, device)
    chosen = choose_encoder(settings.encoder)
    published = load_features(settings.published, chosen.config.width)
    size, frames = chosen.preprocessing.resize, chosen.snippet_frames
    reader = open_video(settings.video, size, sampled_frames=frames, snippet_frames=frames)
    encoder = FrameEncoder(chosen.load_tower(), chosen.preprocessing, device, dtype)
    named = crop_of(settings.published)
    crop = CENTRE_CROP if named is None else named
    plain_console(stderr=True, quiet=settings.quiet).print(
        f"encoder {chosen.config.architecture} on {device} in {precision_name(dtype)}, "
        f"crop {crop} ({'which no file name says' if named is None else 'as the file name says'})"
    )
    batch_size = settings.batch_size or DEFAULT_BATCH[device.type]
    comparison = compare(published, reader, encoder, crop, frames, batch_size)
    print_comparison(comparison, settings)
    return comparison


def compare(
    published: FloatArray, reader: VideoReader, encoder: FrameEncoder, crop: int, snippet_frames: int, batch_size: int
) -> Comparison:
    """Pool the frames of each snippet in each way, and compare with the published features (N, D).

    Args:
        published: (N, D) float32.
        reader: Of the video, delivering every frame.
        encoder: To encode it with.
        crop: Which of the ten crops.
        snippet_frames: Frames in a snippet.
        batch_size: Frames encoded at once.

    Raises:
        VideoError: no snippet that both have can be decoded.
    """
    starts: list[float] = []
    cosines: dict[str, list[float]] = {name: [] for name in POOLINGS}
    depth = math.ceil(PREFETCHED_BATCHES * batch_size / snippet_frames)
    try:
        with contextlib.closing(prefetch(reader.snippets(range(len(published))), depth)) as decoded:
            compared = (snippet for snippet in decoded if snippet.length == snippet_frames or snippet.index == 0)
            for snippet, frames in encode_frames(compared, encoder, batch_size, crop):
                starts.append(snippet.start)
                for name, kept in POOLINGS.items():
                    pooled = frames[list(kept(len(frames)))].mean(axis=0)
                    cosines[name].append(cosine(pooled, published[snippet.index]))
    finally:
        reader.close()
    if not starts:
        raise video_error(reader.info.path, f"none of its first {len(published)} snippets can be decoded; {COPY_AGAIN}")
    return Comparison(
        extracted=max(1, reader.info.frames // snippet_frames),
        published=len(published),
        starts=np.array(starts),
        cosines={name: np.array(values, dtype=np.float32) for name, values in cosines.items()},
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
