"""The features of one video, as they come from the encoder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from dsanet_cli.errors import VideoError
from dsanet_cli.features.origins import origin
from dsanet_cli.features.sidecar import MadeFrom
from dsanet_cli.files.sources import Source
from dsanet_cli.pipeline.batcher import EncodedSnippet, FloatArray
from dsanet_cli.pipeline.pipeline import Collector
from dsanet_cli.video.container import video_error
from dsanet_cli.video.probe import UNDECODABLE, Hole, VideoInfo


@dataclass(frozen=True)
class VideoFeatures:
    """All features of a video: (N, crops, D), a mean for each snippet, and the video as it was before they were made.

    ``origin`` is None where it is unknown; ``size`` is (height, width) in pixels of its pictures; ``reused`` is the
    share of those looked at that were not encoded, since the last one that was shows the same.
    """

    features: FloatArray
    origin: MadeFrom | None
    size: tuple[int, int]
    reused: float = 0.0


class FeatureCollector(Collector[VideoFeatures]):
    """Averages the features of each snippet; a video with a hole is refused (protocol: features).

    Features after a hole would be read as those of an earlier time.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._origin = origin(source)
        self._features: list[FloatArray] = []
        self._end = 0.0
        self._looked_at = self._reused = 0
        """Frames."""

    def take(self, snippet: EncodedSnippet) -> None:
        """Add the next snippet.

        Raises:
            VideoError: there should be another before it.
        """
        if snippet.index != len(self._features):
            raise self._hole(Hole(self._end, snippet.start, UNDECODABLE))
        self._features.append(np.stack([frames.mean(axis=0) for frames in snippet.features]))
        self._end = snippet.end
        self._looked_at += snippet.features.shape[1]
        self._reused += snippet.reused

    def finish(self, info: VideoInfo) -> VideoFeatures:
        """All features.

        Raises:
            VideoError: the video has a hole.
        """
        if info.gaps:
            raise self._hole(info.gaps[0])
        made = self._origin
        if made is not None:
            fps = f"{info.fps.numerator}/{info.fps.denominator}"
            made = dataclasses.replace(made, frames=info.frames, fps=fps)
        reused = self._reused / max(1, self._looked_at)
        return VideoFeatures(np.stack(self._features), made, (info.height, info.width), reused)

    def _hole(self, hole: Hole) -> VideoError:
        return video_error(
            self._source.path,
            f"{hole.reason} from {hole.start:.1f} s to {hole.end:.1f} s, and features with a gap would be out of time; "
            "copy it again, or cut it there",
        )
