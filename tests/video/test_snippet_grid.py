from __future__ import annotations

import itertools

import pytest
from media import remux, write_video

from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.snippet_grid import Grid
from dsanet_cli.video.spans import Span, SpanLine


@pytest.fixture
def read(tmp_path, monkeypatch):
    """The stretches of a video, in chunks of about ``least`` frames."""

    def read_stretches(path, snippet_frames, seconds=None, least=20):
        monkeypatch.setattr(Demuxer.chunks, "__defaults__", (least,))
        with Demuxer(path) as demuxer:
            return list(Grid(demuxer, SpanLine(snippet_frames, seconds)).stretches())

    return read_stretches


@pytest.mark.parametrize("snippet_frames", [1, 7, 16, 50, 1000])
def test_every_chunk_knows_all_of_its_snippets(read, tmp_path, snippet_frames):
    path = write_video(tmp_path / "clip.mp4", 103, gop=10, b_frames=2)
    found = read(path, snippet_frames)
    assert len(found) == 6
    starts = [*range(0, 103, snippet_frames), 103]
    spans = [
        Span(
            index, start, end - start, pytest.approx(start / 25), pytest.approx(end / 25), end - start == snippet_frames
        )
        for index, (start, end) in enumerate(itertools.pairwise(starts))
    ]
    assert [span for stretch in found for span in stretch.complete] == spans
    assert [number for stretch in found for number in stretch.numbers.values()] == list(range(103))
    for stretch in found:
        first = min(stretch.numbers.values())
        assert list(stretch.spans) == [
            span for span in spans if span.first < stretch.end and span.first + span.length > first
        ]


@pytest.mark.parametrize("seconds", [0.1, 0.64, 1.3, 30])
@pytest.mark.parametrize("rate", [1, 5, 25])
def test_snippets_by_time_come_with_the_chunks_whose_frames_they_look_at(read, tmp_path, rate, seconds):
    frames = 43
    path = write_video(tmp_path / "clip.mp4", frames, rate=rate, gop=5, b_frames=2)
    line = SpanLine(16, seconds)
    for number in range(frames):
        line.add(number / rate)
    line.finish(frames / rate)
    expected = [
        Span(s.index, s.first, s.length, pytest.approx(s.start), pytest.approx(s.end), s.whole) for s in line.complete
    ]
    found = read(path, 16, seconds, least=6)
    assert len(found) > 4
    assert [span for stretch in found for span in stretch.complete] == expected
    for stretch in found:
        looked_at = set(stretch.numbers.values())
        assert list(stretch.spans) == [span for span in expected if looked_at.intersection(span.numbers)]


def test_a_chunk_knows_its_neighbours(read, tmp_path):
    found = read(write_video(tmp_path / "clip.mp4", 103, gop=10), 16)
    chunks = [stretch.chunk for stretch in found]
    assert [stretch.before for stretch in found] == [None, *chunks[:-1]]
    assert [stretch.after for stretch in found] == [*chunks[1:], None]


def test_one_chunk_is_read_ahead(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 200, gop=10)
    with Demuxer(path) as demuxer:
        count = 0
        chunks = demuxer.chunks

        def counting():
            nonlocal count
            for chunk in chunks(20):
                count += 1
                yield chunk

        demuxer.chunks = counting
        assert [count for _ in Grid(demuxer, SpanLine(16)).stretches()] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 10]


def test_key_frames_have_the_number_of_the_frame_shown(read, tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 120, gop=24, b_frames=2)
    found = [number for stretch in read(whole, 16) for number, _ in stretch.key_packets()]
    assert found == [0, 24, 48, 72, 96]
    cut = remux(whole, tmp_path / "cut.mp4", start=1.2)  # hides the frames 24 to 29
    assert [number for stretch in read(cut, 16) for number, _ in stretch.key_packets()] == [0, 18, 42, 66]


def test_a_file_without_a_frame_to_show_has_no_snippets(read, tmp_path):
    path = write_video(tmp_path / "clip.ts", 30, gop=100)
    content = path.read_bytes()
    path.write_bytes(content[len(content) // 2 // 188 * 188 :])
    assert read(path, 16) == []
