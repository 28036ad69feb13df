"""Features kept beside results, in ``features/``, as ``extract`` writes them: so that another head can score them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.detect.detector import Detector
from dsanet_cli.encoder.choices import CENTRE_CROP
from dsanet_cli.encoder.device import precision_name
from dsanet_cli.errors import UsageError
from dsanet_cli.features.folder import claim_folder, feature_file, write_features
from dsanet_cli.features.origins import Origins, origin
from dsanet_cli.features.sidecar import Extraction
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.folders import Folder, LocalFolder
from dsanet_cli.files.result_names import FEATURES_FOLDER, KEPT_FOLDER_MARK
from dsanet_cli.files.sources import Source
from dsanet_cli.timeline.facts import VideoFacts

STORAGE: Literal["float32"] = "float32"


class KeptFeatures:
    """The folder of features below one of results.

    A row stands for each snippet of the result. Unlike ``extract``, ``detect`` keeps the last snippet of a video, which
    may be shorter, and what lies around a hole; the times of the rows are those in the result.

    Args:
        folder: Of the results.

    Raises:
        UsageError: it is no folder of this machine.
    """

    def __init__(self, folder: Folder | None) -> None:
        if not isinstance(folder, LocalFolder):
            raise UsageError("--keep-features takes a folder of this machine; name one with --output")
        self._folder = folder.path / FEATURES_FOLDER
        self._origins: Origins | None = None

    @staticmethod
    def name(stem: PurePath) -> PurePath:
        """Where the features of a result lie below the folder of results."""
        return PurePath(feature_file(Path(FEATURES_FOLDER), Path(stem), CENTRE_CROP))

    def claim(self, detector: Detector, names: Iterable[Path], overwrite: bool) -> None:
        """Say in the sidecar how features are made.

        Args:
            detector: With its encoder loaded.
            names: Of the videos to come.
            overwrite: Replace their features of other settings.

        Raises:
            UsageError: features of other settings are there, or cameras have regions of their own.
            FeatureError: a sidecar that is damaged.
            OutputError: the folder cannot be written.
        """
        profile, reading = detector.settings.profile, detector.settings.reading
        if profile is not None and any(said.region or said.mask for said in (profile, *profile.camera)):
            raise UsageError(
                "--keep-features and a profile with regions or masks: features of one folder show one region; give "
                "--region and --mask, camera by camera"
            )
        config, encoder = detector.model.config, detector.load_encoder()
        assert detector.tower_sha256 is not None
        extraction = Extraction(
            encoder=config.encoder,
            weights_sha256=detector.tower_sha256,
            preprocessing=config.preprocessing,
            sampled_frames=detector.sampled_frames,
            crops=(CENTRE_CROP,),
            storage=STORAGE,
            precision=precision_name(encoder.dtype),
            model=str(detector.model.directory.resolve()),
            snippet_frames=config.snippet_frames,
            snippet_seconds=detector.snippet_seconds,
            stream=reading.stream,
            region=reading.cut,
            mask=None if reading.mask is None else reading.mask.sha256,
            reuse_still=detector.settings.reuse_still,
        )
        claim_folder(self._folder, extraction, names, overwrite)
        with atomic_write(self._folder / KEPT_FOLDER_MARK):
            pass
        self._origins = Origins(self._folder)

    def write(self, source: Source, facts: VideoFacts, features: NDArray[np.float32]) -> None:
        """Write the features (N, D) of a video of which ``facts`` are known.

        Raises:
            FeatureError: values that are not finite.
            OutputError: a file cannot be written.
        """
        write_features([feature_file(self._folder, source.relative, CENTRE_CROP)], features[:, None], STORAGE)
        made = origin(source)
        if self._origins is not None and made is not None:
            rate = None if facts.fps is None else f"{facts.fps.numerator}/{facts.fps.denominator}"
            noted = dataclasses.replace(made, snippets=len(features), crops=(CENTRE_CROP,))
            self._origins.add(dataclasses.replace(noted, frames=facts.frames, fps=rate))

    @contextlib.contextmanager
    def saved(self) -> Iterator[None]:
        """Have the notes on the videos written when the block ends."""
        try:
            yield
        finally:
            if self._origins is not None:
                self._origins.save()
