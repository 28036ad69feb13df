"""How long the snippets of feature files last, as far as the note beside them says."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from dsanet_cli.features.files import DEFAULT_FEATURE_FPS
from dsanet_cli.features.folder import name_of
from dsanet_cli.features.sidecar import Extraction, MadeFrom, find_sidecar, read_sidecar


@dataclass(frozen=True)
class SnippetFacts:
    """What is known of the snippets of a feature file."""

    frames: int
    """In a snippet, unless ``seconds`` says how long each is."""
    seconds: float | None
    fps: Fraction | None
    """Of the video; None where the note does not say."""
    video_frames: int | None = None
    """Of the whole video."""

    def lasting(self, fps: Fraction | None = None) -> float:
        """Seconds of a snippet; where nothing says the video's rate, by ``fps``, or 30 frames a second."""
        if self.seconds is not None:
            return self.seconds
        return float(self.frames / (fps or self.fps or DEFAULT_FEATURE_FPS))

    @property
    def known(self) -> bool:
        """Whether it is known how long they last."""
        return self.seconds is not None or self.fps is not None


@dataclass(frozen=True)
class SnippetNotes:
    """The notes beside feature files; each is read once.

    Raises:
        FeatureError: (by ``of``) a note that is damaged.
    """

    frames: int
    """In a snippet where there is no note."""
    _sidecars: dict[Path, Path | None] = field(default_factory=dict)
    """By folder of feature files."""
    _read: dict[Path, tuple[Extraction, dict[str, MadeFrom]]] = field(default_factory=dict)

    def of(self, file: Path) -> SnippetFacts:
        """Of the snippets in a feature file."""
        folder = file.parent
        if folder not in self._sidecars:
            self._sidecars[folder] = find_sidecar(folder)
        sidecar = self._sidecars[folder]
        if sidecar is None:
            return SnippetFacts(self.frames, None, None)
        if sidecar not in self._read:
            extraction = read_sidecar(sidecar)
            self._read[sidecar] = extraction, {made.name: made for made in extraction.videos}
        extraction, videos = self._read[sidecar]
        made = videos.get(name_of(Path(os.path.relpath(file.resolve(), sidecar.parent.resolve()))))
        fps = None if made is None or made.fps is None else Fraction(made.fps)
        frames = None if made is None else made.frames
        return SnippetFacts(extraction.snippet_frames, extraction.snippet_seconds, fps, frames)
