"""Event thresholds for the cameras at hand, from their own normal footage."""
