"""Find when something abnormal happens in a video, and what it is.

What is named here is public; all else may change with any version. Each name is loaded when it is first asked for,
since every decoder process runs this file, too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dsanet_cli.version import __version__ as __version__

if TYPE_CHECKING:
    from dsanet_cli.calibrate.run import CalibrateSettings, run_calibrate
    from dsanet_cli.config import EventRule
    from dsanet_cli.detect.library import Detector
    from dsanet_cli.detect.settings import DetectSettings
    from dsanet_cli.errors import (
        DsanetError,
        FeatureError,
        ModelError,
        OutputError,
        SourceError,
        UsageError,
        VideoError,
    )
    from dsanet_cli.evaluate.run import EvalSettings, run_eval
    from dsanet_cli.extract.run import ExtractSettings, run_extract
    from dsanet_cli.models.directory import load_model
    from dsanet_cli.models.folders import list_models
    from dsanet_cli.timeline.files import read_timeline
    from dsanet_cli.timeline.timeline import Event, Timeline
    from dsanet_cli.video.mask import Mask
    from dsanet_cli.video.options import ReadOptions

__all__ = [
    "CalibrateSettings",
    "DetectSettings",
    "Detector",
    "DsanetError",
    "EvalSettings",
    "Event",
    "EventRule",
    "ExtractSettings",
    "FeatureError",
    "Mask",
    "ModelError",
    "OutputError",
    "ReadOptions",
    "SourceError",
    "Timeline",
    "UsageError",
    "VideoError",
    "list_models",
    "load_model",
    "read_timeline",
    "run_calibrate",
    "run_eval",
    "run_extract",
]

_HOMES = {
    "CalibrateSettings": "calibrate.run",
    "DetectSettings": "detect.settings",
    "Detector": "detect.library",
    "EvalSettings": "evaluate.run",
    "Event": "timeline.timeline",
    "EventRule": "config",
    "ExtractSettings": "extract.run",
    "Mask": "video.mask",
    "ReadOptions": "video.options",
    "Timeline": "timeline.timeline",
    "list_models": "models.folders",
    "load_model": "models.directory",
    "read_timeline": "timeline.files",
    "run_calibrate": "calibrate.run",
    "run_eval": "evaluate.run",
    "run_extract": "extract.run",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
