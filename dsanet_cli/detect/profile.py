"""A profile of the cameras at hand, in a TOML file that people edit: what is looked at, and what becomes an event.

::

    model = "scenes"                  # what it was calibrated with
    model_sha256 = "ab12..."
    threshold = 0.62                  # of all cameras
    release = 0.434
    drop = ["arson"]                  # classes whose events are left out; scores stay
    region = [0, 0.2, 1, 0.8]         # left, top, width, height of what is looked at, as shares of the picture
    mask = "clock.png"                # black hides; beside this file

    [[camera]]                        # of one camera, or of several
    match = "cam3_*"
    threshold = 0.8
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from dsanet_cli.config import EventRule
from dsanet_cli.errors import UsageError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.folders import absolute
from dsanet_cli.files.sources import Source
from dsanet_cli.files.toml import read_toml
from dsanet_cli.records import Length, Name, PathText, Region, SchemaError, Share, decode_exactly
from dsanet_cli.video.options import check_region

if TYPE_CHECKING:
    from dsanet_cli.models.default import Choice

C = TypeVar("C", bound="CameraRule")


@dataclass(frozen=True, kw_only=True)
class CameraRule:
    """What a profile says of cameras; None leaves it to the profile as a whole, or to the model."""

    threshold: Share | None = None
    release: Share | None = None
    merge_gap: Length | None = None
    min_length: Length | None = None
    drop: tuple[Name, ...] | None = None
    """Classes whose events are left out."""
    region: Region | None = None
    """What is looked at, as shares of the picture."""
    mask: PathText | None = None
    """File of a mask; empty for none."""

    def check(self) -> None:
        """Make sure that what is said goes together.

        Raises:
            UsageError: it does not.
        """
        if self.region is not None:
            check_region(self.region)
        if self.threshold is not None and self.release is not None and self.release > self.threshold:
            raise UsageError(
                f"release {self.release:g} is above threshold {self.threshold:g}; an event ends below where it starts"
            )


@dataclass(frozen=True, kw_only=True)
class Camera(CameraRule):
    """Of the videos whose path below the folder of inputs, name, or last folders match a pattern."""

    match: Name


@dataclass(frozen=True, kw_only=True)
class Profile(CameraRule):
    """All of a profile; the first camera that matches a video overrides what is said of all."""

    model: Name | None = None
    model_sha256: Name | None = None
    camera: tuple[Camera, ...] = ()

    def rule(self, source: Source, base: EventRule) -> EventRule:
        """The rule for a video; ``base`` is the model's own."""
        changes = {
            field.name: value
            for field in dataclasses.fields(EventRule)
            if (value := self._said(source, field.name)) is not None
        }
        return dataclasses.replace(base, **changes)

    def view(self, source: Source) -> tuple[Region | None, str | None]:
        """Region, and file of the mask, of a video; None where nothing is said of it."""
        return self._said(source, "region"), self._said(source, "mask")

    @property
    def masks(self) -> set[str]:
        """The files of all masks."""
        return {said.mask for said in (self, *self.camera) if said.mask}

    def camera_of(self, source: Source) -> Camera | None:
        """The first camera that matches a video."""
        return next((camera for camera in self.camera if matches(source, camera.match)), None)

    def overridden(self, **said: float) -> Profile:
        """The same for what the command line does not say itself, of all cameras."""
        camera = tuple(dataclasses.replace(one, **said) for one in self.camera)  # type: ignore[arg-type]
        return dataclasses.replace(self, camera=camera, **said)  # type: ignore[arg-type]

    @property
    def dropped(self) -> set[str]:
        """All classes whose events it leaves out somewhere."""
        return {name for said in (self, *self.camera) for name in said.drop or ()}

    def _said(self, source: Source, name: str) -> Any:
        camera = self.camera_of(source)
        value = None if camera is None else getattr(camera, name)
        return getattr(self, name) if value is None else value


def read_profile(path: Path) -> Profile:
    """Read a profile; the paths of its masks start from its folder.

    Raises:
        UsageError: it cannot be read, is no TOML, or holds what a profile does not; names the entry.
    """
    try:
        profile = decode_exactly(Profile, json.dumps(read_toml(path), default=str).encode())
        for said in (profile, *profile.camera):
            said.check()
        camera = tuple(_located(one, path.parent) for one in profile.camera)
        return dataclasses.replace(_located(profile, path.parent), camera=camera)
    except (SchemaError, UsageError) as error:
        raise UsageError(f"--profile {path}: {error}") from error
    except OSError as error:
        raise UsageError(f"--profile {path}: cannot be read ({error.strerror}); name a file of calibrate's") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--profile {path}: not a TOML file of a profile ({error})") from error


def choose_for(path: Path, named: str | None) -> Choice:
    """The model to take with a profile: the one that is named, else the one that it was calibrated with.

    Raises:
        UsageError: see ``read_profile``.
        ModelError: see ``choose_model``.
    """
    from dsanet_cli.models.default import Choice, choose_model  # noqa: PLC0415  (torch, which profiles do without)

    model = read_profile(path).model
    if named is not None or model is None:
        return choose_model(named)
    beside = path.parent / model
    return Choice(str(beside) if beside.is_dir() and not os.path.isdir(model) else model, "--profile")


def write_profile(path: Path, profile: Profile, remarks: list[str]) -> None:
    """Write a profile that a person can read and edit.

    Args:
        path: The file to write or replace.
        profile: What to write; what is None is left out.
        remarks: Lines of comment above it.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path) as stream:
        stream.writelines(f"# {line}\n" for line in remarks)
        stream.writelines(_entries(profile))
        for camera in profile.camera:
            stream.writelines(["\n[[camera]]\n", *_entries(camera)])


def path_from(folder: Path, path: str) -> str:
    """``path``, from the current folder, as a profile in ``folder`` names it: short where it lies there, else whole."""
    whole = Path(os.path.abspath(path))
    above = Path(os.path.abspath(folder))
    return str(whole.relative_to(above) if whole.is_relative_to(above) else whole)


def _entries(said: CameraRule) -> list[str]:
    values = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    # A TOML string, number or list of strings is written as in JSON.
    return [
        f"{name} = {json.dumps(value)}\n" for name, value in values.items() if name != "camera" and value is not None
    ]


def _located(said: C, folder: Path) -> C:
    """The same with the path of its mask from the current folder, which ``folder`` is given from."""
    return dataclasses.replace(said, mask=str(folder / said.mask)) if said.mask else said


def matches(source: Source, pattern: str) -> bool:
    """Whether a camera's pattern is for a video: with or without the suffix of its name."""
    relative = PurePath(source.relative)
    whole = absolute(str(source.path)).replace(os.sep, "/")
    tail = "/".join(whole.split("/")[-1 - pattern.count("/") :])
    names = (relative.as_posix(), relative.name, tail, tail.removesuffix(PurePath(tail).suffix))
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
