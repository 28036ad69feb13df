"""decord gets what it decodes as PyAV does, to the bit, and nothing else; what PyAV gets is right."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from media import join_descriptions, join_flv, remux, write_palettes, write_video

from dsanet_cli.video import pyav_decoder
from dsanet_cli.video.bitstream import H264Sequence, Header
from dsanet_cli.video.chunk_decoder import ChunkDecoder
from dsanet_cli.video.decord_decoder import DecordDecoder
from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.proven import MATROSKA, MP4, MPEG_TS, PROVEN, Prover
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.scaler import Moment, Scaler

SIZE = (72, 100)
SUFFIXES = {MP4: "mp4", MATROSKA: "mkv", MPEG_TS: "ts"}
ENCODERS = {
    "h264": {"b_frames": 3, "options": {"x264-params": "open-gop=1:b-adapt=0"}},
    "hevc": {"codec": "libx265", "b_frames": 3, "options": {"x265-params": "log-level=none:open-gop=1"}},
    "vp9": {"codec": "libvpx-vp9", "options": {"deadline": "good", "cpu-used": "8", "lag-in-frames": "10"}},
    "av1": {"codec": "libsvtav1", "options": {"preset": "12"}},
}
ALL_PROVEN = [
    (codec, container, pixels)
    for codec, kind in PROVEN.items()
    for container, pixels in itertools.product(sorted(kind.containers), sorted(kind.pixels))
]
UNPROVEN = {
    "bgr24.avi": {"codec": "rawvideo", "pix_fmt": "bgr24"},
    "rgb24.mov": {"codec": "rawvideo", "pix_fmt": "rgb24"},
    "bgra.avi": {"codec": "rawvideo", "pix_fmt": "bgra"},
    "uyvy.avi": {"codec": "rawvideo", "pix_fmt": "uyvy422"},
    "yuy2.mkv": {"codec": "rawvideo", "pix_fmt": "yuyv422"},
    "rgb565.nut": {"codec": "rawvideo", "pix_fmt": "rgb565le"},
    "gray-as-palette.mov": {"codec": "rawvideo", "pix_fmt": "gray"},
    "16-bit-gray.nut": {"codec": "rawvideo", "pix_fmt": "gray16le"},
    "png.mov": {"codec": "png", "pix_fmt": "rgb24"},
    "prores-with-alpha.mov": {"codec": "prores_ks", "pix_fmt": "yuva444p10le"},
    "speedhq.avi": {"codec": "speedhq", "pix_fmt": "yuv422p"},
    "ffv1.mkv": {"codec": "ffv1", "pix_fmt": "bgra"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 2},
    "wmv2.wmv": {"codec": "wmv2"},
    "h264-422.mp4": {"pix_fmt": "yuv422p"},
    "h264-fields.mp4": {"options": {"x264-params": "fake-interlaced=1"}},
}


@pytest.fixture
def decoded(monkeypatch):
    """Who decoded which chunk, in order."""
    who: list[str] = []
    decord, fallback = DecordDecoder.decode, ChunkDecoder._fall_back

    def by_decord(self, chunk, wanted):
        found = decord(self, chunk, wanted)
        who.append("decord")
        return found

    monkeypatch.setattr(DecordDecoder, "decode", by_decord)
    monkeypatch.setattr(ChunkDecoder, "_fall_back", lambda *args: who.append("PyAV") or fallback(*args))
    return who


def plainly_decoded(path):
    """Pictures of all frames, decoded from the start to the end without any cutting."""
    scaler = Scaler(SIZE)
    with av.open(str(path)) as container:
        return [scaler.picture(Moment(frame)) for frame in container.decode(video=0)]


def assert_pictures_are_right(path):
    found = [frame for snippet in open_video(path, SIZE, 16).snippets() for frame in snippet.frames]
    expected = plainly_decoded(path)
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"frame {number}")


@pytest.mark.parametrize(("codec", "container", "pixels"), ALL_PROVEN)
def test_what_is_proven_is_the_same_to_the_bit(tmp_path, monkeypatch, capfd, decoded, codec, container, pixels):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    path = tmp_path / f"clip.{SUFFIXES.get(container, container)}"
    write_video(path, 100, pix_fmt=pixels, **ENCODERS[codec])
    capfd.readouterr()  # what the encoder says
    assert_pictures_are_right(path)
    assert "decord" in decoded
    # Without presentation times, chunks that decord finds shifted are decoded again.
    assert "PyAV" not in decoded or container in ("avi", "h264", "hevc")


@pytest.mark.parametrize("name", UNPROVEN)
def test_what_is_not_proven_is_decoded_by_pyav(tmp_path, monkeypatch, decoded, name):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (20,))
    assert_pictures_are_right(write_video(tmp_path / name, 50, **UNPROVEN[name]))
    assert set(decoded) == {"PyAV"}


@pytest.fixture
def two_headers(tmp_path):
    first = write_video(tmp_path / "first.flv", 100, b_frames=2)
    second = write_video(tmp_path / "second.flv", 100, first_number=100, options={"preset": "medium"})
    return join_flv([first, second], tmp_path / "joined.flv", 4.0)


@pytest.mark.parametrize("suffix", ["flv", "mp4"])
def test_a_second_header_midway(tmp_path, monkeypatch, decoded, two_headers, suffix):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    path = two_headers if suffix == "flv" else remux(two_headers, tmp_path / "two-descriptions.mp4")
    with av.open(str(path)) as container:
        headers = [packet.has_sidedata("new_extradata") for packet in container.demux(video=0)]
    if not any(headers):
        pytest.skip("this release of ffmpeg writes one header only")
    assert headers.index(True) == 100
    assert_pictures_are_right(path)
    assert decoded == sorted(decoded, reverse=True)  # first decord, then PyAV
    assert set(decoded) == {"decord", "PyAV"}


def test_decoding_can_start_behind_a_second_header(monkeypatch, two_headers):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    expected = plainly_decoded(two_headers)
    reader = open_video(two_headers, SIZE, 16)
    (snippet,) = reader.snippets({10})
    np.testing.assert_array_equal(snippet.frames, expected[160:176])
    keys = [snippet.frames[0] for snippet in reader.key_snippets() if len(snippet.frames)]
    assert len(keys) > 10
    assert all(any(np.array_equal(key, picture) for picture in expected) for key in keys)


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4"])
def test_several_headers_of_pictures_of_different_sizes(tmp_path, monkeypatch, capfd, codec):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    encoder = ENCODERS.get(codec, {"codec": codec})
    small = write_video(tmp_path / "small.mp4", 96, **encoder)
    large = write_video(tmp_path / "large.mp4", 100, first_number=96, height=192, width=256, **encoder)
    capfd.readouterr()
    path = join_descriptions([small, large, small], tmp_path / "clip.mp4")
    expected = [*plainly_decoded(small), *plainly_decoded(large), *plainly_decoded(small)]
    reader = open_video(path, SIZE, 16)
    snippets = list(reader.snippets())
    assert reader.info.holes == ()
    for snippet in snippets:
        np.testing.assert_array_equal(snippet.frames, expected[16 * snippet.index : 16 * snippet.index + 16])
    (one,) = reader.snippets({9})
    np.testing.assert_array_equal(one.frames, expected[144:160])


def test_a_new_header_that_the_decoder_would_not_heed_is_a_hole(tmp_path, monkeypatch):
    monkeypatch.setattr(pyav_decoder, "IN_STREAM", ())
    parts = [write_video(tmp_path / f"{size}.mp4", 96, codec="mpeg4", height=size, width=size) for size in (96, 192)]
    reader = open_video(join_descriptions(parts, tmp_path / "clip.mp4"), SIZE, 16)
    assert [snippet.index for snippet in reader.snippets()] == list(range(6))
    assert [(start, end) for start, end, *_ in reader.info.holes] == [(pytest.approx(3.84), pytest.approx(7.68))]


def test_palettes_that_change(tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (60,))
    path = write_palettes(tmp_path / "clip.avi", 250)
    expected = plainly_decoded(path)
    assert expected[0].any()
    assert_pictures_are_right(path)
    reader = open_video(path, SIZE, 16)
    (snippet,) = reader.snippets({9})  # in the middle of a palette
    np.testing.assert_array_equal(snippet.frames, expected[144:160])
    for key in reader.key_snippets():
        np.testing.assert_array_equal(key.frames[0], expected[16 * key.index])


@pytest.mark.parametrize("other", [{"height": 192, "width": 256}, {"pix_fmt": "yuv420p10le"}, {"pix_fmt": "yuv444p"}])
@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2video"])
def test_other_parameters_within_the_stream(tmp_path, monkeypatch, capfd, decoded, codec, other):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    encoder = {**ENCODERS.get(codec, {"codec": codec}), "b_frames": 0}
    if codec == "mpeg2video" and "pix_fmt" in other:
        other = {"pix_fmt": "yuv422p"}
    first = write_video(tmp_path / "first.ts", 100, **encoder)
    second = write_video(tmp_path / "second.ts", 100, first_number=100, **{**encoder, **other})
    capfd.readouterr()
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    assert_pictures_are_right(path)
    assert decoded == sorted(decoded, reverse=True)
    assert decoded[-1] == "PyAV"


def test_parameters_within_the_stream_that_are_those_of_its_header_are_proven(tmp_path):
    with Demuxer(write_video(tmp_path / "clip.ts", 100, gop=20)) as demuxer:
        prover = Prover(demuxer)
        assert [prover.is_proven(chunk) for chunk in demuxer.chunks(20)] == [True] * 5


def test_a_header_that_is_cut_off_proves_nothing(tmp_path):
    with Demuxer(write_video(tmp_path / "clip.mp4", 10)) as demuxer:
        extradata = demuxer.decoder.extradata
    assert len(Header.read("h264", extradata).parameter_sets) == 2
    for end in range(1, len(extradata) - 4):
        with pytest.raises(ValueError, match="cut off"):
            Header.read("h264", extradata[:end])


@pytest.mark.parametrize(
    ("options", "pixels", "progressive"),
    [
        ("", "yuv420p", True),
        ("bframes=3:b-pyramid=normal", "yuv420p", True),
        ("cqm=jvt:8x8dct=1", "yuv420p", True),
        ("", "yuv444p", True),
        ("", "yuv422p10le", True),
        ("tff=1", "yuv420p", False),
        ("fake-interlaced=1:cqm=jvt", "yuv444p", False),
    ],
)
def test_sequence_parameters_say_whether_all_is_progressive(tmp_path, options, pixels, progressive):
    path = write_video(tmp_path / "clip.mp4", 2, pix_fmt=pixels, options={"x264-params": options, "preset": "medium"})
    with Demuxer(path) as demuxer:
        header = Header.read("h264", demuxer.decoder.extradata)
    (sequence,) = [H264Sequence.read(unit) for unit in header.parameter_sets if unit[0] & 31 == 7]
    assert sequence.progressive == progressive
