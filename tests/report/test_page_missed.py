"""Events that the program missed: marked in a page, changed, saved, loaded, and the same to the program."""

from __future__ import annotations

import random

from browser import count, find, press, texts, until, visit, wait_for
from results import make_timeline, write_result

from dsanet_cli.report.run import ReportSettings, run_report
from dsanet_cli.timeline.review import Review, ReviewedEvent, read_review, with_review
from dsanet_cli.timeline.timeline import Event


def seek(browser, seconds):
    browser.execute_script("dsanet.page.player.seek(arguments[0])", seconds)
    until(browser, f"!document.querySelector('video').seeking && Math.abs(dsanet.page.player.time - {seconds}) < 0.01")


def test_a_missed_event_is_marked_changed_saved_and_loaded(opened, page, folder):
    seek(opened, 9.0)
    press(opened, "m")
    assert texts(opened, "#count") == ["3 events · 1 missed"]
    assert texts(opened, ".event.missed .when") == ["0:09.0 – 0:12.8"], "up to the next event"
    assert count(opened, "svg .missed.span") == 1
    seek(opened, 10.0)
    find(opened, ".event.missed .here:nth-child(1)").click()
    seek(opened, 11.5)
    find(opened, ".event.missed .here:nth-child(2)").click()
    opened.execute_script(
        "const kind = document.querySelector('.event.missed select');"
        "kind.value = 'explosion'; kind.dispatchEvent(new Event('change'))"
    )
    find(opened, ".event.missed input").send_keys("behind the car\n")
    assert texts(opened, ".event.missed .label") == ["explosion"]
    seek(opened, 10.5)
    find(opened, "#add").click()
    until(opened, "document.getElementById('state').textContent.includes('an event at this moment already')")
    find(opened, "#save").click()
    saved = folder / "downloads" / "clip.review.json"
    wait_for(saved.exists)
    (entry,) = read_review(saved).events
    assert entry == ReviewedEvent(10.0, 11.5, 10.75, "explosion", "missed", note="behind the car")

    opened.execute_script("localStorage.clear()")
    visit(opened, page)
    until(opened, "dsanet.page.player.playable")
    assert texts(opened, "#count") == ["3 events"]
    find(opened, "#load").send_keys(str(saved))
    until(opened, "document.getElementById('state').textContent.includes('1 entry loaded')")
    assert texts(opened, ".event.missed .when") == ["0:10.0 – 0:11.5"]
    assert texts(opened, ".event .label") == ["fighting", "explosion", "road accidents", "explosion"], (
        "in order of time"
    )
    find(opened, ".event.missed .remove").click()
    assert texts(opened, "#count") == ["3 events"]
    saved.unlink()


def test_one_that_is_found_at_a_lower_threshold_is_a_true_event(browser, folder):
    timeline = make_timeline(bumps=((5, 10, 1, 0.9), (20, 24, 3, 0.45)))
    result = write_result(folder / "lower", timeline)
    run_report(ReportSettings((str(result),), quiet=True))
    visit(browser, result.with_suffix(".html"))
    browser.execute_script("dsanet.page.player.seek(13); dsanet.page.addMissed()")
    assert texts(browser, "#count") == ["1 event · 1 missed"]
    lower = "const s = document.getElementById('slider'); s.value = 0.4; s.dispatchEvent(new Event('input'))"
    browser.execute_script(lower)
    assert texts(browser, "#count") == ["2 events · 1 true · 0 false · 1 open"]
    assert texts(browser, ".event:nth-child(2) .was") == ["found as road accidents"]
    find(browser, ".event:nth-child(2) .judge.false").click()
    assert texts(browser, "#count") == ["2 events · 0 true · 1 false · 1 open"]
    assert browser.execute_script("return dsanet.page.review.entries.length") == 1


def test_that_nothing_was_found_and_nothing_missed_can_be_saved(browser, folder):
    result = write_result(folder / "nothing", make_timeline(bumps=()), stem="nothing")
    run_report(ReportSettings((str(result),), quiet=True))
    visit(browser, result.with_suffix(".html"))
    find(browser, "#save").click()
    saved = folder / "downloads" / "nothing.review.json"
    wait_for(saved.exists)
    assert (read_review(saved).events, read_review(saved).threshold) == ((), 0.5)


def test_page_and_program_agree_on_what_is_missed(opened):
    rng = random.Random(5)

    def entry(verdict):
        start = rng.randrange(100)
        end = start + rng.randrange(1, 30)
        times = {"start": start, "end": end, "peak_time": rng.uniform(start, end)}
        return times | {"label": "fighting", "verdict": verdict, "relabelled": None}

    cases = []
    for _ in range(300):
        events = sorted((entry(None) for _ in range(rng.randrange(5))), key=lambda one: one["start"])
        cases.append(
            (events, [entry(rng.choice(("missed", "missed", "true", "false"))) for _ in range(rng.randrange(6))])
        )
    there = opened.execute_script(
        "return arguments[0].map(([found, entries]) => dsanet.missedAmong(found, entries).map((one) => one.peak_time))",
        cases,
    )
    for (events, entries), found in zip(cases, there, strict=True):
        timeline = make_timeline(bumps=())
        object.__setattr__(
            timeline,
            "events",
            tuple(Event(e["start"], e["end"], e["peak_time"], 1.0, "fighting", ()) for e in events),
        )
        known = tuple(ReviewedEvent(**one) for one in entries)
        said = with_review(timeline, Review("0" * 64, "clip.mp4", 0.5, known))
        spans = [(one.start, one.end) for one in known if one.verdict == "missed" and one.peak_time in found]
        added = {(one.start, one.end) for one in known if one.verdict == "missed"}
        assert sorted(spans) == sorted(
            (one.start, one.end) for one in said.review.missed if (one.start, one.end) in added
        )
    assert sum(map(len, there)) > 100
