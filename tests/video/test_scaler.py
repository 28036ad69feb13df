"""Interlaced frames come out whole, progressive ones as they are."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from av.filter import Graph
from media import write_moving_bar

from dsanet_cli.video.demux import Demuxer
from dsanet_cli.video.proven import Prover
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.scaler import Moment, Scaler

SIZE = (96, 128)
INTERLACED = {
    "upper-first.mp4": {"options": "tff=1"},
    "lower-first.ts": {"options": "bff=1"},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "mpeg2.ts": {"codec": "mpeg2video"},
    "mpeg4.avi": {"codec": "mpeg4"},
}


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (20,))


def combing(picture):
    """How much each line differs from those above and below it, on average."""
    grey = picture.mean(axis=2)
    return np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean()


def decode(path, *filters):
    """Pictures of the whole file, through ffmpeg's filters."""
    graph = Graph()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        steps = [graph.add_buffer(template=stream), *(graph.add(*one) for one in filters), graph.add("buffersink")]
        for one, following in itertools.pairwise(steps):
            one.link_to(following)
        graph.configure()
        pictures = []
        for frame in itertools.chain(container.decode(stream), [None]):
            graph.push(frame)
            try:
                while True:
                    pictures.append(graph.pull().to_ndarray())
            except (BlockingIOError, EOFError):
                continue
    return pictures


SCALE = ("scale", f"{SIZE[1]}:{SIZE[0]}:flags=bicubic"), ("format", "rgb24")


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_frames_are_made_whole(tmp_path, name):
    path = write_moving_bar(tmp_path / name, 70, interlaced=True, **INTERLACED[name])
    combed = decode(path, *SCALE)
    expected = decode(path, ("yadif", "deint=interlaced"), *SCALE)
    assert min(map(combing, combed)) > 4 * max(map(combing, expected))
    reader = open_video(path, SIZE, 16)
    found = [frame for snippet in reader.snippets() for frame in snippet.frames]
    assert reader.info.frames == len(found) == len(expected) == 70
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"frame {number}")
    for snippet in open_video(path, SIZE, 2).snippets():
        for frame in snippet.frames:
            assert any(np.array_equal(frame, one) for one in expected[16 * snippet.index : 16 * snippet.index + 16])


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_key_frames_are_made_whole(tmp_path, name):
    path = write_moving_bar(tmp_path / name, 70, interlaced=True, **INTERLACED[name])
    least = min(map(combing, decode(path, *SCALE)))
    keys = [snippet.frames[0] for snippet in open_video(path, SIZE, 1).key_snippets() if len(snippet.frames)]
    assert len(keys) >= 3
    assert least > 4 * max(map(combing, keys))


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_part_in_the_middle_that_is_interlaced(tmp_path, codec):
    parts = [
        write_moving_bar(
            tmp_path / f"{number}.ts", 50, interlaced=interlaced, codec=codec, options="tff=1" if interlaced else ""
        )
        for number, interlaced in enumerate((False, True, False))
    ]
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    plain = decode(path, *SCALE)
    found = [frame for snippet in open_video(path, SIZE, 16).snippets() for frame in snippet.frames]
    assert len(found) == len(plain)
    for number in (*range(49), *range(101, 149)):  # as they are
        np.testing.assert_array_equal(found[number], plain[number], err_msg=f"frame {number}")
    middle = range(51, 99)
    assert min(combing(plain[number]) for number in middle) > 4 * max(combing(found[number]) for number in middle)


def test_progressive_frames_in_a_stream_that_allows_others_stay_as_they_are(tmp_path):
    path = write_moving_bar(tmp_path / "clip.mp4", 50, interlaced=False, codec="mpeg2video")
    plain = decode(path, *SCALE)
    found = [frame for snippet in open_video(path, SIZE, 16).snippets() for frame in snippet.frames]
    np.testing.assert_array_equal(found, plain)


def test_single_fields_as_pictures_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(Prover, "is_proven", lambda *_: False)
    path = tmp_path / "clip.mp4"
    write_moving_bar(path, 40, interlaced=True, codec="libx265", options="interlace=tff:log-level=none")
    plain = decode(path, *SCALE)
    found = [frame for snippet in open_video(path, SIZE, 16).snippets() for frame in snippet.frames]
    np.testing.assert_array_equal(found, plain)


def test_interlaced_frames_of_all_kinds_in_one_scaler(tmp_path):
    small = write_moving_bar(tmp_path / "small.mpg", 12, interlaced=True, codec="mpeg2video")
    scaler = Scaler((48, 64))
    with av.open(str(small)) as container:
        frames = [frame for frame in container.decode(video=0) if frame.interlaced_frame]
    other = frames[5].reformat(width=96, height=64, format="yuv422p")
    expected = scaler.picture(Moment(frames[5], True, frames[4], frames[6]))
    scaler.picture(Moment(other, True))
    # A neighbour of another size is no help.
    alone = scaler.picture(Moment(frames[5], True, other, other))
    np.testing.assert_array_equal(alone, scaler.picture(Moment(frames[5], True)))
    np.testing.assert_array_equal(scaler.picture(Moment(frames[5], True, frames[4], frames[6])), expected)


def mark_interlaced(source, target, order):
    """Copy a video into a file whose header gives the order of fields, as ffmpeg numbers it."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        stream.codec_context.field_order = order
        copy = written.add_stream_from_template(stream, opaque=True)
        copy.codec_context.field_order = order
        for packet in read.demux(stream):
            if packet.size:
                packet.stream = copy
                written.mux(packet)
    with av.open(str(target)) as found:
        assert found.streams.video[0].codec_context.field_order == order
    return target


@pytest.mark.parametrize(("order", "parity"), [(2, "tff"), (3, "bff"), (4, "bff"), (5, "tff")])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_interlaced_frames_that_only_the_container_knows(tmp_path, codec, order, parity):
    plain = write_moving_bar(tmp_path / "plain.mkv", 40, interlaced=True, codec=codec)
    path = mark_interlaced(plain, tmp_path / "clip.mkv", order)
    combed = decode(path, *SCALE)
    expected = decode(path, ("yadif", f"parity={parity}"), *SCALE)
    assert min(map(combing, combed)) > 4 * max(map(combing, expected))
    found = [frame for snippet in open_video(path, SIZE, 16).snippets() for frame in snippet.frames]
    np.testing.assert_array_equal(found, expected)
    keys = [snippet.frames[0] for snippet in open_video(path, SIZE, 1).key_snippets() if len(snippet.frames)]
    assert min(map(combing, combed)) > 4 * max(map(combing, keys))


@pytest.mark.parametrize("order", [0, 1])  # unknown, and whole frames
def test_interlaced_frames_that_the_container_does_not_know(tmp_path, order):
    plain = write_moving_bar(tmp_path / "plain.mkv", 40, interlaced=True, options="tff=1")
    path = mark_interlaced(plain, tmp_path / "clip.mkv", 2)
    flag = b"\x9a\x81"  # of one byte: 0 says nothing, 1 that they are interlaced, 2 that they are whole
    content = path.read_bytes()
    assert content.count(flag + b"\x01") == 1
    path.write_bytes(content.replace(flag + b"\x01", flag + bytes([2 * order])))
    expected = decode(plain, ("yadif", "deint=interlaced"), *SCALE)
    found = [frame for snippet in open_video(path, SIZE, 16).snippets() for frame in snippet.frames]
    np.testing.assert_array_equal(found, expected)
