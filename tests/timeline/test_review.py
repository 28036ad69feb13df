import dataclasses
import json

import pytest

from dsanet_cli.errors import OutputError
from dsanet_cli.timeline.review import Review, ReviewedEvent, parse_review, read_review, said_of, write_review
from dsanet_cli.timeline.timeline import Event

ENTRY = {"start": 1, "end": 2, "peak_time": 1.5, "label": "fighting"}
HEAD = {"schema": 1, "result_sha256": "0" * 64, "video": "a.mp4", "threshold": 0.5}


def entry(start, end, peak=None, verdict="true", **changes):
    return ReviewedEvent(start, end, (start + end) / 2 if peak is None else peak, "fighting", verdict, **changes)


def event(start, end, peak=None):
    return Event(start, end, (start + end) / 2 if peak is None else peak, 0.9, "fighting", ())


def test_a_review_comes_back_as_it_was_written(tmp_path):
    events = (entry(1, 2, note="at the gate, \u00fc"), entry(3, 4, verdict="relabelled", relabelled="arson"))
    review = Review("ab" * 32, "\udcff.mp4", 0.5, events, "2026-01-02T03:04:05.678Z", "dsanet 1")
    write_review(review, tmp_path / "a.review.json")
    read = read_review(tmp_path / "a.review.json")
    assert dataclasses.replace(read, video=review.video) == review
    assert (tmp_path / "a.review.json").read_text(encoding="utf-8").count("\n    {") == 2, "an event a line"
    write_review(Review("ab" * 32, "a.mp4", 0.5), tmp_path / "b.review.json")
    assert read_review(tmp_path / "b.review.json").events == ()


def test_unknown_entries_are_ignored():
    text = json.dumps({**HEAD, "later": 1, "events": [{**ENTRY, "mood": "calm"}]})
    assert parse_review(text.encode(), "a").events == (ReviewedEvent(1, 2, 1.5, "fighting"),)


STRANGE = {
    "cut off": ('{"schema": 1', "not whole JSON"),
    "another schema": ({**HEAD, "schema": 2}, "schema"),
    "no hash": ({**HEAD, "result_sha256": "../../x"}, "result_sha256"),
    "a threshold beyond": ({**HEAD, "threshold": 1.5}, "threshold"),
    "backwards": ({**HEAD, "events": [{**ENTRY, "end": 0}]}, "ends before it starts"),
    "a strange verdict": ({**HEAD, "events": [{**ENTRY, "verdict": "maybe"}]}, "verdict"),
    "relabelled to nothing": ({**HEAD, "events": [{**ENTRY, "verdict": "relabelled"}]}, "which class"),
    "a class without the verdict": ({**HEAD, "events": [{**ENTRY, "relabelled": "x"}]}, "which class"),
    "an endless note": ({**HEAD, "events": [{**ENTRY, "note": "x" * 2001}]}, "note"),
    "a note of two lines": ({**HEAD, "events": [{**ENTRY, "note": "a\nb"}]}, "note"),
    "a huge time": ({**HEAD, "events": [{**ENTRY, "end": 1e11}]}, "end"),
    "a time that is none": ('{"schema": 1, "threshold": NaN}', "not a number|not whole JSON"),
    "no date": ({**HEAD, "saved": "yesterday"}, "saved"),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_is_no_review(tmp_path, case):
    content, said = STRANGE[case]
    path = tmp_path / "a.review.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(OutputError, match=rf"a\.review\.json: not a review: .*({said})"):
        read_review(path)


def test_no_file(tmp_path):
    with pytest.raises(OutputError, match=r"gone\.review\.json: cannot be read"):
        read_review(tmp_path / "gone.review.json")


BELONGING = {
    "the same span": (event(1, 2), [entry(1, 2)], 0),
    "its peak in the event": (event(0, 3, peak=0.1), [entry(1, 2)], 0),
    "the event's peak in it": (event(0, 3, peak=2.9), [entry(2.5, 9, peak=8)], 0),
    "they only touch": (event(0, 3, peak=1), [entry(2, 9, peak=8)], None),
    "apart": (event(0, 1), [entry(2, 3)], None),
    "the one that shares more": (event(0, 10), [entry(1, 2), entry(3, 9)], 1),
    "the first of equal ones": (event(0, 10), [entry(1, 2), entry(3, 4)], 0),
    "none": (event(0, 1), [], None),
}


@pytest.mark.parametrize("case", BELONGING)
def test_which_entry_belongs_to_an_event(case):
    found, entries, which = BELONGING[case]
    assert said_of(found, entries) is (None if which is None else entries[which])


def test_what_happens_there():
    assert entry(1, 2).true_label == "fighting"
    assert entry(1, 2, verdict="relabelled", relabelled="arson").true_label == "arson"
    assert entry(1, 2, verdict="false").true_label is None
    assert entry(1, 2, verdict=None).true_label is None
