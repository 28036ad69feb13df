"""The fallback decoder delivers what decord does, on formats and files of all kinds."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from formats import FORMATS, OPEN_GOP, SIZE, expected_numbers
from media import read_number, write_video

from dsanet_cli.video.decord_decoder import load_decord
from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.pyav_decoder import PyavDecoder
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.scaler import Moment, Scaler

VARIABLE = list(np.cumsum(np.tile([0.04, 0.2, 0.02, 0.5], 25)))
X265 = {"codec": "libx265", "b_frames": 3, "options": {"x265-params": "log-level=none"}}
FILES = {
    "h264.mp4": {"b_frames": 2},
    "open-gop.mp4": {"b_frames": 3, "options": OPEN_GOP},
    "hevc.mp4": X265,
    "hevc-10-bit.mkv": {**X265, "pix_fmt": "yuv420p10le"},
    "av1.mp4": FORMATS["av1.mp4"],
    "vp9.webm": FORMATS["vp9.webm"],
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4-b-frames.avi": {"codec": "mpeg4", "b_frames": 2},
    "h264-b-frames.avi": {"b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "h264.ts": {"b_frames": 2},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "bare.h264": {"b_frames": 2},
    "h264.mkv": {"b_frames": 2},
    "h264.flv": {"b_frames": 2},
    "variable.mp4": {"times": VARIABLE, "b_frames": 2},
    "variable.mkv": {"times": VARIABLE},
    "turned.mp4": {"rotation": 90},
    "upside-down.mkv": {"rotation": 180},
    "odd.mp4": {"height": 95, "width": 127, "pix_fmt": "yuv444p"},
    "60-fps.mp4": {"rate": 60, "b_frames": 2},
    "television.mkv": {"rate": Fraction(30000, 1001)},
    "one-frame.mp4": {"frames": 1},
    "two-frames.mkv": {"frames": 2},
}


def refuse(*_, **__):
    raise load_decord().DECORDError


@pytest.mark.parametrize("sampled", [3, 16])
@pytest.mark.parametrize("name", FILES)
def test_both_decoders_deliver_the_same(tmp_path, monkeypatch, capfd, name, sampled):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (40,))
    path = write_video(tmp_path / name, **{"frames": 100, **FILES[name]})
    capfd.readouterr()  # what the encoder says
    reader = open_video(path, (72, 100), sampled)
    expected, info = list(reader.snippets()), reader.info
    monkeypatch.setattr(load_decord(), "VideoReader", refuse)
    found = list(reader.snippets())
    assert reader.info == info
    assert [(s.index, s.start, s.end, s.length) for s in found] == [
        (s.index, s.start, s.end, s.length) for s in expected
    ]
    frames = FILES[name].get("frames", 100)
    assert [[read_number(f) for f in s.frames] for s in found] == expected_numbers(frames, sampled)
    for one, other in zip(found, expected, strict=True):
        # To the bit here; decord and PyAV bring an ffmpeg each, and those of other releases may round otherwise.
        assert np.abs(one.frames.astype(int) - other.frames).max() <= 2
    assert capfd.readouterr() == ("", "")


def test_a_picture_size_that_changes_midway_does_not_matter(tmp_path, monkeypatch):
    small = write_video(tmp_path / "small.ts", 150)
    large = write_video(tmp_path / "large.ts", 150, height=192, width=256, first_number=150)
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    monkeypatch.setattr(load_decord(), "VideoReader", refuse)
    reader = open_video(path, SIZE, 3)
    assert [[read_number(f) for f in s.frames] for s in reader.snippets()] == expected_numbers(300, 3)


def decoded(decoder, chunk, before, after):
    moments = decoder.decode(chunk, before, after)
    return [(place, read_number(moment.frame.to_ndarray(format="rgb24"))) for place, moment in moments]


@pytest.mark.parametrize("name", ["b-frames.mp4", "open-gop.ts", "hevc-open-gop.mkv", "av1.mp4", "mpeg4.avi"])
def test_chunks_follow_each_other_without_a_break(tmp_path, name):
    path = write_video(tmp_path / name, 120, **FORMATS[name])
    with Demuxer(path) as demuxer:
        chunks = list(demuxer.chunks(30))
        decoder = PyavDecoder(demuxer, lambda: None)
        fed = []
        decode = decoder._decode
        decoder._decode = lambda packet, *silent: fed.append(packet) or decode(packet, *silent)
        first = 0
        for before, chunk, after in zip([None, *chunks], chunks, [*chunks[1:], None], strict=False):
            found = decoded(decoder, chunk, before, after)
            assert found == [(place, first + place) for place in range(len(chunk.packets))]
            first += len(chunk.frames)
        assert len(chunks) >= 3
        assert sum(packet is not None for packet in fed) == 120  # each once


def test_any_chunk_can_be_decoded_first(tmp_path):
    with Demuxer(write_video(tmp_path / "clip.mp4", 120, b_frames=2)) as demuxer:
        first, second, third, *_ = demuxer.chunks(30)
        decoder = PyavDecoder(demuxer, lambda: None)
        start = len(first.frames) + len(second.frames)
        expected = [(place, start + place) for place in range(len(third.packets))]
        assert decoded(decoder, third, None, None) == expected
        assert decoded(decoder, first, None, second) == [(place, place) for place in range(len(first.packets))]
        assert decoded(decoder, third, second, None) == expected
        next(decoder.decode(first, None, second))  # and then no more of it
        assert decoded(decoder, second, first, third)[0] == (0, len(first.frames))


def test_a_key_frame_alone(tmp_path):
    with Demuxer(write_video(tmp_path / "clip.mp4", 60, gop=20, b_frames=2)) as demuxer:
        (chunk,) = demuxer.chunks()
        decoder = PyavDecoder(demuxer, lambda: None)
        keys = [packet for packet in chunk.packets if packet.is_keyframe]
        assert [read_number(decoder.key_frame(key).frame.to_ndarray(format="rgb24")) for key in keys] == [0, 20, 40]
        other = next(packet for packet in chunk.packets if not packet.is_keyframe)
        assert decoder.key_frame(other) is None
        assert decoded(decoder, chunk, None, None) == [(place, place) for place in range(60)]


def test_one_scaler_takes_frames_of_all_kinds():
    content = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)

    def make(height, width, pix_fmt, colours=None):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(content[:height, :width]), format="rgb24")
        frame = frame.reformat(format=pix_fmt)
        if colours is not None:
            frame.colorspace = colours
        return Moment(frame)

    scaler = Scaler((60, 84))
    kinds = ("yuv420p", Colorspace.ITU709), ("yuvj420p",), ("gray",), ("nv12",), ("yuv444p10le",)
    for size, kind in itertools.product([(96, 128), (72, 96)], kinds):
        np.testing.assert_array_equal(
            scaler.picture(make(*size, *kind)), Scaler((60, 84)).picture(make(*size, *kind)), err_msg=f"{size} {kind}"
        )


@pytest.mark.parametrize(("height", "width"), [(60, 84), (95, 127), (33, 32)])
def test_scaled_pictures_have_the_size_asked_for(tmp_path, height, width):
    with Demuxer(write_video(tmp_path / "clip.mp4", 2)) as demuxer:
        scaled = Scaler((height, width)).picture(Moment(demuxer.first_picture()))
    assert scaled.shape == (height, width, 3)
    assert read_number(scaled) == 0
