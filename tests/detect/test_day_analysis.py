"""Files of a day that end in any order."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dsanet_cli.detect.analysis import SnippetFeature
from dsanet_cli.detect.day import Day, Recording
from dsanet_cli.detect.day_analysis import DayAnalysis
from dsanet_cli.errors import DsanetError, VideoError
from dsanet_cli.files.sources import Source
from dsanet_cli.video.probe import Hole, VideoInfo

PICTURE = np.full((8, 8, 3), 200, np.uint8)


class Kept:
    """Keeps what an analysis would be given."""

    def __init__(self):
        self.snippets = []

    def add(self, snippet):
        self.snippets.append(snippet)

    def conclude(self, facts, coverage):
        return facts, coverage


def day(*starts, lengths=None):
    recordings = [
        Recording(Source(Path(f"{number}.mp4"), Path(str(number))), start, length)
        for number, (start, length) in enumerate(zip(starts, lengths or itertools.repeat(10.0), strict=False))
    ]
    kept = Kept()
    return DayAnalysis(Source(Day.of("yard/2026-11-27", "yard", recordings), Path("yard/2026-11-27")), kept), kept


def info(number, gaps=()):
    return VideoInfo(Path(f"{number}.mp4"), 250, Fraction(25), 10.0, 64, 48, "h264", 1000, gaps=gaps)


def feed(analysis, number):
    for start in (0.0, 5.0):
        analysis.take(number, SnippetFeature(start, start + 5, np.array([number, start], np.float32), PICTURE))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_snippets_come_in_order_of_time_whichever_file_is_first(order):
    analysis, kept = day(100.0, 110.0, 130.0)
    for number in order:
        feed(analysis, number)
        analysis.done(number, info(number))
    assert analysis.is_complete
    assert [snippet.start for snippet in kept.snippets] == [0, 5, 10, 15, 30, 35]
    assert [snippet.feature[0] for snippet in kept.snippets] == [0, 0, 1, 1, 2, 2]
    assert all(np.abs(snippet.picture.astype(int) - PICTURE).max() < 4 for snippet in kept.snippets)
    facts, coverage = analysis.conclude()
    assert coverage.holes == ((20.0, 30.0),)
    assert coverage.hole_reasons == ("no file",)
    assert coverage.analysed == pytest.approx(0.75)
    assert (facts.frames, facts.duration, facts.camera, facts.fps) == (750, 40.0, "yard", 25)
    assert [(part.start, part.end) for part in facts.files] == [(0, 10), (10, 20), (30, 40)]


def test_clocks_of_whole_seconds_leave_no_holes():
    analysis, _ = day(100.0, 111.0, 120.0)
    for number in range(3):
        analysis.done(number, info(number))
    facts, coverage = analysis.conclude()
    assert coverage.holes == ()
    assert [part.start for part in facts.files] == [0, 10, 20]
    assert analysis.overlap == ""


def test_a_clock_that_runs_ahead_by_a_second_a_file_is_never_left_far_behind():
    starts = [100.0 + 11 * number for number in range(40)]
    analysis, _ = day(*starts)
    for number in range(40):
        analysis.done(number, info(number))
    parts = analysis.conclude()[0].files
    assert all(abs(part.start - (start - 100)) <= 1.5 for part, start in zip(parts, starts, strict=True))


def test_holes_within_files_lie_at_times_of_the_day_beside_those_of_broken_files():
    analysis, _ = day(None, None, None, lengths=(10.0, 0.0, 10.0))
    analysis.done(0, info(0, gaps=(Hole(8.0, 10.0, "frames are missing"),)))
    analysis.done(1, VideoError("1.mp4: no"))
    analysis.done(2, info(2, gaps=(Hole(1.0, 2.0, "damaged"),)))
    facts, coverage = analysis.conclude()
    assert coverage.holes == ((8.0, 10.0), (10.0, 20.0), (21.0, 22.0))
    assert coverage.hole_reasons == ("frames are missing", "1.mp4: no", "damaged")
    assert [part.error for part in facts.files] == [None, "1.mp4: no", None]


def test_the_day_fails_where_all_files_or_the_scoring_do():
    analysis, _ = day(None)
    analysis.done(0, VideoError("0.mp4: no"))
    assert "none of its 1 files can be analysed: 0.mp4: no" in str(analysis.conclude())
    analysis, kept = day(None)
    kept.add = lambda _: 1 // 0
    feed(analysis, 0)
    analysis.done(0, info(0))
    assert isinstance(analysis.conclude(), DsanetError)


def test_a_day_is_known_by_the_places_sizes_and_ages_of_its_files(tmp_path):
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for file in files:
        file.write_bytes(b"1234")
    whole = Day.of("yard/d", "yard", [Recording(Source(file, Path(file.stem)), None) for file in files])
    assert whole.stat().st_size == 8
    tags = {whole.tag}
    files[0].write_bytes(b"12345")
    whole.stat()
    tags.add(whole.tag)
    files[1].unlink()
    assert whole.stat().st_size == 5
    assert len(tags | {whole.tag}) == 3
    files[0].unlink()
    with pytest.raises(FileNotFoundError):
        whole.stat()
