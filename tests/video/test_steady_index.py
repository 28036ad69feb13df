"""A part of a video without reading the rest of it: nothing but the time that it takes may differ."""

from __future__ import annotations

import av
import numpy as np
import pytest
from formats import FORMATS, SEVERAL_CHUNKS, SIZE
from media import remux, write_video

from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.steady_index import SteadyIndex

HEVC = {"codec": "libx265", "b_frames": 3, "options": {"x265-params": "log-level=none:open-gop=1"}}
STEADY = {
    **{name: FORMATS[name] for name in ("h264.mp4", "b-frames.mp4", "open-gop.mp4")},
    "hevc.mp4": HEVC,
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "sound.mp4": {"audio": True},
}
OTHERS = {name: FORMATS[name] for name in ("fragmented.mp4", "mpeg4.avi", "h264.ts", "hevc-open-gop.mkv")}
VIDEOS = {**STEADY, **OTHERS}
FRAMES = 2 * SEVERAL_CHUNKS


def read(path, options):
    reader = open_video(path, SIZE, 4, options=options)
    return list(reader.snippets()), reader.info


def frames_read(path, options):
    with Demuxer(path, options) as demuxer:
        return sum(len(chunk.frames) for chunk in demuxer.chunks())


@pytest.mark.parametrize("name", VIDEOS)
def test_a_part_is_the_same_whether_or_not_the_rest_is_read(tmp_path, name, monkeypatch):
    path = write_video(tmp_path / name, FRAMES, gop=20, **VIDEOS[name])
    parts = [ReadOptions(start=16.3, end=17.5), ReadOptions(start=23.0), ReadOptions(start=2.0, end=4.04)]
    found = [read(path, part) for part in parts]
    skipped = [frames_read(path, part) < FRAMES for part in parts]
    monkeypatch.setattr(SteadyIndex, "read", lambda stream, size: None)
    for part, (snippets, info) in zip(parts, found, strict=True):
        all_snippets, full_info = read(path, part)
        assert info == full_info
        assert len(snippets) == len(all_snippets) > 0
        for one, other in zip(snippets, all_snippets, strict=True):
            assert (one.index, one.start, one.end, one.length) == (other.index, other.start, other.end, other.length)
            assert np.array_equal(one.frames, other.frames)
    assert skipped == [name in STEADY] * 3


def index_of(path):
    with av.open(str(path)) as container:
        return SteadyIndex.read(container.streams.video[0], path.stat().st_size)


def test_the_index_of_a_steady_video(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 100, gop=10, b_frames=2)
    with av.open(str(path)) as container:
        dts = [packet.dts for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
    found = index_of(path)
    assert found == SteadyIndex(100, 512, tuple(dts))
    assert found.start_for(dts[4]) == dts[1]  # 16 frames before, and one more
    assert found.start_for(dts[1]) is None


@pytest.mark.parametrize("frame", [0, 20, 78])
def test_no_index_where_a_distance_differs(tmp_path, frame):
    times = [number / 25 + (0.01 if number > frame else 0) for number in range(80)]
    assert index_of(write_video(tmp_path / "clip.mp4", 80, times=times)) is None


def test_no_index_of_frames_that_are_hidden_missing_or_halves(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 100, gop=20)
    assert index_of(whole) is not None
    assert index_of(remux(whole, tmp_path / "edit.mp4", start=1.0)) is None
    assert index_of(remux(whole, tmp_path / "keys.mp4", all_keys=True)) is None
    front = write_video(tmp_path / "front.mp4", 100, container_options={"movflags": "faststart"})
    assert index_of(front) is not None
    front.write_bytes(front.read_bytes()[: front.stat().st_size * 2 // 3])
    assert index_of(front) is None
    fields = {"options": {"x264-params": "interlaced=1"}}
    assert index_of(write_video(tmp_path / "fields.mp4", 100, **fields)) is None


def test_where_reading_starts_there_is_room_for_what_a_key_frame_needs():
    index = SteadyIndex(1000, 1, tuple(range(0, 1000, 50)))
    for stamp in range(1000):
        start = index.start_for(stamp)
        keys = [key for key in index.keys if (start or 0) < key <= stamp - 16]
        assert start is None or len(keys) == 1
    assert [index.start_for(stamp) for stamp in (0, 99, 115, 116, 166)] == [None, None, None, 50, 100]
