"""A profile of the cameras at hand: the rule by which their scores become events, in a TOML file that people edit.

::

    model = "scenes"                  # what it was calibrated with
    model_sha256 = "ab12..."
    threshold = 0.62                  # of all cameras
    release = 0.434
    drop = ["arson"]                  # classes whose events are left out; scores stay

    [[camera]]                        # of one camera, or of several
    match = "cam3_*"
    threshold = 0.8
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from dsanet_cli.config import EventRule
from dsanet_cli.errors import UsageError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.toml import read_toml
from dsanet_cli.records import Length, Name, SchemaError, Share, decode_exactly

if TYPE_CHECKING:
    from dsanet_cli.models.default import Choice


@dataclass(frozen=True, kw_only=True)
class CameraRule:
    """What a profile says of cameras; None leaves it to the profile as a whole, or to the model."""

    threshold: Share | None = None
    release: Share | None = None
    merge_gap: Length | None = None
    min_length: Length | None = None
    drop: tuple[Name, ...] | None = None
    """Classes whose events are left out."""


@dataclass(frozen=True, kw_only=True)
class Camera(CameraRule):
    """Of the videos whose path below the folder of inputs, or whose name, matches a pattern."""

    match: Name


@dataclass(frozen=True, kw_only=True)
class Profile(CameraRule):
    """All of a profile; the first camera that matches a video overrides what is said of all."""

    model: Name | None = None
    model_sha256: Name | None = None
    camera: tuple[Camera, ...] = ()

    def rule(self, relative: PurePath, base: EventRule) -> EventRule:
        """The rule for a video.

        Args:
            relative: Its path below the folder of inputs.
            base: The model's own rule.
        """
        changes = {
            field.name: value
            for field in dataclasses.fields(EventRule)
            if (value := self._said(relative, field.name)) is not None
        }
        return dataclasses.replace(base, **changes)

    def overridden(self, **said: float) -> Profile:
        """The same for what the command line does not say itself, of all cameras."""
        camera = tuple(dataclasses.replace(one, **said) for one in self.camera)  # type: ignore[arg-type]
        return dataclasses.replace(self, camera=camera, **said)  # type: ignore[arg-type]

    @property
    def dropped(self) -> set[str]:
        """All classes whose events it leaves out somewhere."""
        return {name for said in (self, *self.camera) for name in said.drop or ()}

    def _said(self, relative: PurePath, name: str) -> Any:
        camera = next((one for one in self.camera if _matches(relative, one.match)), None)
        value = None if camera is None else getattr(camera, name)
        return getattr(self, name) if value is None else value


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Raises:
        UsageError: it cannot be read, is no TOML, or holds what a profile does not; names the entry.
    """
    try:
        return decode_exactly(Profile, json.dumps(read_toml(path), default=str).encode())
    except SchemaError as error:
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
    return choose_model(named) if named is not None or model is None else Choice(model, "--profile")


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


def _entries(said: CameraRule) -> list[str]:
    values = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    # A TOML string, number or list of strings is written as in JSON.
    return [
        f"{name} = {json.dumps(value)}\n" for name, value in values.items() if name != "camera" and value is not None
    ]


def _matches(relative: PurePath, pattern: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in (relative.as_posix(), relative.name))
