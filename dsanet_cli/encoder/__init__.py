"""Frames to features: CLIP image towers from open_clip."""
