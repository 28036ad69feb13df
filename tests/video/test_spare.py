"""Packets that nobody needs are left out, and what is delivered stays the same to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from formats import FORMATS
from media import damage, read_number, remux, write_moving_bar, write_video

from dsanet_cli.video import chunk_decoder
from dsanet_cli.video.bitstream import Header
from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.packet_stream import PacketStream
from dsanet_cli.video.proven import Prover
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.spare import Role, role_reader, spare_places

SIZE = (96, 128)
FRAMES = 150


def x264(parameters):
    return {"options": {"x264-params": parameters, "preset": "medium"}}


def x265(parameters):
    return {"codec": "libx265", "options": {"x265-params": f"log-level=none:{parameters}", "preset": "fast"}}


FILES = {
    "b-pyramid.mp4": x264("bframes=5:b-adapt=0:b-pyramid=normal"),
    "no-pyramid.ts": x264("bframes=3:b-adapt=0:b-pyramid=none"),
    "open-gop.mkv": x264("bframes=3:b-adapt=0:open-gop=1"),
    "no-b-frames.mp4": x264("bframes=0"),
    "slices.mp4": x264("bframes=3:b-adapt=0:slices=4"),
    "weighted.flv": x264("bframes=3:b-adapt=0:weightp=2:ref=5:direct=temporal"),
    "refreshed.mp4": x264("bframes=2:b-adapt=0:intra-refresh=1"),
    "hevc.mp4": x265("bframes=4:b-adapt=0"),
    "hevc-closed.mkv": x265("bframes=4:b-adapt=0:b-pyramid=0:open-gop=0"),
    "hevc-layers.mp4": x265("bframes=3:b-adapt=0:temporal-layers=1"),
    "hevc-low-delay.ts": x265("bframes=0:open-gop=0"),
    "mpeg2.ts": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg2.mkv": {"codec": "mpeg2video", "b_frames": 3},
    "mpeg1.mpg": {"codec": "mpeg1video", "b_frames": 2},
}


@pytest.fixture
def short_chunks(monkeypatch):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (40,))


@pytest.fixture
def left_out(monkeypatch):
    """Places of the packets left out of each chunk that was decoded."""
    found = []

    def spy(*arguments):
        found.append(spare_places(*arguments))
        return found[-1]

    monkeypatch.setattr(chunk_decoder, "spare_places", spy)
    return found


def read(path, sampled=1, wanted=None, options=None):
    reader = open_video(path, SIZE, sampled, options=options or ReadOptions())
    return list(reader.snippets(wanted)), reader.info


def assert_same(found, expected):
    (snippets, info), (all_snippets, all_info) = found, expected
    assert info == all_info
    assert [(s.index, s.start, s.end, s.length) for s in snippets] == [
        (s.index, s.start, s.end, s.length) for s in all_snippets
    ]
    for one, other in zip(snippets, all_snippets, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames, err_msg=f"snippet {one.index}")


def everything(monkeypatch, *arguments, **options):
    with monkeypatch.context() as patch:
        patch.setattr(chunk_decoder, "spare_places", lambda *_: frozenset())
        return read(*arguments, **options)


@pytest.fixture
def no_decord(monkeypatch):
    monkeypatch.setattr(Prover, "is_proven", lambda self, chunk: IS_PROVEN(self, chunk) and False)


IS_PROVEN = Prover.is_proven


@pytest.mark.parametrize("name", FILES)
@pytest.mark.usefixtures("short_chunks")
def test_pictures_are_the_same_to_the_bit(tmp_path, monkeypatch, capfd, left_out, name):
    path = write_video(tmp_path / name, FRAMES, gop=30, **FILES[name])
    capfd.readouterr()  # what the encoder says
    for sampled, wanted in (1, None), (4, None), (2, {3, 8}):
        assert_same(read(path, sampled, wanted), everything(monkeypatch, path, sampled, wanted))
    monkeypatch.setattr(Prover, "is_proven", lambda self, chunk: IS_PROVEN(self, chunk) and False)
    fewer = len(left_out)
    found = read(path)
    assert_same(found, everything(monkeypatch, path))
    assert [read_number(snippet.frames[0]) for snippet in found[0]] == [*range(8, 144, 16), 147]
    assert any(left_out[:fewer])
    assert any(left_out[fewer:])


@pytest.mark.usefixtures("short_chunks")
def test_nothing_is_left_out_where_all_is_looked_at(tmp_path, left_out):
    read(write_video(tmp_path / "clip.mp4", FRAMES, gop=30, **FILES["b-pyramid.mp4"]), 16)
    assert len(left_out) == 3
    assert not any(left_out)


@pytest.mark.parametrize("name", ["vp9.webm", "av1.mp4", "mpeg4-b-frames.avi", "h264-b-frames.avi"])
@pytest.mark.usefixtures("short_chunks")
def test_all_is_decoded_of_other_codecs_and_without_order(tmp_path, left_out, name):
    snippets, _ = read(write_video(tmp_path / name, FRAMES, gop=30, **FORMATS[name]))
    assert [read_number(snippet.frames[0]) for snippet in snippets] == [*range(8, 144, 16), 147]
    assert left_out
    assert not any(left_out)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.usefixtures("short_chunks")
def test_interlaced_pictures_keep_their_neighbours(tmp_path, monkeypatch, left_out, codec):
    path = write_moving_bar(tmp_path / "clip.ts", FRAMES, interlaced=True, codec=codec, options="tff=1")
    found = read(path, 2)
    assert_same(found, everything(monkeypatch, path, 2))
    assert sum(map(bool, left_out)) == (codec == "mpeg2video")  # which says so picture by picture


@pytest.mark.parametrize("decord", [True, False])
@pytest.mark.parametrize("first", [61, 75, 90])
@pytest.mark.usefixtures("short_chunks")
def test_damage_costs_as_much(tmp_path, monkeypatch, request, left_out, first, decord):
    if not decord:
        request.getfixturevalue("no_decord")
    path = damage(write_video(tmp_path / "clip.mp4", FRAMES, gop=30, **FILES["no-pyramid.ts"]), first, 12)
    for sampled in (1, 4):
        assert_same(read(path, sampled), everything(monkeypatch, path, sampled))
    assert any(left_out)


@pytest.mark.parametrize("options", [{"region": (0.0, 0.0, 1.0, 0.5)}, {"start": 1.0, "end": 4.3}])
@pytest.mark.usefixtures("short_chunks")
def test_parts_and_regions(tmp_path, monkeypatch, left_out, options):
    path = write_video(tmp_path / "clip.mp4", FRAMES, gop=30, **FILES["b-pyramid.mp4"])
    asked = ReadOptions(**options)
    assert_same(read(path, 2, options=asked), everything(monkeypatch, path, 2, options=asked))
    assert any(left_out)


@pytest.mark.parametrize("decord", [True, False])
@pytest.mark.usefixtures("short_chunks")
def test_marks_of_key_frames_are_not_believed(tmp_path, monkeypatch, request, left_out, decord):
    if not decord:
        request.getfixturevalue("no_decord")
    whole = write_video(tmp_path / "whole.mp4", FRAMES, gop=70, **FILES["no-pyramid.ts"])
    path = remux(whole, tmp_path / "clip.mkv", all_keys=True)
    assert_same(read(path), everything(monkeypatch, path))
    assert any(left_out)


@pytest.mark.usefixtures("short_chunks", "no_decord")
def test_frames_in_another_order_than_their_times(tmp_path, monkeypatch, left_out):
    """Two B-frames out of three have each other's time; the decoder knows better, and its order counts."""
    packets = PacketStream.packets

    def mixed_up(self):
        read = list(packets(self))
        for one, other in zip(read[2::4], read[3::4], strict=False):  # I P b b b P b b b
            one.pts, other.pts = other.pts, one.pts
        return iter(read)

    monkeypatch.setattr(PacketStream, "packets", mixed_up)
    path = write_video(tmp_path / "clip.mkv", FRAMES, gop=30, **FILES["no-pyramid.ts"])
    found = read(path)
    assert any(left_out)
    assert_same(found, everything(monkeypatch, path))


def test_other_parameters_on_the_way_end_it(tmp_path):
    first = write_video(tmp_path / "first.ts", 100, gop=30, **FILES["hevc-layers.mp4"])
    second = write_video(
        tmp_path / "second.ts", 100, gop=30, first_number=100, height=192, width=256, **FILES["hevc.mp4"]
    )
    path = tmp_path / "clip.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with Demuxer(path) as demuxer:
        prover = Prover(demuxer)
        readers = []
        for chunk in demuxer.chunks(30):
            prover.is_proven(chunk)
            readers.append(prover.role_reader() is not None)
    assert readers == sorted(readers, reverse=True)
    assert set(readers) == {True, False}


def hevc_header(layers):
    """Of a stream with so many temporal layers: the start of its sequence parameter set."""
    return Header(4, frozenset([bytes([33 << 1, 1, (layers - 1) << 1])]))


def hevc_packet(*units):
    """Of NAL units of these types, temporal layers and other layers."""
    written = [bytes([kind << 1, other << 3 | layer + 1, 0x80]) for kind, layer, other in units]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in written)


@pytest.mark.parametrize(
    ("layers", "units", "role"),
    [
        (1, [(0, 0, 0)], Role.UNUSED),
        (1, [(35, 0, 0), (39, 0, 0), (8, 0, 0), (8, 0, 0)], Role.UNUSED),
        (1, [(1, 0, 0)], Role.USED),
        (1, [(0, 0, 0), (1, 0, 0)], Role.USED),
        (3, [(2, 2, 0)], Role.UNUSED),
        (3, [(0, 1, 0)], Role.USED),  # those of the layer above may build on it
        (1, [(0, 0, 1)], Role.USED),
        (1, [(10, 0, 0)], Role.USED),  # reserved
        (1, [(34, 0, 0), (0, 0, 0)], Role.USED),  # parameters
        (1, [(33, 0, 0), (19, 0, 0)], Role.START),
        (1, [(21, 0, 0)], Role.USED),  # what leads it builds on what is before
        (1, [(39, 0, 0)], Role.USED),
        (1, [], Role.USED),
    ],
)
def test_roles_of_hevc(layers, units, role):
    role_of = role_reader("hevc", hevc_header(layers))
    assert role_of(hevc_packet(*units)) is role


@pytest.mark.parametrize(
    ("units", "role"),
    [
        ([0x01], Role.UNUSED),
        ([0x09, 0x06, 0x01, 0x01], Role.UNUSED),
        ([0x41], Role.USED),
        ([0x01, 0x41], Role.USED),
        ([0x02], Role.USED),  # in parts
        ([0x01, 0x68], Role.USED),  # parameters
        ([0x0E, 0x01], Role.USED),  # of several layers
        ([0x67, 0x68, 0x65], Role.START),
        ([0x65, 0x41], Role.USED),
        ([0x06], Role.USED),
        ([], Role.USED),
    ],
)
def test_roles_of_h264(units, role):
    packet = b"".join(b"\x00\x00\x01" + bytes([unit, 0x88]) for unit in units)
    assert role_reader("h264", Header(0, frozenset()))(packet) is role


def test_roles_of_mpeg_and_of_what_is_not_known():
    role_of = role_reader("mpeg2video", None)
    pictures = {kind: b"\x00\x00\x01\x00" + bytes([0, kind << 3]) for kind in range(1, 5)}
    assert {kind for kind, data in pictures.items() if role_of(data) is Role.UNUSED} == {3}
    assert role_of(pictures[3] + pictures[2]) is Role.USED
    assert role_of(b"\x00\x00\x01\x00") is role_of(b"") is Role.USED
    assert [role_reader(codec, None) for codec in ("h264", "hevc", "vp9", "av1", "mpeg4")] == [None] * 5
    assert role_reader("hevc", Header(4, frozenset())) is None
