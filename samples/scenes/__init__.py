"""Synthetic surveillance scenes with labelled anomalies, drawn with MuJoCo's renderer."""

from . import headless  # isort: skip
from .camera import degrade
from .scene import CLASSES, Scene
from .story import Event

__all__ = ["CLASSES", "Event", "Scene", "degrade", "headless"]
