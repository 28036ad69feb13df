"""A quick look at a video's key frames first, and the whole of what looks suspicious after that.

Between two key frames the scan knows nothing: it gives every snippet the features of the last key frame before
it. What reaches the scan level is decoded fully, with the spans between key frames around it, since an event can
begin before the key frame that shows it and go on after it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.detect.detector import Analysis, Detection, Detector, video_facts
from dsanet_cli.pipeline.batcher import EncodedSnippet, FloatArray
from dsanet_cli.timeline.timeline import covered
from dsanet_cli.video.probe import VideoInfo
from dsanet_cli.video.reader import Snippet

MARGIN = 4
"""Snippets decoded on either side of a suspicious one at least, where key frames are dense."""


class ScanAnalysis:
    """One video in scan mode: first the snippets with key frames, then those that ``suspicious`` asked for."""

    def __init__(self, detector: Detector, path: Path, level: float) -> None:
        self._detector = detector
        self._level = level
        self._analysis = Analysis(detector, path)
        self._snippets: list[EncodedSnippet] = []
        """Of the first pass; many share a feature, and none has a frame."""
        self._keys: list[int] = []
        """Numbers of the snippets that hold a key frame."""
        self._wanted: frozenset[int] = frozenset()
        self._position = 0
        """Number of the snippet that the timeline goes on with."""
        self._spans: list[tuple[float, float]] = []
        """Of the timeline's snippets that were scanned only."""
        self.scanned = False

    def take(self, snippet: Snippet, features: FloatArray) -> None:
        """Take the next snippet with the features (k, D) of its frames; in the first pass k is 0 or 1."""
        if self.scanned:
            self._add_scanned(snippet.index)
            self._analysis.take(snippet, features)
            self._position = snippet.index + 1
            return
        if len(features):
            self._keys.append(snippet.index)
            feature = features[0]
        elif self._snippets:
            feature = self._snippets[-1].feature
        else:  # the first key frame cannot be decoded
            feature = np.zeros(self._detector.model.config.head.width, np.float32)
        self._snippets.append(EncodedSnippet(snippet.start, snippet.end, feature, None))

    def suspicious(self) -> frozenset[int]:
        """Numbers of the snippets to decode fully; ends the first pass."""
        self.scanned = True
        scores = self._scores()
        keys = np.array(self._keys or [0])
        wanted: set[int] = set()
        for snippet in np.flatnonzero(scores >= self._level).tolist():
            place = int(np.searchsorted(keys, snippet, side="right")) - 1
            first = keys[max(0, place - 1)]
            last = keys[place + 1] if place + 1 < len(keys) else len(scores)
            wanted.update(range(min(int(first), snippet - MARGIN), max(int(last), snippet + MARGIN + 1)))
        self._wanted = frozenset(wanted.intersection(range(len(scores))))
        return self._wanted

    def conclude_video(self, info: VideoInfo) -> Detection:
        """The timeline of all snippets, after the second pass or where there was nothing to look at in one."""
        self._add_scanned(len(self._snippets))
        return self._analysis.conclude(video_facts(info), covered(info.duration, info.holes, self._spans))

    def _add_scanned(self, end: int) -> None:
        """Go on up to number ``end`` with what was scanned; what should have been decoded there is a hole."""
        for index in range(self._position, end):
            if index not in self._wanted:
                snippet = self._snippets[index]
                self._analysis.add(snippet)
                self._spans.append((snippet.start, snippet.end))

    def _scores(self) -> NDArray[np.float32]:
        window = self._detector.model.config.head.window
        scores = []
        for first in range(0, len(self._snippets), window):
            features = np.stack([snippet.feature for snippet in self._snippets[first : first + window]])
            scores.append(self._detector.score(features).scores.numpy())
        return np.concatenate(scores)
