"""Features are worth something only to a head of the same encoder and snippets: their sidecars are checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dsanet_cli.config import EncoderConfig, ModelConfig, Preprocessing
from dsanet_cli.errors import FeatureError
from dsanet_cli.features.sidecar import (
    SIDECAR_FILE,
    Extraction,
    find_sidecar,
    read_sidecar,
    said_region,
)
from dsanet_cli.records import Region
from dsanet_cli.video.options import ReadOptions

SAME_LENGTH = 0.01
"""Share by which the length of snippets may differ."""


@dataclass(frozen=True)
class EncoderCheck:
    """The encoder that feature files must come from; each sidecar is read once.

    Raises:
        FeatureError: (by ``check``) features of another encoder, or a sidecar that is damaged.
    """

    encoder: EncoderConfig
    preprocessing: Preprocessing
    sha256: str | None
    """Of the image tower's tensors; None where that is not known, as in models of earlier versions."""
    snippet_seconds: float | None = None
    """That a snippet lasts; None counts frames."""
    only_by_time: bool = False
    """Where they last some time, refuse those that count frames, too, of which nobody may know how long they last."""
    _sidecars: dict[Path, Path | None] = field(default_factory=dict)
    """By folder of feature files."""
    _seen: dict[Path, tuple[Region | None, str | None] | None] = field(default_factory=dict)
    """Region and mask by sidecar, which may name thousands of videos."""
    _fitting: set[Path] = field(default_factory=set)

    @classmethod
    def of_model(cls, config: ModelConfig) -> EncoderCheck:
        """For features that a model is to score."""
        return cls(config.encoder, config.preprocessing, config.encoder_sha256, config.snippet_seconds)

    def check(self, file: Path) -> None:
        """Refuse a feature file whose sidecar names another encoder or time; without a sidecar it is taken."""
        sidecar = self._sidecar_of(file)
        if sidecar is None or sidecar in self._fitting:
            return
        made = read_sidecar(sidecar)
        if fault := self._difference(made):
            raise FeatureError(
                f"{file}: features of another encoder: {fault}; use the model or encoder that they were made with "
                f"({made.model or made.encoder.architecture}), or extract them again with this one"
            )
        seconds = made.snippet_seconds
        counted = seconds is None and (self.snippet_seconds is None or not self.only_by_time)
        if not counted and not same_length(seconds, self.snippet_seconds):
            theirs, own = (
                f"{made.snippet_frames} frames" if length is None else f"{length:.3g} s"
                for length in (seconds, self.snippet_seconds)
            )
            raise FeatureError(
                f"{file}: features of snippets of {theirs}, not of {own}; extract them again with the same "
                "--snippet-seconds as the others, or without"
            )
        self._fitting.add(sidecar)

    def seen(self, file: Path) -> tuple[Region | None, str | None] | None:
        """Region and hash of the mask that a feature file was made with; None where that is not known."""
        sidecar = self._sidecar_of(file)
        if sidecar is None:
            return None
        if sidecar not in self._seen:
            try:
                made = read_sidecar(sidecar)
                self._seen[sidecar] = made.region, made.mask
            except FeatureError:
                self._seen[sidecar] = None
        return self._seen[sidecar]

    def check_seen(self, file: Path, wanted: ReadOptions) -> None:
        """Refuse a feature file that was made of another region, or with another mask, than is wanted.

        Raises:
            FeatureError: its sidecar says so, and something is wanted.
        """
        if (wanted.region is None and wanted.mask is None) or (seen := self.seen(file)) is None:
            return
        region, mask = seen
        if region != wanted.cut:
            raise FeatureError(
                f"{file}: features of another region, {said_region(region)}, not {said_region(wanted.cut)}; extract "
                "them again with this --region, or name the one that they were made of"
            )
        if mask != (None if wanted.mask is None else wanted.mask.sha256):
            raise FeatureError(
                f"{file}: features made {'without a' if mask is None else 'with another'} mask; extract them again "
                "with the same --mask, or name the one that they were made with"
            )

    def _sidecar_of(self, file: Path) -> Path | None:
        folder = file.parent
        if folder not in self._sidecars:
            self._sidecars[folder] = find_sidecar(folder)
        return self._sidecars[folder]

    def _difference(self, made: Extraction) -> str:
        """In what the features' encoder is another one; empty where it is the same."""
        if self.sha256 is not None:
            if made.weights_sha256 != self.sha256:
                return f"its weights have the SHA-256 {made.weights_sha256[:12]}…, not {self.sha256[:12]}…"
        elif (made.encoder.architecture, made.encoder.custom) != (self.encoder.architecture, self.encoder.custom):
            return f"it is {made.encoder.architecture}, not {self.encoder.architecture}"
        if made.preprocessing != self.preprocessing:
            return f"its preprocessing is {made.preprocessing}, not {self.preprocessing}"
        return ""


def same_length(one: float | None, other: float | None) -> bool:
    """Whether snippets last as long, in seconds; None is of so many frames."""
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME_LENGTH * one


def note_without_sidecar(files: Iterable[Path]) -> str | None:
    """A line for the user where feature files have no sidecar, so that nothing says which encoder made them."""
    for folder in dict.fromkeys(file.parent for file in files):
        if find_sidecar(folder) is None:
            return (
                f"{folder}: no {SIDECAR_FILE} beside the features, so nothing says which encoder made them; "
                "they are taken as the model's"
            )
    return None
