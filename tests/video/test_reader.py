from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from formats import FORMATS, OPEN_GOP, SEVERAL_CHUNKS, SIZE, expected_numbers, numbers
from media import picture, read_number, remux, write_video

from dsanet_cli.errors import VideoError
from dsanet_cli.video import decord_decoder, demux
from dsanet_cli.video import reader as reader_module
from dsanet_cli.video.demux import CHUNK_FRAMES, Demuxer
from dsanet_cli.video.pyav_decoder import PyavDecoder
from dsanet_cli.video.reader import open_video, sample_offsets


@pytest.mark.parametrize(
    ("frames", "sampled", "offsets"),
    [
        (16, 1, [8]),
        (16, 2, [4, 12]),
        (16, 3, [2, 8, 13]),
        (16, 4, [2, 6, 10, 14]),
        (16, 16, list(range(16))),
        (5, 2, [1, 3]),
        (3, 4, [0, 1, 2]),
        (1, 1, [0]),
    ],
)
def test_sampled_frames_are_spread_evenly(frames, sampled, offsets):
    assert sample_offsets(frames, sampled) == offsets


@pytest.mark.parametrize(("frames", "sampled"), list(itertools.product(range(1, 17), range(1, 17))))
def test_sampled_frames_differ_and_follow_the_rule(frames, sampled):
    offsets = sample_offsets(frames, sampled)
    assert len(set(offsets)) == len(offsets) == min(frames, sampled)
    if sampled < frames:
        assert offsets == [int((j + 0.5) * frames / sampled) for j in range(sampled)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_sampled_frame_is_the_right_one_at_the_right_time(tmp_path, name):
    path = write_video(tmp_path / name, SEVERAL_CHUNKS, **FORMATS[name])
    reader = open_video(path, SIZE, 3)
    snippets = list(reader.snippets())
    assert (reader.info.frames, reader.info.holes) == (SEVERAL_CHUNKS, ())
    assert [[read_number(f) for f in s.frames] for s in snippets] == expected_numbers(SEVERAL_CHUNKS, 3)
    assert [s.index for s in snippets] == list(range(len(snippets)))
    starts = np.arange(0, SEVERAL_CHUNKS, 16) / 25
    ends = np.append(starts[1:], SEVERAL_CHUNKS / 25)
    # Matroska and FLV keep milliseconds; of some frames in MPEG program streams ffmpeg gets the time wrong
    tolerance = 0.081 if name.endswith(".mpg") else 0.001
    np.testing.assert_allclose([s.start for s in snippets], starts, atol=tolerance)
    np.testing.assert_allclose([s.end for s in snippets], ends, atol=tolerance)


@pytest.mark.parametrize("sampled", [1, 5, 16])
@pytest.mark.parametrize("name", ["open-gop.mp4", "h264-b-frames.avi", "mjpeg.avi"])
def test_any_number_of_frames_can_be_sampled(tmp_path, name, sampled):
    path = write_video(tmp_path / name, SEVERAL_CHUNKS, **FORMATS[name])
    assert numbers(open_video(path, SIZE, sampled)) == expected_numbers(SEVERAL_CHUNKS, sampled)


@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 32, 33])
def test_the_last_snippet_holds_the_rest(tmp_path, frames):
    reader = open_video(write_video(tmp_path / "clip.mp4", frames, b_frames=min(2, frames - 1)), SIZE, 4)
    assert numbers(reader) == expected_numbers(frames, 4)
    assert reader.info.frames == frames


@pytest.mark.parametrize("snippet_frames", [1, 8, 30])
def test_snippets_can_have_another_length(tmp_path, snippet_frames):
    path = write_video(tmp_path / "clip.mp4", SEVERAL_CHUNKS, b_frames=2)
    reader = open_video(path, SIZE, 2, snippet_frames)
    assert numbers(reader) == expected_numbers(SEVERAL_CHUNKS, 2, snippet_frames)


@pytest.mark.parametrize("sampled", [1, 16])
def test_pictures_are_those_of_an_independent_decoder(tmp_path, sampled):
    path = write_video(tmp_path / "clip.mp4", 40, b_frames=2, height=90, width=120, pix_fmt="yuv444p")
    height, width = 60, 84
    with av.open(str(path)) as container:
        decoded = [
            frame.reformat(width, height, "rgb24", interpolation="BICUBIC").to_ndarray()
            for frame in container.decode(video=0)
        ]
    reader = open_video(path, (height, width), sampled)
    for snippet, places in zip(reader.snippets(), expected_numbers(40, sampled), strict=True):
        assert snippet.frames.dtype == np.uint8
        assert snippet.frames.shape == (len(places), height, width, 3)
        difference = np.abs(snippet.frames.astype(int) - np.stack([decoded[place] for place in places]))
        assert difference.max() <= 2


@pytest.mark.parametrize("size", [(95, 127), (33, 51), (96, 32), (224, 96), (256, 340), (64, 64)])
def test_pictures_have_the_size_asked_for(tmp_path, size):
    # Widths of 32 and 96 pixels: rows padded to 4 bytes a pixel, which decord hands out as 4 channels.
    path = write_video(tmp_path / "clip.mp4", 20, height=95, width=127, pix_fmt="yuv444p")
    reader = open_video(path, size, 2)
    assert (reader.info.height, reader.info.width) == (95, 127)
    for snippet in reader.snippets():
        assert snippet.frames.shape[1:] == (*size, 3)
    assert numbers(reader) == expected_numbers(20, 2)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("name", ["phone.mp4", "phone.mkv"])
def test_rotated_videos_are_upright(tmp_path, name, rotation):
    path = write_video(tmp_path / name, 20, height=96, width=160, rotation=rotation)
    reader = open_video(path, (60, 100), 2)
    assert (reader.info.height, reader.info.width) == (96, 160)
    assert next(reader.snippets()).frames.shape == (2, 60, 100, 3)
    assert numbers(reader) == expected_numbers(20, 2)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_times_follow_a_variable_frame_rate(tmp_path, name):
    times = np.cumsum(np.tile([0.04, 0.2, 0.02, 0.5], SEVERAL_CHUNKS // 4)) + 3.0
    path = write_video(tmp_path / name, len(times), times=list(times))
    snippets = list(open_video(path, SIZE, 1).snippets())
    starts = times[::16] - times[0]
    np.testing.assert_allclose([s.start for s in snippets], starts, atol=2e-3)
    np.testing.assert_allclose([s.end for s in snippets[:-1]], starts[1:], atol=2e-3)
    assert snippets[-1].end == pytest.approx(times[-1] - times[0], abs=0.6)
    assert snippets[-1].end > times[-1] - times[0]


def test_a_late_first_time_stamp_counts_as_zero(tmp_path):
    path = write_video(tmp_path / "late.mp4", 20, times=[100 + i / 25 for i in range(20)])
    snippets = list(open_video(path, SIZE, 1).snippets())
    assert [s.start for s in snippets] == pytest.approx([0.0, 0.64])
    assert snippets[-1].end == pytest.approx(0.8, abs=1e-3)


def test_times_go_on_where_stamps_start_again(tmp_path):
    parts = [write_video(tmp_path / f"{i}.ts", 150, b_frames=2, first_number=150 * i) for i in range(3)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    snippets = list(open_video(path, SIZE, 16).snippets())
    assert [read_number(frame) for s in snippets for frame in s.frames] == list(range(450))
    np.testing.assert_allclose([s.start for s in snippets], np.arange(0, 450, 16) / 25, atol=1e-3)


def test_frames_hidden_by_an_edit_list_are_left_out(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 120, gop=24, b_frames=2)
    cut = remux(whole, tmp_path / "cut.mp4", start=1.2)
    reader = open_video(cut, SIZE, 16)
    assert [number for snippet in numbers(reader) for number in snippet] == list(range(30, 120))
    assert reader.info.frames == 90


def test_a_recording_joined_midway_starts_at_its_first_key_frame(tmp_path):
    whole = write_video(tmp_path / "whole.ts", 100, gop=20, b_frames=3, options=OPEN_GOP)
    content = whole.read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(content[len(content) // 3 // 188 * 188 :])
    found = [number for snippet in numbers(open_video(path, SIZE, 16)) for number in snippet]
    assert 20 <= found[0] <= 60
    assert found == list(range(found[0], 100))


def test_a_picture_size_that_changes_midway_does_not_matter(tmp_path):
    small = write_video(tmp_path / "small.ts", 150)
    large = write_video(tmp_path / "large.ts", 150, height=192, width=256, first_number=150)
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    assert numbers(open_video(path, SIZE, 3)) == expected_numbers(300, 3)


def test_a_partly_written_last_frame_is_left_out(tmp_path):
    path = write_video(tmp_path / "camera.mp4", 60, container_options={"movflags": "frag_keyframe+empty_moov"})
    with av.open(str(path)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][40]
    path.write_bytes(path.read_bytes()[: last.pos + last.size // 2])
    reader = open_video(path, SIZE, 16)
    assert [number for snippet in numbers(reader) for number in snippet] == list(range(40))
    assert (reader.info.frames, reader.info.holes) == (40, ())


def test_info_describes_the_video(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 60, rate=Fraction(30000, 1001), audio=True)
    reader = open_video(path, SIZE, 1)
    promised = pytest.approx(60 * 1001 / 30000, abs=1e-3)
    assert (reader.info.frames, reader.info.duration, reader.info.codec) == (0, promised, "h264")
    list(reader.snippets())
    info = reader.info
    assert info.path == path
    assert (info.frames, info.fps, info.codec) == (60, Fraction(30000, 1001), "h264")
    assert info.duration == promised


def test_info_grows_while_the_video_is_read(tmp_path):
    reader = open_video(write_video(tmp_path / "clip.mp4", 40), SIZE, 1)
    found = [(reader.info.frames, reader.info.duration) for _ in reader.snippets()]
    assert found == [(16, pytest.approx(0.64)), (32, pytest.approx(1.28)), (40, pytest.approx(1.6))]


def test_sound_does_not_disturb_the_picture(tmp_path):
    path = write_video(tmp_path / "clip.mkv", SEVERAL_CHUNKS, b_frames=2, audio=True)
    assert numbers(open_video(path, SIZE, 2)) == expected_numbers(SEVERAL_CHUNKS, 2)


@pytest.mark.parametrize("sampled", [1, 16])
@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_a_video_of_one_key_frame_is_read_in_pieces(tmp_path, monkeypatch, suffix, b_frames, sampled):
    monkeypatch.setattr(demux, "LONGEST_GROUP", CHUNK_FRAMES)
    frames = 4 * CHUNK_FRAMES
    options = {"x264-params": "b-adapt=0:scenecut=0"}
    path = write_video(tmp_path / f"clip.{suffix}", frames, gop=10_000, b_frames=b_frames, options=options)
    with Demuxer(path) as demuxer:
        assert max(len(chunk.frames) for chunk in demuxer.chunks()) <= CHUNK_FRAMES + 10
    reader = open_video(path, SIZE, sampled)
    assert numbers(reader) == expected_numbers(frames, sampled)
    assert (reader.info.frames, reader.info.holes) == (frames, ())


@pytest.mark.parametrize("name", ["with space.mp4", "a:b.mp4", "ünï 日本.mp4", "100%d [1].mp4", "two\nlines.mp4"])
def test_any_file_name_can_be_read(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(Path("clip.mp4"), 20).rename(name)
    assert numbers(open_video(Path(name), SIZE, 2)) == expected_numbers(20, 2)


MEASURE = """
import resource, sys, time
from pathlib import Path
from dsanet_cli.video.decord_decoder import load_decord
from dsanet_cli.video.reader import open_video

def refuse(*_, **__):
    raise load_decord().DECORDError

if sys.argv[3] == "PyAV":
    load_decord().VideoReader = refuse

def peak(path):
    snippets = open_video(Path(path), (256, 340), 4).snippets()
    next(snippets)
    time.sleep(0.5)  # a busy caller: the decoder must not fill the memory meanwhile
    for _ in snippets:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

short, long = peak(sys.argv[1]), peak(sys.argv[2])
print((long - short) // 1024)
"""


@pytest.mark.parametrize("decoder", ["decord", "PyAV"])
def test_memory_does_not_grow_with_the_length_of_the_video(tmp_path, decoder):
    short = write_video(tmp_path / "short.mp4", 600, height=32, width=32)
    long = write_video(tmp_path / "long.mp4", 4000, height=32, width=32)
    command = [sys.executable, "-c", MEASURE, short, long, decoder]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 40, "MiB more for the long video"  # its pictures are 250 MiB
    assert result.stderr == ""


def test_snippets_can_be_read_twice(tmp_path):
    reader = open_video(write_video(tmp_path / "clip.mp4", 40), SIZE, 1)
    assert numbers(reader) == expected_numbers(40, 1)
    first = reader.info
    assert numbers(reader) == expected_numbers(40, 1)
    assert reader.info == first


@pytest.mark.parametrize("early", [True, False])
def test_temporary_files_are_removed(tmp_path, monkeypatch, early):
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    snippets = open_video(write_video(tmp_path / "clip.mp4", 40), SIZE, 1).snippets()
    next(snippets)
    assert list(folder.iterdir())
    if early:
        snippets.close()
    else:
        list(snippets)
    assert not list(folder.iterdir())


def test_no_temporary_folder_is_a_clear_error(tmp_path, monkeypatch):
    reader = open_video(write_video(tmp_path / "clip.mp4", 20), SIZE, 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(VideoError, match=r"no temporary file can be written .*; free some space or set TMPDIR"):
        numbers(reader)


def test_a_full_disk_is_a_clear_error(tmp_path, monkeypatch):
    reader = open_video(write_video(tmp_path / "clip.mp4", 20), SIZE, 1)
    write = Demuxer.write
    monkeypatch.setattr(Demuxer, "write", lambda self, chunk, path, kind: write(self, chunk, Path("/dev/full"), kind))
    with pytest.raises(VideoError, match="No space left on device"):
        numbers(reader)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(tmp_path, threads):
    path = write_video(tmp_path / "clip.mp4", SEVERAL_CHUNKS, b_frames=2)
    assert numbers(open_video(path, SIZE, 3, threads=threads)) == expected_numbers(SEVERAL_CHUNKS, 3)


def test_each_pass_reads_the_file_once(tmp_path, monkeypatch):
    reader = open_video(write_video(tmp_path / "clip.mp4", SEVERAL_CHUNKS), SIZE, 1)
    opened = []
    monkeypatch.setattr(reader_module, "Demuxer", lambda path, *options: opened.append(path) or Demuxer(path, *options))
    chunks = Demuxer.chunks
    monkeypatch.setattr(Demuxer, "chunks", lambda self: opened.append("chunks") or chunks(self))
    list(reader.snippets())
    assert opened == [reader.info.path, "chunks"]


def test_opening_reads_no_further_than_the_first_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(Demuxer, "chunks", lambda self: pytest.fail("reads on"))
    open_video(write_video(tmp_path / "clip.mp4", 40), SIZE, 1)


def test_snippets_say_how_many_frames_they_stand_for(tmp_path):
    reader = open_video(write_video(tmp_path / "clip.mp4", SEVERAL_CHUNKS), SIZE, 1, 30)
    assert [snippet.length for snippet in reader.snippets()] == [30] * 10 + [SEVERAL_CHUNKS % 30]


@pytest.mark.parametrize("snippet_frames", [1, 16, 30, 1000])
@pytest.mark.parametrize("frames", [96, 97, 111])
def test_snippets_of_any_length_can_span_any_number_of_chunks(tmp_path, monkeypatch, snippet_frames, frames):
    monkeypatch.setattr(Demuxer.chunks, "__defaults__", (4,))
    path = write_video(tmp_path / "clip.mp4", frames, gop=5, b_frames=2)
    reader = open_video(path, SIZE, 2, snippet_frames)
    snippets = list(reader.snippets())
    assert [[read_number(f) for f in s.frames] for s in snippets] == expected_numbers(frames, 2, snippet_frames)
    assert sum(snippet.length for snippet in snippets) == reader.info.frames == frames
    ends = [*(snippet.start for snippet in snippets[1:]), frames / 25]
    np.testing.assert_allclose([snippet.end for snippet in snippets], ends, atol=1e-6)


def test_the_reader_does_without_torch():
    script = "import sys, dsanet_cli.video.reader; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    "name", ["b-frames.mp4", "open-gop.ts", "hevc-open-gop.mkv", "av1.mp4", "mpeg4.avi", "vp9.webm"]
)
def test_key_snippets_hold_the_first_key_frame_of_each(tmp_path, name):
    path = write_video(tmp_path / name, 200, **{**FORMATS[name], "gop": 40})
    reader = open_video(path, SIZE, 16)
    whole = list(reader.snippets())
    info = reader.info
    keys = list(reader.key_snippets())
    assert [(s.index, s.start, s.end, s.length) for s in keys] == [(s.index, s.start, s.end, s.length) for s in whole]
    with Demuxer(path) as demuxer:
        chunk = next(demuxer.chunks())
        places = sorted(rank for packet, rank in zip(chunk.packets, chunk.ranks, strict=True) if packet.is_keyframe)
    first = {place // 16: place for place in reversed(places)}
    assert len(first) >= 4
    found = {s.index: [read_number(frame) for frame in s.frames] for s in keys}
    assert found == {s.index: [first[s.index]] if s.index in first else [] for s in whole}
    assert {snippet.frames.shape[1:] for snippet in keys} == {(*SIZE, 3)}
    assert reader.info == info


def test_key_snippets_decode_one_frame_of_each(tmp_path):
    path = write_video(tmp_path / "clip.avi", 50, codec="mjpeg", pix_fmt="yuvj420p")
    found = [[read_number(frame) for frame in s.frames] for s in open_video(path, SIZE, 4).key_snippets()]
    assert found == [[0], [16], [32], [48]]


def test_key_pictures_are_those_of_the_whole_decoding(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 100, gop=16, b_frames=2, height=96, width=160, rotation=90)
    reader = open_video(path, (60, 100), 16)
    for key, whole in zip(reader.key_snippets(), reader.snippets(), strict=True):
        np.testing.assert_array_equal(key.frames[0], whole.frames[0])


def test_the_first_snippet_has_a_key_picture_where_an_edit_list_hides_the_key_frame(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 120, gop=24)
    reader = open_video(remux(whole, tmp_path / "cut.mp4", start=1.2), SIZE, 16)
    assert [read_number(s.frames[0]) for s in reader.key_snippets() if len(s.frames)] == [24, 48, 72, 96]


@pytest.mark.parametrize("wanted", [{0}, {3, 4}, [15, 16, 17], {18, 37}, range(20, 100), ()])
def test_only_the_wanted_snippets_are_delivered(tmp_path, wanted):
    path = write_video(tmp_path / "clip.mp4", 600, b_frames=2)
    reader = open_video(path, SIZE, 3)
    snippets = list(reader.snippets(wanted))
    assert [s.index for s in snippets] == [index for index in range(38) if index in wanted]
    expected = expected_numbers(600, 3)
    assert [[read_number(f) for f in s.frames] for s in snippets] == [expected[s.index] for s in snippets]
    assert (reader.info.frames, reader.info.duration, reader.info.holes) == (600, pytest.approx(24), ())


def test_chunks_without_a_wanted_snippet_are_not_decoded(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", 4 * CHUNK_FRAMES)
    decoded = []
    decode = decord_decoder.DecordDecoder.decode

    def spy(self, chunk, wanted):
        decoded.append(round(25 * chunk.frames[0][1]))
        return decode(self, chunk, wanted)

    monkeypatch.setattr(decord_decoder.DecordDecoder, "decode", spy)
    monkeypatch.setattr(PyavDecoder, "decode", lambda *_: pytest.fail("compares what does not follow"))
    reader = open_video(path, SIZE, 1)
    list(reader.snippets({0, 40}))
    with Demuxer(path) as demuxer:
        starts = [round(25 * chunk.frames[0][1]) for chunk in demuxer.chunks()]
    assert decoded == [0, max(start for start in starts if start <= 40 * 16)]


def test_the_test_pictures_say_their_number():
    assert [read_number(picture(number)) for number in (0, 5, 4095)] == [0, 5, 4095]
    with pytest.raises(AssertionError, match="not upright"):
        read_number(picture(5)[::-1])
