from __future__ import annotations

import pytest

from dsanet_cli.timeline.facts import Coverage, covered


def test_spans_that_touch_become_one_and_others_stay_apart():
    found = covered(20.0, holes=[(2.0, 3.0), (3.0004, 4.0), (6.0, 7.0)], scanned=[(10.0, 11.0)])
    assert found == Coverage(pytest.approx(1 - 3.9996 / 20), ((2.0, 4.0), (6.0, 7.0)), ((10.0, 11.0),))


@pytest.mark.parametrize(
    ("duration", "holes", "analysed"), [(0.0, [], 1.0), (10.0, [(0.0, 10.1)], 0.0), (4.0, [], 1.0)]
)
def test_the_share_stays_between_nothing_and_all(duration, holes, analysed):
    assert covered(duration, holes).analysed == analysed
