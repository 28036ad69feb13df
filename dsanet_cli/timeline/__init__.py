"""Scores to events, and what is written of them without opening a video."""
