"""``dsanet events --review`` and ``--list``: what a person said, in results and in lists for training."""

from __future__ import annotations

import csv
import dataclasses
import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from commands import read_csv, run
from results import make_timeline, write_result

from dsanet_cli.detect.decider import DeciderSettings
from dsanet_cli.detect.events import EventsSettings, run_events
from dsanet_cli.detect.training_list import training_list
from dsanet_cli.errors import SourceError
from dsanet_cli.features.lists import VideoLabels, read_list
from dsanet_cli.files.sources import find_sources
from dsanet_cli.timeline.facts import Coverage, FilePart
from dsanet_cli.timeline.files import read_timeline
from dsanet_cli.timeline.review import Review, ReviewedEvent, read_review, with_review, write_review

VERDICTS = (
    {"verdict": "true"},
    {"verdict": "false", "note": "=a bird"},
    {"verdict": "relabelled", "relabelled": "arson"},
)
ADDED = ReviewedEvent(22.0, 24.0, 23.0, "fighting", "missed", note="by the door")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def review_of(timeline, verdicts=VERDICTS, added=(ADDED,), result=None, **changes):
    entries = [
        ReviewedEvent(event.start, event.end, event.peak_time, event.label, **said)
        for event, said in zip(timeline.events, verdicts, strict=False)
    ]
    digest = "0" * 64 if result is None else sha256(result.read_bytes()).hexdigest()
    facts = {"result_sha256": digest, "video": timeline.video.name, "threshold": 0.5}
    return Review(**(facts | changes), events=tuple(sorted([*entries, *added], key=lambda entry: entry.start)))


def reviewed(folder="out", stem="clip", verdicts=VERDICTS, added=(ADDED,), **changes):
    """A result with a review beside it."""
    timeline = make_timeline(f"{stem}.mp4", **changes)
    result = write_result(Path(folder), timeline, stem, pictures=False)
    write_review(review_of(timeline, verdicts, added, result), result.with_name(f"{stem}.review.json"))
    return result


def decide(*results, output="new", list_file=None, **changes):
    settings = DeciderSettings(output=output, review=True, **changes)
    return run_events(EventsSettings(tuple(map(str, results)), decider=settings, list_file=list_file, quiet=True))


def test_reviews_go_into_results_tables_summary_and_what_is_passed_on():
    reviewed()
    write_result(Path("out"), make_timeline("other.mp4"), "other", pictures=False)
    done = run("events", "out", "-o", "new", "--review", "-f", "csv", "-f", "srt")
    assert done.returncode == 0, done.stderr
    assert "road accidents 0.75, false, =a bird" in done.stdout
    assert "explosion 0.55, relabelled arson" in done.stdout
    assert "[00:22.00 -> 00:24.00] fighting, missed, by the door" in done.stdout
    record = json.loads(Path("new/clip.json").read_text())
    assert [event["review"] for event in record["events"]] == [
        {"verdict": "true", "label": None, "note": ""},
        {"verdict": "false", "label": None, "note": "=a bird"},
        {"verdict": "relabelled", "label": "arson", "note": ""},
    ]
    assert record["review"]["missed"] == [{"start": 22.0, "end": 24.0, "label": "fighting", "note": "by the door"}]
    assert record["verdict"] == json.loads(Path("out/clip.json").read_text())["verdict"]
    assert "review" not in json.loads(Path("new/other.json").read_text())
    rows = [(row["review"], row["true_label"], row["note"]) for row in read_csv(Path("new/clip.csv"))]
    assert rows[0] == ("", "", "")
    assert rows[5:10] == [("true", "fighting", "")] * 5
    assert rows[20:24] == [("false", "", "'=a bird")] * 4
    assert rows[30:33] == [("relabelled", "arson", "")] * 3
    assert rows[34:37] == [("missed", "fighting", "by the door")] * 3
    assert "review" not in read_csv(Path("new/other.csv"))[0]
    summary = {row["path"]: row for row in read_csv(Path("new/summary.csv"))}
    columns = "true_events", "false_events", "missed_events"
    assert [summary["clip.mp4"][name] for name in columns] == ["2", "1", "1"]
    assert [summary["other.mp4"][name] for name in columns] == ["", "", ""]
    cues = Path("new/clip.srt").read_text()
    assert [line for line in cues.splitlines() if line.partition(" ")[0] in ("fighting", "road", "arson")] == [
        "fighting 0.90",
        "arson 0.55",
        "fighting 0.05",
    ]


def test_a_summary_that_is_made_anew_still_counts_reviews():
    reviewed()
    decide("out")
    decide("out", output="new2")
    write_result(Path("new2"), make_timeline("other.mp4"), "other", pictures=False)
    third = write_result(Path("more"), make_timeline("third.mp4"), "third", pictures=False)
    decide(third, output="new2")
    rows = {row["path"]: row["true_events"] for row in read_csv(Path("new2/summary.csv"))}
    assert rows == {"clip.mp4": "2", "other.mp4": "", "third.mp4": ""}


def test_a_reviewed_record_is_read_back_as_it_was_written():
    timeline = read_timeline(reviewed())
    said = with_review(timeline, review_of(timeline))
    Path("a.json").write_text(said.to_json())
    read = read_timeline("a.json")
    assert read.review == said.review
    assert [event.review for event in read.events] == [event.review for event in said.events]


def test_entries_belong_to_the_events_at_their_times():
    timeline = make_timeline(rule=dataclasses.replace(make_timeline().rule, threshold=0.8, release=0.8))
    assert len(timeline.events) == 1
    review = review_of(make_timeline())
    said = with_review(timeline, review)
    assert said.events[0].review.verdict == "true"
    labels = [(missed.label, missed.start) for missed in said.review.missed]
    assert labels == [("arson", pytest.approx(19.2)), ("fighting", 22.0)], "no longer found, and never found"
    lower = make_timeline(bumps=((5, 10, 1, 0.9), (34, 38, 1, 0.6)))
    said = with_review(lower, dataclasses.replace(review, events=(ADDED,)))
    assert [event.review and event.review.verdict for event in said.events] == [None, "true"], "now it is found"
    assert said.review.missed == ()
    other = with_review(make_timeline(bumps=((34, 38, 2, 0.6),)), dataclasses.replace(review, events=(ADDED,)))
    assert (other.events[0].review.verdict, other.events[0].review.label) == ("relabelled", "fighting")
    false = ReviewedEvent(lower.events[1].start, lower.events[1].end, 23.1, "fighting", "false")
    said = with_review(lower, dataclasses.replace(review, events=(false, ADDED)))
    assert said.events[1].review.verdict == "false"
    assert [missed.label for missed in said.review.missed] == ["fighting"], "a false event finds nothing"


def test_the_review_goes_along_and_a_newer_one_stays():
    reviewed()
    decide("out", threshold=0.8, release=0.8)
    record, taken = Path("new/clip.json"), Path("new/clip.review.json")
    assert read_review(taken).result_sha256 == sha256(record.read_bytes()).hexdigest()
    assert read_review(taken).events == read_review("out/clip.review.json").events
    decide("out", threshold=0.7, release=0.7)
    assert read_review(taken).result_sha256 == sha256(record.read_bytes()).hexdigest(), "of the result that is there"
    newer = dataclasses.replace(read_review(taken), events=(), saved="2026-01-02T03:04:05Z")
    write_review(newer, taken)
    decide("out", threshold=0.6, release=0.6)
    assert read_review(taken) == newer
    decide("out", output="out", threshold=0.8, release=0.8, overwrite=True)
    sign = sha256(Path("out/clip.json").read_bytes()).hexdigest()
    assert read_review("out/clip.review.json").result_sha256 == sign


def test_a_review_of_another_video_or_a_damaged_one_costs_its_result(capsys):
    reviewed()
    result = reviewed(stem="second")
    timeline = read_timeline(result)
    write_review(review_of(timeline, video="elsewhere.mp4"), Path("out/second.review.json"))
    outcome = decide("out")
    assert (outcome.done, outcome.failed) == (1, 1)
    assert "second.review.json: is of another video, elsewhere.mp4; move it away" in capsys.readouterr().err
    Path("out/second.review.json").write_text("{")
    assert decide("out").failed == 1
    assert "not a review: not whole JSON; save it again" in capsys.readouterr().err


def test_a_list_of_videos_until_all_have_features():
    reviewed("out/yard", "a")
    reviewed("out/gate", "a", [{"verdict": "false"}] * 3, added=())
    Path("videos/yard").mkdir(parents=True)
    Path("videos/gate").mkdir()
    for name in ("yard", "gate"):
        video = Path(f"videos/{name}/a.mp4")
        video.touch()
        result = Path(f"out/{name}/a.json")
        entries = json.loads(result.read_text())
        entries["video"]["real_path"] = str(video.absolute())
        result.write_text(json.dumps(entries))
    done = run("events", "out", "-r", "--list", "train.csv")
    assert done.returncode == 0, done.stderr
    assert Path("train.csv").read_text() == "path,label\nvideos/gate/a.mp4,normal\nvideos/yard/a.mp4,fighting\n"
    assert "it lists videos, since no features of 2 were kept" in done.stderr
    assert "nothing was written" not in done.stderr
    sources = find_sources(["videos"], recursive=True, stdin=None).sources
    assert sorted(VideoLabels(Path("train.csv")).of(source)[0] for source in sources) == ["fighting", "normal"]
    Path("out/features/yard").mkdir(parents=True)
    Path("out/features/gate").mkdir()
    for name in ("yard", "gate"):
        np.save(f"out/features/{name}/a__0.npy", np.zeros((1, 4), np.float32))
    assert decide("out/yard/a.json", "out/gate/a.json", output=None, list_file=Path("new/train.csv")).summarised
    rows = [(row.path.resolve(), row.label, row.group) for row in read_list(Path("new/train.csv"))]
    assert [(path.relative_to(Path.cwd()).as_posix(), label, group) for path, label, group in rows] == [
        ("out/features/yard/a__0.npy", "fighting", None),
        ("out/features/gate/a__0.npy", "normal", None),
    ]


def listed(verdicts, added=(), **changes):
    timeline = make_timeline(**changes)
    return training_list([(Path("out/clip.json"), with_review(timeline, review_of(timeline, verdicts, added)))])


TRUE, FALSE, OPEN = {"verdict": "true"}, {"verdict": "false"}, {"note": "perhaps"}
LABELS = {
    "the class that lasts longest": ([TRUE] * 3, (), "fighting"),
    "of the true ones": ([FALSE, TRUE, TRUE], (), "road accidents"),
    "as a person has it": ([FALSE, FALSE, {"verdict": "relabelled", "relabelled": "arson"}], (), "arson"),
    "a missed one": ([FALSE] * 3, (ADDED,), "fighting"),
    "false ones only": ([FALSE] * 3, (), "normal"),
    "a true one beside one that nobody judged": ([TRUE, OPEN, FALSE], (), "fighting"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_reviewed_videos(case):
    verdicts, added, label = LABELS[case]
    assert [row.label for row in listed(verdicts, added).rows] == [label]


def test_what_is_left_out_of_a_list():
    for verdicts in ([FALSE, FALSE], [FALSE, OPEN, FALSE]):
        with pytest.raises(SourceError, match=r"nothing to list: 1 with events that nobody judged; review the pages"):
            listed(verdicts)
    with pytest.raises(SourceError, match="1 of which only a part was analysed"):
        listed([FALSE] * 3, coverage=Coverage(part=(0, 9)))
    with pytest.raises(SourceError, match="1 without a review"):
        training_list([(Path("out/clip.json"), make_timeline())])
    assert [row.label for row in listed([], bumps=()).rows] == ["normal"], "looked at, and nothing there"


def test_the_files_of_a_day_are_listed_one_by_one_with_their_camera():
    parts = (FilePart("d/1.mp4", 0, 10), FilePart("d/2.mp4", 10, 14, error="broken"), FilePart("d/3.mp4", 14, 25.6))
    video = dataclasses.replace(make_timeline().video, path="gate/2026-11-27", camera="gate", files=parts)
    rows = listed([TRUE, FALSE, FALSE], video=video).rows
    assert [(row.path.as_posix(), row.label, row.group) for row in rows] == [
        ("d/1.mp4", "fighting", "gate"),
        ("d/3.mp4", "normal", "gate"),
    ]


def test_a_list_replaces_lists_only(capsys):
    reviewed()
    Path("notes.csv").write_text("mine\n")
    assert not decide("out", list_file=Path("notes.csv")).summarised
    assert "notes.csv: is there and is no list; choose another --list" in capsys.readouterr().err
    assert Path("notes.csv").read_text() == "mine\n"
    for _ in range(2):
        assert decide("out", list_file=Path("train.csv")).summarised
    with open("train.csv", newline="") as stream:
        assert len(list(csv.reader(stream))) == 2
