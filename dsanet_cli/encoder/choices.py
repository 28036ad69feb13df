"""What is encoded of frames, and how many at once; known without torch."""

from __future__ import annotations

CENTRE_CROP = 0
TEN_CROPS = tuple(range(10))
"""Centre, top left, top right, bottom left, bottom right; 5 to 9 the same mirrored left to right."""
DEFAULT_BATCH = {"cpu": 16, "cuda": 256, "mps": 64, "openvino": 16}
"""Frames encoded at once, by the kind of device."""
