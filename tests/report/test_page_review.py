"""What a person says of events in a page: kept, saved, loaded, and the same to the program."""

from __future__ import annotations

import json
import random

import pytest
from browser import find, texts, until, visit, wait_for
from results import make_timeline, write_result

from dsanet_cli.errors import OutputError
from dsanet_cli.report.run import ReportSettings, run_report
from dsanet_cli.timeline.review import ReviewedEvent, read_review, said_of
from dsanet_cli.timeline.timeline import Event


def test_a_review_is_saved_loaded_and_kept(opened, page, folder):
    opened.execute_script("dsanet.page.go(0)")
    find(opened, ".event:nth-child(1) .judge.true").click()
    find(opened, ".event:nth-child(2) .judge.false").click()
    opened.execute_script(
        "const kind = document.querySelector('.event:nth-child(3) select');"
        "kind.value = 'fighting'; kind.dispatchEvent(new Event('change'))"
    )
    assert texts(opened, "#count") == ["3 events · 2 true · 1 false · 0 open"]
    find(opened, ".event:nth-child(1) input").send_keys("at the gate\n")
    find(opened, "#save").click()
    saved = folder / "downloads" / "clip.review.json"
    wait_for(saved.exists)
    review = read_review(saved)
    assert [(e.verdict, e.relabelled, e.note) for e in review.events] == [
        ("true", None, "at the gate"),
        ("false", None, ""),
        ("relabelled", "fighting", ""),
    ]
    assert [e.start for e in review.events] == pytest.approx([3.2, 12.8, 19.2])
    assert (review.video, review.threshold) == ("clip.mp4", 0.5)

    visit(opened, page)
    assert texts(opened, "#count") == ["3 events · 2 true · 1 false · 0 open"]
    opened.execute_script("localStorage.clear()")
    visit(opened, page)
    assert texts(opened, "#count") == ["3 events"]
    find(opened, "#load").send_keys(str(saved))
    until(opened, "document.getElementById('state').textContent.includes('3 entries loaded')")
    assert texts(opened, "#count") == ["3 events · 2 true · 1 false · 0 open"]


DAMAGED = {
    "no JSON": ("{", "not whole JSON"),
    "another file": ("{}", "no review"),
    "a strange verdict": ({"verdict": "perhaps"}, "neither true, false, relabelled nor missed"),
    "no time": ({"start": "soon"}, "has no times"),
    "an endless note": ({"note": "x" * 2001}, "a note that is no line"),
    "two lines": ({"note": "a\nb"}, "a note that is no line"),
    "relabelled to nothing": ({"verdict": "relabelled"}, "what it is instead"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_review_is_refused_by_page_and_command(opened, tmp_path, case):
    content, said = DAMAGED[case]
    if isinstance(content, dict):
        entry = {"start": 1, "end": 2, "peak_time": 1.5, "label": "fighting", "verdict": None, **content}
        head = {"schema": 1, "result_sha256": "0" * 64, "video": "clip.mp4", "threshold": 0.5}
        content = json.dumps(head | {"events": [entry]})
    path = tmp_path / "a.review.json"
    path.write_text(content, encoding="utf-8")
    find(opened, "#load").send_keys(str(path))
    until(opened, "document.getElementById('state').textContent")
    (line,) = texts(opened, "#state")
    assert line.startswith("a.review.json was not loaded: ")
    assert said in line
    with pytest.raises(OutputError, match=r"a\.review\.json: not a review"):
        read_review(path)


def test_a_review_of_another_video_is_refused(opened, tmp_path):
    head = {"schema": 1, "result_sha256": "0" * 64, "video": "other.mp4", "threshold": 0.5, "events": []}
    path = tmp_path / "a.review.json"
    path.write_text(json.dumps(head), encoding="utf-8")
    find(opened, "#load").send_keys(str(path))
    until(opened, "document.getElementById('state').textContent.includes('of another video, other.mp4')")
    path.write_text(json.dumps(head | {"video": "clip.mp4"}), encoding="utf-8")
    find(opened, "#load").send_keys(str(path))
    until(opened, "document.getElementById('state').textContent.includes('made on another result')")


def test_page_and_program_find_the_same_entries_of_a_review(opened):
    rng = random.Random(3)

    def span():
        start = rng.randrange(100)
        end = start + rng.randrange(30)
        return {"start": start, "end": end, "peak_time": rng.uniform(start, end), "label": "fighting"}

    cases = [(span(), [span() for _ in range(rng.randrange(6))]) for _ in range(500)]
    there = opened.execute_script(
        "return arguments[0].map(([event, entries]) => entries.indexOf(dsanet.saidOf(event, entries)))", cases
    )
    here = []
    for event, entries in cases:
        known = [ReviewedEvent(**entry) for entry in entries]
        said = said_of(Event(**event, peak_score=1.0, probabilities=()), known)
        here.append(next((at for at, one in enumerate(known) if one is said), -1))
    assert here == there
    assert len(set(here)) > 3


def test_a_review_beside_the_result_is_in_the_page(browser, folder):
    result = write_result(folder / "reviewed", make_timeline())
    review = {"schema": 1, "result_sha256": "0" * 64, "video": "clip.mp4", "threshold": 0.5}
    review["events"] = [{"start": 3.2, "end": 6.4, "peak_time": 3.5, "label": "fighting", "verdict": "false"}]
    text = json.dumps(review)
    result.with_name("clip.review.json").write_text(text, encoding="utf-8")
    run_report(ReportSettings((str(result),), quiet=True))
    visit(browser, result.with_suffix(".html"))
    assert texts(browser, "#count") == ["3 events · 0 true · 1 false · 2 open"]
