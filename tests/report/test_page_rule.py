"""The rule in the page is the one of the program."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from browser import find, texts
from results import CLASSES
from selenium.webdriver.common.keys import Keys

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.timeline import find_events


def test_the_slider_decides_events_anew(opened):
    slider = find(opened, "#slider")
    for _ in range(10):
        slider.send_keys(Keys.ARROW_RIGHT)
    assert opened.execute_script("return dsanet.page.rule.threshold") == pytest.approx(0.6)
    assert texts(opened, ".event .label") == ["fighting", "road accidents"]
    assert texts(opened, "#options") == ["-t 0.6"]
    find(opened, "#reset").click()
    assert len(texts(opened, ".event")) == 3


def test_the_other_numbers_of_the_rule_count_too(opened):
    opened.execute_script("document.querySelector('.decide details').open = true")
    for name, value, count in (("merge_gap", "7", 1), ("min_length", "3", 1), ("release", "0.04", 1)):
        field = find(opened, f"#{name}")
        field.clear()
        field.send_keys(value)
        assert len(texts(opened, ".event")) == count, name
        find(opened, "#reset").click()
    assert opened.execute_script("return document.getElementById('changed').hidden")


def _random_curve(rng):
    """Scores that rise and fall around the threshold, some just at it, with gaps between snippets."""
    n = int(rng.integers(1, 60))
    scores = rng.random(n).astype(np.float32)
    if rng.random() < 0.5:
        scores = np.convolve(scores, np.ones(3) / 3)[:n].astype(np.float32)
    if rng.random() < 0.5:
        scores = np.round(scores, 1)  # equal ones, and such as 0.7, which is less in float32
    if rng.random() < 0.2:
        scores[rng.random(n) < 0.7] = 0
    lengths = np.round(rng.choice([0.0, 0.04, 0.64, 1.0], n), 3)
    gaps = np.round(rng.choice([0.0, 0.0, 0.0, 0.001, 0.5, 2.0, 2.001, 5.0], n), 3)
    starts = np.round(np.cumsum(lengths + gaps) - lengths, 3)
    share = rng.dirichlet(np.ones(4), n).astype(np.float32)
    levels = rng.choice([0.0, 0.3, 0.5, 0.7, 1.0, float(scores[rng.integers(n)])], 2)
    rule = EventRule(
        threshold=float(levels[0]),
        release=float(levels[1]),
        merge_gap=float(rng.choice([0.0, 0.5, 2.0, 4.0])),
        min_length=float(rng.choice([0.0, 0.5, 0.64, 2.0])),
        drop=tuple(rng.choice(CLASSES[1:], int(rng.integers(0, 2)), replace=False).tolist()),
    )
    return starts, np.round(starts + lengths, 3), scores, share, rule


def test_the_rule_in_the_page_is_the_one_of_the_program(opened):
    rng = np.random.default_rng(7)
    curves = [_random_curve(rng) for _ in range(1000)]
    sent = [
        {
            "starts": starts.tolist(),
            "ends": ends.tolist(),
            "scores": scores.tolist(),
            "probabilities": share.ravel().tolist(),
            "rule": dataclasses.asdict(rule),
        }
        for starts, ends, scores, share, rule in curves
    ]
    found = opened.execute_script(
        "const [curves, classes] = arguments; return curves.map((c) => dsanet.findEvents({ classes,"
        " starts: Float64Array.from(c.starts), ends: Float64Array.from(c.ends), scores: Float32Array.from(c.scores),"
        " probabilities: Float32Array.from(c.probabilities) }, c.rule))",
        sent,
        list(CLASSES),
    )
    total = 0
    for (starts, ends, scores, share, rule), there in zip(curves, found, strict=True):
        here = [dataclasses.asdict(event) for event in find_events(starts, ends, scores, share, CLASSES, rule)]
        assert {event.pop("review") for event in here} <= {None}, "which people give"
        total += len(here)
        for event in (*here, *there):
            event["probabilities"] = pytest.approx(event["probabilities"], abs=1e-9)
        assert [{**event, "probabilities": None} for event in there] == [{**e, "probabilities": None} for e in here]
        assert [e["probabilities"].expected for e in there] == [e["probabilities"] for e in here]
    assert total > 2000, "the curves hold too few events to compare anything"
