"""How long the snippets that a head is trained on last: each video's own, and what its model is to look at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.features.encoder_check import same_length
from dsanet_cli.features.snippets import SnippetNotes

MOST = 0.9
"""Share of the videos whose snippets last as long that makes this the length of a model's."""


class SnippetLengths:
    """Of feature files, from the notes beside them.

    Raises:
        FeatureError: a note that is damaged.
    """

    def __init__(self) -> None:
        self._notes = SnippetNotes(FRAMES_PER_SNIPPET)

    def of(self, file: Path) -> float:
        """Seconds of each snippet in a file; of 16 frames at 30 a second where nothing says the video's rate."""
        return self._notes.of(file).lasting()

    def unknown(self, files: Sequence[Path]) -> int:
        """Files of which nothing says how long their snippets last."""
        return sum(not self._notes.of(file).known for file in files)

    def typical(self, files: Sequence[Path], default: float | None) -> float | None:
        """Seconds of the snippets of nearly all files; None where they differ, so that a model counts frames.

        Args:
            files: One for each video.
            default: The answer where nothing is known of any.
        """
        known = [facts.lasting() for facts in map(self._notes.of, files) if facts.known]
        if not known:
            return default
        middle = statistics.median_low(known)
        alike = sum(same_length(middle, seconds) for seconds in known)
        return middle if alike >= MOST * len(files) else None
