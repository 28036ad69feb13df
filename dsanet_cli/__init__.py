"""Find when something abnormal happens in a video, and what it is."""

__version__ = "0.1.0"
