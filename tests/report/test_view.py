from __future__ import annotations

import pytest
from results import make_timeline

from dsanet_cli.report.view import settings
from dsanet_cli.timeline.facts import Sampling


@pytest.mark.parametrize(
    ("sampled", "seconds", "told"),
    [
        (4, None, "4 of 16 a snippet"),
        (None, None, "16 a snippet"),
        (4, 16 / 30, "4 a snippet of 0.533 s"),
        (None, 0.64, "snippets of 0.64 s"),
    ],
)
def test_frames_looked_at(sampled, seconds, told):
    timeline = make_timeline(sampling=Sampling(16, sampled, "fp32", "cpu", snippet_seconds=seconds))
    assert dict(settings(timeline))["Frames looked at"] == told
