"""Find when something abnormal happens in a video, and what it is."""

from dsanet_cli.version import __version__ as __version__
