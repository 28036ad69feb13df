"""Feature files from videos, and how close they come to published ones."""
