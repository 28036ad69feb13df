"""Feature files, lists of them, and the sidecar that says how they were made."""
