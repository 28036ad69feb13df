"""Damaged and cut off files: what is missing is told, and all else is right."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from formats import FORMATS, SEVERAL_CHUNKS, SIZE, expected_numbers, numbers
from media import damage, read_number, remux, write_video

from dsanet_cli.errors import VideoError
from dsanet_cli.video.decord_decoder import load_decord
from dsanet_cli.video.demux import CHUNK_FRAMES, Demuxer
from dsanet_cli.video.header import Header
from dsanet_cli.video.packet_stream import PacketStream
from dsanet_cli.video.pyav_decoder import PyavDecoder
from dsanet_cli.video.reader import open_video

GOP = 12


def seconds(*frames):
    """Spans between frames of a video of 25 frames a second."""
    return tuple((pytest.approx(start / 25, abs=2e-3), pytest.approx(end / 25, abs=2e-3)) for start, end in frames)


def read(path, sampled):
    """Numbers that the frames of each snippet say, by index, and what the reader tells of the video."""
    reader = open_video(path, SIZE, sampled)
    found = {}
    for snippet in reader.snippets():
        assert (snippet.start, snippet.end) == seconds((16 * snippet.index, 16 * snippet.index + snippet.length))[0]
        found[snippet.index] = [read_number(frame) for frame in snippet.frames]
    return found, reader.info


def nearest(good, start, sampled):
    """The frames to deliver of the snippet that starts with frame ``start``, out of the ``good`` ones."""
    there = [number for number in range(start, start + 16) if number in good]
    places = [start + offset for offset in expected_numbers(16, sampled)[0]]
    return sorted({min(there, key=lambda number: abs(number - place)) for place in places})


@pytest.fixture
def no_decord(monkeypatch):
    def fail(*_, **__):
        raise load_decord().DECORDError

    monkeypatch.setattr(load_decord(), "VideoReader", fail)


@pytest.mark.parametrize("sampled", [1, 4, 16])
def test_a_damaged_stretch_is_a_hole_and_the_rest_is_right(tmp_path, capfd, sampled):
    path = damage(write_video(tmp_path / "clip.mp4", 600, gop=GOP), 400, 40)
    found, info = read(path, sampled)
    # After frame 439 come four that build on it; the next key frame is 444.
    good = set(range(600)) - set(range(400, 444))
    assert sorted(found) == [index for index in range(38) if index not in (25, 26)]
    for index, frames in found.items():
        start = 16 * index
        assert frames == (nearest(good, start, sampled) if index < 37 else expected_numbers(600, sampled)[-1])
    assert info.holes == seconds((400, 432))
    assert (info.frames, info.duration) == (600, pytest.approx(24))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name", ["h264.mp4", "open-gop.mp4", "hevc.mp4", "mpeg4.mp4", "vp9.mp4", "av1.mp4", "h264-b-frames.avi"]
)
def test_frames_that_build_on_a_damaged_one_are_not_used(tmp_path, capfd, name):
    formats = {
        "hevc.mp4": {**FORMATS["hevc-open-gop.mkv"]},
        "mpeg4.mp4": {"codec": "mpeg4", "b_frames": 2},
        "vp9.mp4": FORMATS["vp9.webm"],
    }
    path = write_video(tmp_path / name, 100, gop=24, **(formats | FORMATS)[name])
    capfd.readouterr()  # what the encoder says
    damage(path, 27, 5)
    found, info = read(path, 16)
    assert [index for index in range(7) if index in found] == sorted(found)
    assert all(16 * index <= number < 16 * index + 16 for index, frames in found.items() for number in frames)
    delivered = {number for frames in found.values() for number in frames}
    assert set(range(20)) | set(range(48, 100)) <= delivered
    assert delivered.isdisjoint(range(32, 44))
    assert (info.frames, info.duration) == (100, pytest.approx(4))
    assert capfd.readouterr() == ("", "")


def test_a_damaged_spot_costs_its_part_only(tmp_path, monkeypatch):
    path = damage(write_video(tmp_path / "clip.mp4", 5 * CHUNK_FRAMES, gop=GOP), 600, 20)
    fell_back = []
    decode = PyavDecoder.decode
    monkeypatch.setattr(
        PyavDecoder, "decode", lambda self, *chunks: fell_back.append(chunks[0]) or decode(self, *chunks)
    )
    found, info = read(path, 1)
    assert len(fell_back) == 1
    assert info.holes == seconds((608, 624))
    assert found.pop(37) == [599]
    assert found == {index: [16 * index + 8] for index in range(80) if index not in (37, 38)}


def test_a_file_that_does_not_start_with_a_key_frame(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", 100, codec="mpeg4", gop=36)
    path = tmp_path / "clip.mkv"
    with av.open(str(whole)) as read_from, av.open(str(path), "w") as written:
        copy = written.add_stream_from_template(read_from.streams.video[0])
        for packet in itertools.islice(read_from.demux(video=0), 1, None):
            if packet.size:
                packet.stream = copy
                written.mux(packet)
    reader = open_video(path, SIZE, 1)
    assert [(s.index, read_number(s.frames[0])) for s in reader.snippets()] == [
        (2, 41),
        (3, 57),
        (4, 73),
        (5, 89),
        (6, 98),
    ]
    assert reader.info.holes == seconds((0, 32))


def test_holes_that_meet_are_one(tmp_path):
    path = damage(damage(write_video(tmp_path / "clip.mp4", 300, gop=8), 10, 40), 200, 60)
    _, info = read(path, 1)
    assert info.holes == seconds((16, 48), (208, 256))


def test_a_damaged_start(tmp_path):
    path = damage(write_video(tmp_path / "clip.mp4", 100, gop=GOP), 0, 40)
    found, info = read(path, 4)
    assert sorted(found) == [3, 4, 5, 6]
    assert info.holes == seconds((0, 48))


def test_damage_on_both_sides_of_where_a_video_is_cut_for_decoding(tmp_path):
    path = write_video(tmp_path / "clip.mp4", SEVERAL_CHUNKS, gop=GOP)
    with Demuxer(path) as demuxer:
        border = len(next(demuxer.chunks()).frames)
    assert border == 264  # in the middle of the snippet that starts with frame 256
    damage(damage(path, 258, 5), 266, 5)
    found, info = read(path, 2)
    assert found.pop(16) == [257, 265]  # for 260 and 268
    assert found.pop(17) == [276, 284]
    assert [*found.values()] == [*expected_numbers(256, 2), *expected_numbers(SEVERAL_CHUNKS, 2)[18:]]
    assert info.holes == ()


def test_unwanted_damage_is_no_hole(tmp_path):
    path = damage(write_video(tmp_path / "clip.mp4", 200, gop=8), 60, 40)
    reader = open_video(path, SIZE, 1)
    assert [snippet.index for snippet in reader.snippets({1, 4, 10})] == [1, 10]
    assert reader.info.holes == seconds((64, 80))
    assert [snippet.index for snippet in reader.snippets({1})] == [1]
    assert reader.info.holes == ()
    assert list(reader.snippets({4})) == []


def test_a_damaged_key_frame_leaves_its_key_snippet_empty(tmp_path, capfd):
    path = damage(write_video(tmp_path / "clip.mp4", 96, gop=32), 32, 1)
    snippets = list(open_video(path, SIZE, 1).key_snippets())
    found = [[read_number(frame) for frame in snippet.frames] for snippet in snippets]
    assert found == [[0], [], [], [], [64], []]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("keys", [90, 1000])
@pytest.mark.parametrize("name", ["clip.flv", "clip.mkv"])
def test_frames_marked_falsely_as_key_frames_are_not_trusted(tmp_path, name, keys):
    codec = {"codec": "flv"} if name.endswith("flv") else {"b_frames": 2}
    whole = write_video(tmp_path / f"whole-{name}", 3 * CHUNK_FRAMES, gop=keys, **codec)
    path = remux(whole, tmp_path / name, all_keys=True)
    reader = open_video(path, SIZE, 3)
    assert numbers(reader) == expected_numbers(3 * CHUNK_FRAMES, 3)
    assert reader.info.holes == ()


def test_a_picture_that_is_refreshed_bit_by_bit(tmp_path):
    options = {"x264-params": "intra-refresh=1:keyint=60"}
    path = write_video(tmp_path / "clip.ts", 3 * CHUNK_FRAMES, gop=60, options=options)
    reader = open_video(path, SIZE, 3)
    assert numbers(reader) == expected_numbers(3 * CHUNK_FRAMES, 3)
    assert reader.info.holes == ()


def test_a_file_cut_off_after_its_index(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 200, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    found, info = read(path, 1)
    assert 100 < info.frames < 125
    assert info.holes == seconds((info.frames, 200))
    assert (info.duration, info.fps) == (8, 25)
    whole = info.frames // 16
    assert [found[index] for index in range(whole)] == [[16 * index + 8] for index in range(whole)]
    assert list(found) == list(range(len(expected_numbers(info.frames, 1))))


def test_a_damaged_end_and_what_is_cut_off_are_one_hole(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 200, gop=8, container_options={"movflags": "faststart"})
    damage(path, 60, 140)
    with av.open(str(path)) as container:
        cut = [packet for packet in container.demux(video=0) if packet.size][120]
    path.write_bytes(path.read_bytes()[: cut.pos])
    _, info = read(path, 1)
    assert info.holes == seconds((64, 200))


def test_a_file_that_cannot_be_read_beyond_a_point(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.ts", 100)
    demux = av.container.InputContainer.demux

    class Failing:
        def __init__(self, container):
            self._container = container

        def __getattr__(self, name):
            return getattr(self._container, name)

        def demux(self, stream):
            yield from itertools.islice(demux(self._container, stream), 50)
            raise av.error.OSError(5, "Input/output error")

    reader = open_video(path, SIZE, 1)
    original = PacketStream.__init__

    def fail_later(self, *arguments):
        original(self, *arguments)
        self._container = Failing(self._container)

    monkeypatch.setattr(PacketStream, "__init__", fail_later)
    assert len(list(reader.snippets())) == 4
    assert reader.info.holes == seconds((50, 100))
    monkeypatch.setattr(Header, "end_from", lambda *_: 0.0)
    list(reader.key_snippets())
    assert reader.info.holes == seconds((50, 51))


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
def test_a_truncated_fragmented_file(tmp_path, capfd, share):
    path = write_video(tmp_path / "clip.mp4", 300, container_options={"movflags": "frag_keyframe+empty_moov"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found, info = read(path, 16)
    assert [number for frames in found.values() for number in frames] == list(range(info.frames))
    assert info.frames == pytest.approx(300 * share, abs=20)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
def test_a_cut_transport_stream(tmp_path, capfd, share):
    path = write_video(tmp_path / "clip.ts", 300, b_frames=2)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    reader = open_video(path, SIZE, 16)
    snippets = list(reader.snippets())
    assert [s.start for s in snippets] == pytest.approx([0.64 * index for index in range(len(snippets))])
    delivered = [read_number(frame) for snippet in snippets for frame in snippet.frames]
    # The last frame is there in part only, and those shown before it can be missing.
    assert delivered[:-1] == list(range(len(delivered) - 1))
    assert len(delivered) == reader.info.frames == pytest.approx(300 * share, abs=20)
    assert 0 <= 25 * reader.info.duration - len(delivered) <= 2.001
    assert capfd.readouterr() == ("", "")


def test_noise_in_a_transport_stream(tmp_path, capfd):
    path = write_video(tmp_path / "clip.ts", 600, gop=GOP)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(content)
    reader = open_video(path, SIZE, 1)
    snippets = list(reader.snippets())
    assert [read_number(s.frames[0]) for s in snippets[:15]] == [16 * index + 8 for index in range(15)]
    assert reader.info.duration == pytest.approx(24, abs=0.1)
    for snippet in snippets[-12:]:
        assert snippet.start * 25 <= read_number(snippet.frames[0]) < snippet.end * 25
    assert capfd.readouterr() == ("", "")


def test_a_video_of_which_no_snippet_can_be_decoded(tmp_path, monkeypatch):
    reader = open_video(write_video(tmp_path / "clip.mp4", 40), SIZE, 1)
    damage(tmp_path / "clip.mp4", 0, 40)
    with pytest.raises(VideoError, match=r"clip\.mp4: no frame can be decoded; copy it again"):
        list(reader.snippets())
