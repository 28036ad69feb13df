"""Options that have no effect on the inputs that were named: a line each, since nothing else would tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsanet_cli.detect.profile import Profile, matches
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.features.sidecar import find_sidecar
from dsanet_cli.files.paths import Pictures
from dsanet_cli.files.sources import RECURSIVE_IN_VAIN, Source, is_feature_file, may_be_folder
from dsanet_cli.names import printable
from dsanet_cli.pipeline.pipeline import STALL_TIMEOUT


def without_effect(
    arguments: Sequence[str], recursive: bool, work: RunnerSettings, sources: Sequence[Source]
) -> Iterator[str]:
    """Say which options change nothing.

    Args:
        arguments: What the command line names.
        recursive: Whether folders are taken with all they hold.
        work: The other options.
        sources: What was found.
    """
    if recursive and not any(map(may_be_folder, arguments)):
        yield RECURSIVE_IN_VAIN
    if sources and all(is_feature_file(source.path) for source in sources):
        given = {
            "--jobs": work.pipeline.jobs is not None,
            "--stall-timeout": work.pipeline.stall_timeout != STALL_TIMEOUT,
            "--frames-per-snippet": work.detect.sampled_frames is not None,
            "--snippet-seconds": work.detect.snippet_seconds is not None,
            "--batch-size": work.detect.batch_size is not None,
            "--encoder-weights": work.detect.encoder_weights is not None,
            "--precision": work.detect.precision != "auto",
            "--reuse-still": work.detect.reuse_still is not None,
            "--scan": work.detect.scan_level is not None,
            "--stream": work.detect.reading.stream is not None,
            "--from or --to": work.detect.reading.part is not None,
        }
        reading = work.detect.reading
        if not any(find_sidecar(source.path.parent) for source in sources):  # which says what the features show
            given["--region or --mask"] = reading.region is not None or reading.mask is not None
        for option in (option for option, is_given in given.items() if is_given):
            yield f"{option} has no effect on feature files, which are neither decoded nor encoded"


def unused_cameras(profile: Profile, sources: Sequence[Source]) -> Iterator[str]:
    """Say which cameras of a profile take no video although a person may think so: all, or those after another one."""
    if not (profile.camera and sources):
        return
    taken = {camera for source in sources if (camera := profile.camera_of(source)) is not None}
    if not taken:
        patterns = ", ".join(camera.match for camera in profile.camera)
        yield f"--profile: no video is of a camera in it ({patterns}), so what it says of all holds"
    for camera in profile.camera:
        if camera not in taken and (named := [source for source in sources if matches(source, camera.match)]):
            first = profile.camera_of(named[0])
            assert first is not None
            yield (
                f"--profile: the camera {camera.match} takes no video, since {first.match} comes before it and matches "
                f"{printable(named[0].path)}, too"
            )


def described(sources: Sequence[Source]) -> Iterator[str]:
    """Say what is taken for a video although it is none by itself."""
    for path in (source.path for source in sources):
        if isinstance(path, Pictures):
            count, fps = len(path.files), float(path.fps)
            yield f"{printable(path)}: {count} pictures as one video, {fps:g} a second; --fps sets another rate"
