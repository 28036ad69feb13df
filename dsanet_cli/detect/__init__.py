"""From inputs to results: one video, a folder of them, or an archive on a cluster."""
