"""``dsanet calibrate --review``: the threshold from what a person said of events."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace

import pytest
from commands import run
from results import make_timeline, write_result

from dsanet_cli.calibrate.reviews import ReviewedResult, below_reviewed, choose_threshold, one_rule
from dsanet_cli.config import EventRule
from dsanet_cli.errors import SourceError
from dsanet_cli.timeline.review import Review, ReviewedEvent, write_review

EVENTS = {0.9: "true", 0.8: "true", 0.6: "false", 0.55: "false"}
"""Verdict by the score at which the event peaks; they lie 20 snippets apart."""


def reviewed(events=EVENTS, threshold=0.5, **changes):
    bumps = [(5 + 20 * at, 10 + 20 * at, 1, score) for at, score in enumerate(events)]
    timeline = make_timeline(snippets=20 * len(events) + 10, bumps=bumps, rule=EventRule(threshold, 0.35), **changes)
    entries = [
        ReviewedEvent(event.start, event.end, event.peak_time, event.label, verdict)
        for event, verdict in zip(timeline.events, events.values(), strict=True)
    ]
    return ReviewedResult(timeline, Review("0" * 64, "clip.mp4", threshold, tuple(entries)))


def chosen(*results):
    rule, told = choose_threshold(results[0].timeline.rule, results)
    return rule, next(one for one in told if one.threshold == rule.threshold)


def test_it_lies_in_the_middle_between_true_and_false():
    rule, kept = chosen(reviewed())
    assert rule.threshold == pytest.approx(0.70, abs=0.011)
    assert rule.release == pytest.approx(0.7 * rule.threshold, abs=0.001)
    assert (kept.found, kept.missed, kept.false, kept.open, kept.f1) == (2, 0, 0, 0, 1)


def test_where_they_overlap_the_most_is_kept():
    rule, kept = chosen(reviewed({0.9: "true", 0.85: "true", 0.8: "false", 0.7: "true", 0.6: "false"}))
    assert 0.6 < rule.threshold <= 0.7
    assert (kept.found, kept.missed, kept.false) == (3, 0, 1)


def test_nothing_below_what_was_reviewed():
    videos = reviewed({0.9: "true", 0.8: "false"}, 0.5), reviewed({0.95: "true", 0.85: "false"}, 0.62)
    _, told = choose_threshold(videos[0].timeline.rule, videos)
    assert told[0].threshold == 0.62


def test_relabelled_is_true_and_what_nobody_judged_counts_for_neither():
    one = reviewed({0.9: "true", 0.8: None, 0.6: "false"})
    entries = list(one.review.events)
    entries[0] = ReviewedEvent(
        entries[0].start, entries[0].end, entries[0].peak_time, "fighting", "relabelled", relabelled="explosion"
    )
    rule, told = choose_threshold(
        one.timeline.rule, [ReviewedResult(one.timeline, Review("0" * 64, "a", 0.5, tuple(entries)))]
    )
    assert (told[0].found, told[0].missed, told[0].false, told[0].open) == (1, 0, 1, 1)
    assert rule.threshold > 0.6


def test_true_events_that_become_one_are_both_found():
    one = reviewed({0.9: "true", 0.85: "true", 0.6: "false"})
    rule = EventRule(0.5, 0.35, merge_gap=20.0)
    _, told = choose_threshold(rule, [one])
    assert (told[0].found, told[0].missed, told[0].false) == (2, 0, 0)


@pytest.mark.parametrize(("verdict", "said"), [("true", "to be false"), ("false", "to be true"), (None, "to be true")])
def test_there_must_be_something_to_tell_apart(verdict, said):
    one = reviewed({0.9: verdict, 0.8: verdict})
    with pytest.raises(SourceError, match=f"no event is said {said}"):
        choose_threshold(one.timeline.rule, [one])


def test_one_model_and_one_rule():
    first = reviewed()
    other = make_timeline(rule=EventRule(0.5, 0.35, merge_gap=9))
    with pytest.raises(SourceError, match="several rules"):
        one_rule([first, ReviewedResult(other, first.review)], None)
    assert one_rule([first, reviewed(threshold=0.54)], 3.0).min_length == 3.0


def write_reviewed(folder, stem, one):
    result = write_result(folder, one.timeline, stem, pictures=False)
    sha256 = hashlib.sha256(result.read_bytes()).hexdigest()
    review = Review(sha256, "clip.mp4", one.review.threshold, one.review.events)
    write_review(review, folder / f"{stem}.review.json")


def test_the_command_writes_a_profile(tmp_path):
    write_reviewed(tmp_path, "a", reviewed())
    write_reviewed(tmp_path, "b", reviewed({0.85: "true", 0.65: "false"}))
    done = run("calibrate", "--review", "a.review.json", "b.review.json", "-o", "gate.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    profile = tomllib.loads((tmp_path / "gate.toml").read_text(encoding="utf-8"))
    assert 0.65 < profile["threshold"] <= 0.8
    assert profile["model_sha256"] == "ab" * 32
    assert "3 true events found, 0 missed, 0 false" in done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "chosen" in line]
    assert row.split() == [f"{profile['threshold']:.2f}", "3", "0", "0", "0", "chosen"]
    again = run("calibrate", "--review", "a.review.json", "-o", "gate.toml", cwd=tmp_path)
    assert again.returncode == 2
    assert "gate.toml: exists already" in again.stderr


def test_reviews_that_fit_nothing(tmp_path):
    write_reviewed(tmp_path, "a", reviewed())
    write_reviewed(tmp_path, "b", reviewed())
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    write_reviewed(tmp_path, "c", reviewed())
    (tmp_path / "c.json").unlink()
    done = run("calibrate", "--review", "a.review.json", "b.review.json", "c.review.json", "a.json", cwd=tmp_path)
    assert done.returncode == 3
    assert "b.review.json: was made on another result than b.json" in done.stderr
    assert "c.json: cannot be read" in done.stderr
    assert "a.json: not the name of a review" in done.stderr
    assert run("calibrate", "--review", "b.review.json", "-o", "x.toml", cwd=tmp_path).returncode == 1
    refused = run("calibrate", "--review", "a.review.json", "--model", "scenes", "-o", "x.toml", cwd=tmp_path)
    assert refused.returncode == 2


def test_events_that_were_missed_count_where_a_threshold_finds_them():
    one = reviewed()
    quiet = ReviewedEvent(20.0, 22.0, 21.0, "fighting", "missed")  # where the score is 0.05
    loud = ReviewedEvent(16.0, 19.0, 17.5, "fighting", "missed")  # beside the event at 0.8
    with_added = replace(one, review=replace(one.review, events=(*one.review.events, quiet, loud)))
    rule, kept = chosen(with_added)
    assert rule.threshold == pytest.approx(0.70, abs=0.011)
    assert (kept.found, kept.missed, kept.false) == (3, 1, 0)
    line = below_reviewed(rule, [with_added])
    assert line.startswith("1 missed below 0.50, the lowest threshold that was reviewed; the first appears at 0.05")
    assert below_reviewed(rule, [one]) is None
    only = tuple(entry for entry in one.review.events if entry.verdict == "false")
    with pytest.raises(SourceError, match="no event is said to be true"):
        chosen(replace(one, review=replace(one.review, events=(*only, quiet))))
