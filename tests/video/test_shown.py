"""Frames that are never shown are not counted, and all others have the numbers that a player gives them."""

from __future__ import annotations

import re
import shutil
import subprocess

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from formats import FORMATS, SIZE
from media import compressed_frames, damage, picture, read_number, write_compressed, write_video

from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.probe import probe
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.shown import shown_by

VOP = b"\x00\x00\x01\xb6"
PACKED = b"\x00\x00\x01\xb2DivX503b1393p"
"""The mark of those who pack a B-frame into the packet of the frame before it."""


def not_coded(time_bits=5):
    """An MPEG-4 picture that says that nothing has changed, at 25 frames a second."""
    bits = "01" + "0" + "1" + "0" * time_bits + "1" + "0" + "0"
    bits += "1" * (-len(bits) % 8)
    return VOP + int(bits, 2).to_bytes(len(bits) // 8, "big")


def decoded_numbers(path):
    with av.open(str(path)) as container:
        return [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def assert_counted(path, monkeypatch):
    """Snippets hold the frames that decoding the whole file gives, and ``probe`` counts as many."""
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    expected = decoded_numbers(path)
    reader = open_video(path, SIZE, 16)
    snippets = list(reader.snippets())
    assert [read_number(frame) for snippet in snippets for frame in snippet.frames] == expected
    assert [snippet.length for snippet in snippets[:-1]] == [16] * (len(snippets) - 1)
    assert (reader.info.frames, reader.info.holes) == (len(expected), ())
    assert probe(path) == reader.info
    lengths = [snippet.length for snippet in reader.key_snippets()]
    assert lengths == [snippet.length for snippet in snippets]
    (one,) = reader.snippets({4})
    assert [read_number(frame) for frame in one.frames] == expected[64:80]
    return expected


@pytest.mark.parametrize("suffix", ["webm", "ivf"])
def test_vp8_frames_that_only_help_others(tmp_path, monkeypatch, suffix):
    whole = write_video(tmp_path / "whole.webm", 120, gop=20, **FORMATS["vp8.webm"])
    frames = compressed_frames(whole)
    for number in range(5, 120, 7):
        data, is_key = frames[number]
        if not is_key:
            frames[number] = bytes([data[0] & ~0x10]) + data[1:], False
    path = write_compressed(whole, tmp_path / f"clip.{suffix}", frames)
    assert len(assert_counted(path, monkeypatch)) < 110


def test_av1_units_that_were_cut_apart(tmp_path, monkeypatch):
    whole = write_video(tmp_path / "whole.mkv", 100, gop=20, **FORMATS["av1.mp4"])
    with av.open(str(whole)) as container:
        stream = container.streams.video[0]
        cut = BitStreamFilterContext("av1_frame_split", stream)
        frames = [
            (bytes(part), part.is_keyframe and number == 0)
            for packet in container.demux(stream)
            if packet.size
            for number, part in enumerate(cut.filter(packet))
        ]
    assert len(frames) > 120
    path = write_compressed(whole, tmp_path / "clip.mkv", frames)
    assert assert_counted(path, monkeypatch) == list(range(100))


@pytest.mark.parametrize("suffix", ["avi", "mkv"])
def test_mpeg4_pictures_that_say_that_nothing_changed(tmp_path, monkeypatch, suffix):
    whole = write_video(tmp_path / "whole.avi", 100, codec="mpeg4")
    frames = compressed_frames(whole)
    for number in range(95, 0, -7):
        frames.insert(number, (not_coded(), False))
    path = write_compressed(whole, tmp_path / f"clip.{suffix}", frames)
    assert assert_counted(path, monkeypatch) == list(range(100))


@pytest.mark.parametrize("b_frames", [1, 2, 3])
def test_mpeg4_pictures_that_are_packed(tmp_path, monkeypatch, b_frames):
    whole = write_video(tmp_path / "whole.avi", 100, codec="mpeg4", b_frames=b_frames)
    packed = []
    owed = 0
    for data, is_key in [*compressed_frames(whole), (b"", False)]:
        kind = data[data.rindex(VOP) + 4] >> 6 if data else None
        if kind == 2 and not owed:  # the first of some B-frames
            packed[-1] = packed[-1][0] + data, packed[-1][1]
            owed = 1
            continue
        if kind != 2 and owed:
            packed.append((not_coded(), False))
            owed = 0
        if data:
            packed.append((data.replace(VOP, PACKED + VOP, 1) if is_key else data, is_key))
    assert any(data == not_coded() for data, _ in packed)
    assert len(packed) == 100
    path = write_compressed(whole, tmp_path / "clip.avi", packed)
    assert assert_counted(path, monkeypatch) == list(range(100))


def test_frames_that_a_recorder_left_out_of_an_avi(tmp_path, monkeypatch):
    whole = write_video(tmp_path / "whole.avi", 120, codec="mjpeg", pix_fmt="yuvj420p")
    frames = [None if number % 3 else frame for number, frame in enumerate(compressed_frames(whole))]
    path = write_compressed(whole, tmp_path / "clip.avi", [*frames, *compressed_frames(whole)])
    assert b"00dc\x00\x00\x00\x00" in path.read_bytes()  # an empty packet
    assert len(assert_counted(path, monkeypatch)) == 160


def exp_golomb(*numbers):
    return "".join("0" * (len(f"{number + 1:b}") - 1) + f"{number + 1:b}" for number in numbers)


def nal_unit(kind, bits, body=b""):
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big") + body
    return b"\x00\x00\x01" + bytes([kind]) + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


H264_PARAMETERS = nal_unit(
    0x67,  # Main profile, 32 x 32 pixels, frames of two fields
    f"{77:08b}{0:08b}{30:08b}" + exp_golomb(0, 0, 2, 1) + "0" + exp_golomb(1, 0) + "0010" + "01",
) + nal_unit(0x68, exp_golomb(0, 0) + "00" + exp_golomb(0, 0, 0) + "000" + exp_golomb(0, 0, 0) + "1001")


def h264_fields(number, intra):
    """The two fields of the frame that says ``number``, of macroblocks that are not compressed."""
    frame = av.VideoFrame.from_ndarray(picture(number, 32, 32), format="rgb24").reformat(format="yuv420p")
    planes = frame.to_ndarray()
    luma, *chroma = planes[:32], planes[32:40].reshape(16, 16), planes[40:].reshape(16, 16)
    fields = []
    for bottom in (0, 1):
        is_idr = intra and not bottom
        # first macroblock, kind of slice, parameters; frame number, is a field, which; of key frames, more
        bits = exp_golomb(0, 7, 0) + f"{0 if intra else number % 16:04b}" + f"1{bottom}"
        bits += (exp_golomb(number % 2) + "00" if is_idr else "0") + exp_golomb(0, 1)
        data = b""
        for left in (0, 16):
            bits += exp_golomb(25)  # not compressed
            bits += "0" * (-len(bits) % 8)
            data += int(bits, 2).to_bytes(len(bits) // 8, "big")
            bits = ""
            data += luma[bottom::2, left : left + 16].tobytes()
            data += b"".join(plane[bottom::2, left // 2 : left // 2 + 8].tobytes() for plane in chroma)
        head, body = data[:1], data[1:]
        fields.append(nal_unit(0x65 if is_idr else 0x61, f"{head[0]:08b}", body + b"\x80"))
    return fields


@pytest.mark.parametrize("keys", [1, 16])
@pytest.mark.parametrize("suffix", ["h264", "ts", "mkv"])
def test_h264_fields_in_packets_of_their_own(tmp_path, monkeypatch, suffix, keys):
    fields = []
    for number in range(100):
        first, second = h264_fields(number, intra=number % keys == 0)
        fields += [H264_PARAMETERS + first if number % keys == 0 else first, second]
    raw = tmp_path / "raw.h264"
    raw.write_bytes(b"".join(fields))
    path = raw
    if suffix != "h264":
        frames = [(field, number % (2 * keys) < 2) for number, field in enumerate(fields)]
        path = write_compressed(raw, tmp_path / f"clip.{suffix}", frames)
    assert len(compressed_frames(path)) == 200
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    with Demuxer(path) as demuxer:
        assert not any(0 in chunk.silent for chunk in demuxer.chunks(31))
    assert len(assert_counted(path, monkeypatch)) == 100


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="encodes in two passes with ffmpeg")
@pytest.mark.parametrize(("encoder", "suffix"), [("libvpx", "webm"), ("libvpx-vp9", "webm"), ("libvpx-vp9", "mp4")])
def test_alternative_references_of_two_passes(tmp_path, monkeypatch, encoder, suffix):
    path = tmp_path / f"clip.{suffix}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=4", "-c:v", encoder, "-g", "50"]
    command += ["-b:v", "100k", "-auto-alt-ref", "1", "-lag-in-frames", "25", "-passlogfile", str(tmp_path / "log")]
    subprocess.run([*command, "-pass", "1", "-f", "null", "-"], check=True)
    subprocess.run([*command, "-pass", "2", str(path)], check=True)
    shown = shown_by("vp8" if encoder == "libvpx" else "vp9", b"")
    if encoder == "libvpx":
        assert len(compressed_frames(path)) > 100
    else:  # Here they share their packet with the next frame.
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            cut = BitStreamFilterContext("vp9_superframe_split", stream)
            parts = [part for packet in container.demux(stream) if packet.size for part in cut.filter(packet)]
        assert len(parts) > 100
        assert sum(shown(bytes(part)) for part in parts) == 100
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (30,))
    reader = open_video(path, SIZE, 16)
    assert sum(len(snippet.frames) for snippet in reader.snippets()) == 100
    assert (reader.info.frames, reader.info.holes, probe(path).frames) == (100, (), 100)


@pytest.mark.parametrize(("name", "kind"), [("vp8.avi", "vp8.webm"), ("vp9.mp4", "vp9.webm"), ("av1.mp4",) * 2])
def test_damaged_frames_are_counted(tmp_path, capfd, name, kind):
    path = write_video(tmp_path / name, 100, **FORMATS[kind])
    damage(path, 40, 20)
    assert probe(path).frames == 100
    rng = np.random.default_rng(0)
    with av.open(str(path)) as container:
        shown = shown_by(container.streams.video[0].codec.canonical_name, b"")
    for size in (*range(1, 40), 1000):
        shown(rng.bytes(size))  # whatever it says, no error


def test_a_vp9_frame_that_is_shown_again():
    shown = shown_by("vp9", b"")
    assert shown(bytes([0b10_00_1000]))  # an earlier one
    assert not shown(bytes([0b10_00_0100, 0]))
    assert shown(bytes([0b10_00_0110, 0]))
    assert not shown(bytes([0b10_11_0010, 0]))  # profile 3 has a bit more
    assert shown(bytes([0b10_11_0011, 0]))
    hidden, visible = bytes([0b10_00_0100, 0, 0]), bytes([0b10_00_0110, 0])
    index = bytes([0b110_00_001, len(hidden), len(visible), 0b110_00_001])
    assert shown(hidden + visible + index)
    assert not shown(hidden + hidden[:2] + index)
