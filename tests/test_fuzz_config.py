"""Damaged configurations: each is taken or is one line of error, at once; and what must not be is seen."""

from __future__ import annotations

import sys
import time

import fuzz_config
import pytest
from config_mutations import JSON_MUTATIONS, MUTATIONS, mutate_text
from fuzz_config import KINDS, Kind, prepare, run_case, run_cases

from dsanet_cli.errors import SourceError

CASES = 60

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and memory as Linux has them")


def test_each_damaged_configuration_is_taken_or_one_line_of_error(tmp_path):
    outcomes = list(run_cases(tmp_path, 0, range(CASES)))
    assert [outcome for outcome in outcomes if not outcome.is_well] == []
    for kind in KINDS:
        assert "refused" in {outcome.what for outcome in outcomes if kind.name in outcome.name}, kind.name


def test_what_is_whole_is_taken(tmp_path):
    for kind in KINDS:
        kind.use(prepare(tmp_path / kind.name.replace("/", "-")))


def test_mutations_depend_on_seed_and_number_alone_and_all_are_used():
    text = '{"a": [1, 2, {"b": "c"}], "d": 1.5}'
    first = [mutate_text(0, number, text, True) for number in range(300)]
    assert [mutate_text(0, number, text, True) for number in range(300)] == first
    assert {name for done, _ in first for name in done.split("+")} == {*MUTATIONS, *JSON_MUTATIONS}
    assert sum(changed == text for _, changed in first) < 30


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda _: fail(SourceError("x: broken; mend it")), "refused"),
        (lambda _: fail(SourceError("x: broken\nmend it")), "more than a line"),
        (lambda _: fail(SourceError("x: failed unexpectedly (KeyError())")), "failed unexpectedly"),
        (lambda _: fail(KeyError("x")), "a traceback"),
        (lambda _: bytearray(64 * 2**30), "a traceback"),
        (lambda _: time.sleep(60), "hangs"),
        (lambda _: None, "taken"),
    ],
)
def test_what_must_not_be_is_seen(tmp_path, monkeypatch, use, what):
    (tmp_path / "pristine").mkdir()
    (tmp_path / "pristine" / "x.toml").write_text("a = 1")
    monkeypatch.setattr(fuzz_config, "KINDS", (Kind("x.toml", use, is_json=False),))
    if what == "hangs":
        monkeypatch.setattr(fuzz_config, "PATIENCE", 0.5)
    assert run_case(tmp_path / "pristine", tmp_path / "case", 0, 0).what == what
