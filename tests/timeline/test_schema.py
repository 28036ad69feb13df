from __future__ import annotations

import io
import json
import re
from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest
from commands import STRICT
from jsonschema import Draft202012Validator, ValidationError

from dsanet_cli.config import EventRule
from dsanet_cli.errors import OutputError
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.files import parse_timeline, write_json
from dsanet_cli.timeline.schema import SCHEMA_FILE, schema_text
from dsanet_cli.timeline.timeline import build_timeline

SHIPPED = files("dsanet_cli.timeline") / SCHEMA_FILE


def result(**changes):
    scores = np.array([0.1, 0.9, 0.2])
    parts = {
        "video": VideoFacts("a.mp4", 48, 1.6, Fraction(30000, 1001), 320, 240, "h264", 1, 1.5, "/a.mp4"),
        "model": ModelFacts("tiny", "ab" * 32, "cd" * 32),
        "class_names": ("normal", "fighting"),
        "sampling": Sampling(16, 4, "bf16", "cpu", 0.2),
        "rule": EventRule(),
        "starts": np.array([0.0, 0.5, 1.0]),
        "ends": np.array([0.5, 1.0, 1.6]),
        "scores": scores,
        "probabilities": np.stack([1 - scores, scores], axis=1),
        "coverage": Coverage(0.9, ((0.1, 0.2),), ((0.3, 0.4),)),
    }
    stream = io.StringIO()
    write_json(build_timeline(**(parts | changes)), stream)
    return json.loads(stream.getvalue())


def test_the_shipped_schema_is_the_declared_one():
    assert SHIPPED.read_text(encoding="utf-8") == schema_text()
    Draft202012Validator.check_schema(json.loads(schema_text()))


def test_results_fit_it_and_it_names_all_their_entries():
    STRICT.validate(result())
    STRICT.validate(result(scores=np.zeros(3), video=VideoFacts("a.npy", 48, 1.6), sampling=Sampling(16, None, "fp32")))


def test_its_patterns_are_those_of_javascript_too():
    patterns = re.findall(r'"pattern": (".*")', schema_text())
    assert patterns
    assert not any(sign in json.loads(pattern) for pattern in patterns for sign in ("(?P", "\\Z", "\\A", "(?a", "(?s"))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("schema",), 2), (("video", "fps"), "1/0"), (("video", "frames"), -1), (("video", "path"), None),
        (("model", "name"), "a\nb"), (("model", "sha256"), "x"), (("coverage", "holes"), [[1.0]]),
        (("snippets",), []), (("snippets", 0, "score"), 1.5), (("snippets", 0, "probabilities"), {}),
        (("events", 0, "label"), ""), (("verdict", "anomalous"), 1), (("sampling", "event_rule", "threshold"), 2),
    ],
)  # fmt: skip
def test_it_refuses_what_the_reader_refuses(keys, value):
    data = result()
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(ValidationError):
        Draft202012Validator(json.loads(schema_text())).validate(data)
    with pytest.raises(OutputError):
        parse_timeline(json.dumps(data), "a.json")
