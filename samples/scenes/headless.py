"""Chooses an OpenGL that needs no display, before MuJoCo is imported for the first time."""

import os
import sys

if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")
