"""A quick look at a video's key frames first, and the whole of what looks suspicious after that.

Between two key frames the scan knows nothing: it gives every snippet the features of the last key frame before
it. What reaches the scan level is decoded fully, with the spans between key frames around it, since an event can
begin before the key frame that shows it and go on after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.detect.analysis import Analysis, Detection, Scoring, SnippetFeature, coverage, video_facts
from dsanet_cli.pipeline.batcher import EncodedSnippet
from dsanet_cli.pipeline.pipeline import Collector
from dsanet_cli.video.probe import VideoInfo

MARGIN = 4
"""Snippets decoded on either side of a suspicious one at least, where key frames are dense."""


class ScanAnalysis(Collector[Detection]):
    """One video in scan mode: first the snippets with key frames, then those that ``suspicious`` asked for.

    Args:
        analysis: Of the same video; takes all snippets in the end.
        scoring: As the analysis has it.
        level: Score from which on a snippet is suspicious.
    """

    def __init__(self, analysis: Analysis, scoring: Scoring, level: float) -> None:
        self._analysis = analysis
        self._scoring = scoring
        self._level = level
        self._snippets: list[SnippetFeature] = []
        """Of the first pass; many share a feature, and none has a picture."""
        self._keys: list[int] = []
        """Numbers of the snippets that hold a key frame."""
        self._wanted: frozenset[int] = frozenset()
        self._position = 0
        """Number of the snippet that the timeline goes on with."""
        self._spans: list[tuple[float, float]] = []
        """Of the timeline's snippets that were scanned only."""
        self.scanned = False

    def take(self, snippet: EncodedSnippet) -> None:
        """Take the next snippet; in the first pass it has the features of one frame or of none."""
        if self.scanned:
            self._add_scanned(snippet.index)
            self._analysis.take(snippet)
            self._position = snippet.index + 1
            return
        if snippet.features.shape[1]:
            self._keys.append(snippet.index)
            feature = snippet.features[0, 0]
        elif self._snippets:
            feature = self._snippets[-1].feature
        else:  # the first key frame cannot be decoded
            feature = np.zeros(self._scoring.width, np.float32)
        self._analysis.count(snippet.features.shape[1], snippet.reused)
        self._snippets.append(SnippetFeature(snippet.start, snippet.end, feature, None))

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

    def finish(self, info: VideoInfo) -> Detection:
        """The timeline of all snippets, after the second pass or where there was nothing to look at in one."""
        self._add_scanned(len(self._snippets))
        return self._analysis.conclude(video_facts(info), coverage(info, self._spans))

    def _add_scanned(self, end: int) -> None:
        """Go on up to number ``end`` with what was scanned; what should have been decoded there is a hole."""
        for index in range(self._position, end):
            if index not in self._wanted:
                snippet = self._snippets[index]
                self._analysis.add(snippet)
                self._spans.append((snippet.start, snippet.end))

    def _scores(self) -> NDArray[np.float32]:
        window = self._scoring.window
        scores = []
        for first in range(0, len(self._snippets), window):
            features = np.stack([snippet.feature for snippet in self._snippets[first : first + window]])
            scores.append(self._scoring.score(features).scores.numpy())
        return np.concatenate(scores)
