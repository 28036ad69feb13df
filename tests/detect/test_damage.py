"""A damaged video against the undamaged one: away from what is missing events are the same, and the rest is a hole."""

from __future__ import annotations

import av
import pytest
from commands import ROOT

import dsanet_cli as dsanet

SAMPLE = ROOT / "samples" / "RoadAccidents001.mp4"
SNIPPET = 0.64
"""Seconds."""
MERGE_GAP = 2.0


def copy(path, lost=()):
    """The sample in another container, without the packets of some spans of time."""
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as written:
        stream = written.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size and not any(start <= float(packet.pts * packet.time_base) < end for start, end in lost):
                packet.stream = stream
                written.mux(packet)
    return path


def transcode(path):
    """The sample as MPEG-4 in AVI, as many recorders export it."""
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as written:
        stream = written.add_stream("mpeg4", rate=25, options={"qscale": "2"})
        stream.width, stream.height, stream.bit_rate = 320, 240, 4_000_000
        for frame in source.decode(video=0):
            frame.pict_type = 0
            for packet in stream.encode(frame.reformat(format="yuv420p")):
                written.mux(packet)
        for packet in stream.encode(None):
            written.mux(packet)
    return path


def remains(event, holes):
    """The parts of an event's span that no hole takes away, but for slivers."""
    parts = [(event.start, event.end)]
    for start, end in holes:
        parts = [piece for a, b in parts for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    return [(a, b) for a, b in parts if b - a > 2 * SNIPPET]


@pytest.fixture(scope="module")
def detector():
    with dsanet.Detector.load("scenes", dsanet.DetectSettings(precision="fp32")) as detector:
        yield detector


@pytest.fixture(scope="module")
def undamaged(detector):
    return detector.detect(SAMPLE)


@pytest.mark.parametrize(
    ("name", "damage", "missing"),
    [
        ("before.ts", lambda path: copy(path, [(4, 9)]), (3.5, 10.5)),
        ("within.ts", lambda path: copy(path, [(17, 20)]), (2.5, 4.5)),
        ("before.mkv", lambda path: copy(path, [(4, 9)]), (3.5, 10.5)),
        ("twice.mkv", lambda path: copy(path, [(3, 6), (17, 20)]), (5, 9)),
    ],
)
def test_away_from_the_damage_events_are_the_same(detector, undamaged, tmp_path, name, damage, missing):
    check(undamaged, detector.detect(damage(tmp_path / name)), missing)


def test_an_export_that_was_cut_off(detector, tmp_path):
    path = transcode(tmp_path / "export.avi")
    undamaged = detector.detect(path)
    assert undamaged.coverage.holes == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 8 // 10])
    check(undamaged, detector.detect(path), (3, 7))


def check(undamaged, damaged, missing):
    """Compare two timelines of the same video; ``missing``: between how many seconds the holes last together."""
    holes = damaged.coverage.holes
    lost = sum(end - start for start, end in holes)
    assert missing[0] <= lost <= missing[1]
    assert damaged.coverage.analysed == pytest.approx(1 - lost / damaged.video.duration, abs=1e-3)
    assert damaged.video.duration == pytest.approx(undamaged.video.duration, abs=0.2)
    expected = [(part, event) for event in undamaged.events for part in remains(event, holes)]
    assert len(damaged.events) == len(expected)
    for found, ((start, end), event) in zip(damaged.events, expected, strict=True):
        assert (found.start, found.end) == (
            pytest.approx(start, abs=1.1 * SNIPPET),
            pytest.approx(end, abs=1.1 * SNIPPET),
        )
        assert (found.label, found.peak_score) == (event.label, pytest.approx(event.peak_score, abs=0.1))
