"""Time without pictures: what is missing is told, and all else has its right time and picture."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from formats import SIZE, numbers
from media import read_number, remux, restamp, write_audio, write_video

from dsanet_cli.errors import VideoError
from dsanet_cli.video.avi_index import numbered
from dsanet_cli.video.demux import CUT_OFF
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.probe import LOST, NO_PICTURE, UNDECODABLE, Hole, probe
from dsanet_cli.video.reader import open_video

GOP = 25


def about(start, end, within=0.05):
    return (pytest.approx(start, abs=within), pytest.approx(end, abs=within))


def read(path, **options):
    """What the reader tells of a video, and (start, end, numbers that its frames say) of each snippet."""
    reader = open_video(path, SIZE, 16, **options)
    snippets = [(s.start, s.end, [read_number(frame) for frame in s.frames]) for s in reader.snippets()]
    return reader.info, snippets


def check_times(info, snippets, within=0.05):
    """Every picture is within its snippet's time, and no snippet's time is within a hole."""
    for start, end, shown in snippets:
        assert all(start - within <= number / 25 <= end + within for number in shown)
        assert all(end <= hole.start + within or start >= hole.end - within for hole in info.gaps)
    assert all(before[1] <= after[0] + 1e-6 for before, after in itertools.pairwise(snippets))


def zero(path, first, last):
    """Overwrite a share of the bytes with zeros."""
    content = bytearray(path.read_bytes())
    begin, end = int(len(content) * first), int(len(content) * last)
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)


FORMATS = {
    "clip.mkv": {},
    "b-frames.mkv": {"b_frames": 2},
    "clip.flv": {},
    "clip.ts": {},
    "b-frames.ts": {"b_frames": 2},
    "clip.mpg": {"codec": "mpeg2video"},
    "clip.avi": {"codec": "mpeg4"},
    "b-frames.avi": {"b_frames": 2},
    "clip.wmv": {"codec": "wmv2"},
}


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_that_are_zero_in_the_middle_are_a_hole(tmp_path, name, capfd):
    path = write_video(tmp_path / name, 500, gop=GOP, **FORMATS[name])
    zero(path, 0.4, 0.6)
    info, snippets = read(path)
    check_times(info, snippets, within=0.09)
    (hole,) = info.gaps
    assert LOST in hole.reason
    assert 2 < hole.end - hole.start < 7
    assert info.duration == pytest.approx(20, abs=0.1)
    missed = {number for start, end, shown in snippets for number in shown}
    expected = {n for n in range(500) if not hole.start - 1.7 < n / 25 < hole.end + 1.7}
    assert expected <= missed
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "b-frames.ts"])
def test_bytes_that_are_cut_out_are_a_hole(tmp_path, name):
    path = write_video(tmp_path / name, 500, gop=GOP, **FORMATS[name])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 5 // 188 * 188] + content[len(content) * 3 // 5 // 188 * 188 :])
    info, snippets = read(path)
    check_times(info, snippets)
    assert sum(hole.end - hole.start for hole in info.gaps) == pytest.approx(4.5, abs=1.5)
    assert info.duration == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("name", ["clip.mkv", "b-frames.mkv", "clip.ts", "b-frames.ts"])
def test_frames_that_need_missing_ones_are_not_shown(tmp_path, name):
    whole = write_video(tmp_path / f"whole-{name}", 300, gop=100, **FORMATS[name])
    path = restamp(whole, tmp_path / name, lambda number, time: None if 110 <= number < 160 else time)
    info, snippets = read(path)
    check_times(info, snippets)
    shown = {number for _, _, numbers in snippets for number in numbers}
    assert set(range(100)) | set(range(208, 300)) <= shown
    assert shown.isdisjoint(range(114, 196))
    assert {LOST, UNDECODABLE} == {reason for hole in info.gaps for reason in hole.reason.split(", ")}


def test_an_index_that_names_all_frames_has_none_missing(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 300, gop=100)
    path = restamp(whole, tmp_path / "clip.mp4", lambda number, time: time + (10 if number >= 150 else 0))
    info, snippets = read(path)
    assert info.gaps == (Hole(*about(6, 16), LOST),)
    assert [number for _, _, shown in snippets for number in shown] == list(range(300))
    assert [len(shown) for _, _, shown in snippets] == [16] * 9 + [6] + [16] * 9 + [6]
    assert snippets[9][:2] == about(5.76, 6)
    assert snippets[10][0] == pytest.approx(16)


def jitter(number, spread=0.015):
    """Seconds by which the stamp of a frame is off where the clock of a recorder is not exact."""
    return float(np.random.default_rng(number).uniform(-spread, spread))


@pytest.mark.parametrize("jittery", [False, True])
@pytest.mark.parametrize("cuts", [1, 3, 8])
@pytest.mark.parametrize("name", ["clip.mkv", "b-frames.mkv", "clip.mp4", "clip.ts"])
def test_stretches_that_are_cut_out_between_key_frames_are_holes(tmp_path, name, cuts, jittery):
    times = [number / 25 + (jitter(number) if jittery else 0) for number in range(900)]
    whole = write_video(tmp_path / f"whole-{name}", 900, gop=25, times=times, **FORMATS.get(name, {}))
    groups = [8 + 3 * cut for cut in range(cuts)]

    def cut(number, time):
        return None if number // 25 in groups or number // 25 - 1 in groups else time

    info, snippets = read(restamp(whole, tmp_path / name, cut))
    check_times(info, snippets, within=0.1)
    assert info.gaps == tuple(Hole(*about(group, group + 2, 0.15), LOST) for group in groups)
    assert (info.unsure, info.duration) == ((), pytest.approx(36, abs=0.1))


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.ts"])
def test_gaps_are_unsure_where_frames_come_when_something_moves(tmp_path, name):
    """Some pauses are long, some short, and no one can say which frames are missing, if any."""
    pauses = np.random.default_rng(4).exponential(1.0, 40)
    times = np.cumsum(np.where(np.arange(800) % 20 == 0, np.repeat(pauses, 20), 0.04))
    info = probe(write_video(tmp_path / name, 800, gop=20, times=(times - times[0]).tolist()))
    assert info.gaps == ()
    assert len(info.unsure) == sum(pause > 1 for pause in pauses[1:])


@pytest.mark.parametrize("whole", [False, True])
def test_gaps_among_frames_at_all_distances_are_unsure_and_end_no_snippet(tmp_path, whole):
    times = np.cumsum([0, *([0.04, 0.2, 0.02, 0.5] * 30), 9.0, *([0.04, 0.2, 0.02, 0.5] * 20)]).tolist()
    info, snippets = read(write_video(tmp_path / "clip.mkv", len(times), times=times), whole=whole)
    assert info.gaps == ()
    assert len(info.unsure) == 1
    assert [len(shown) for _, _, shown in snippets] == [16] * (len(times) // 16) + [len(times) % 16]


def test_whole_snippets_go_on_over_a_hole(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 300, gop=100)
    path = restamp(whole, tmp_path / "clip.mp4", lambda number, time: time + (10 if number >= 150 else 0))
    info, snippets = read(path, whole=True)
    assert len(info.gaps) == 1
    assert [len(shown) for _, _, shown in snippets] == [16] * 18 + [12]


@pytest.mark.parametrize("rate", [Fraction(1), Fraction(1, 5), Fraction(50), Fraction(30000, 1001)])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.ts"])
def test_any_steady_rate_has_no_gaps(tmp_path, name, rate):
    info = probe(write_video(tmp_path / name, 60, rate=rate, times=[float(index / rate) for index in range(60)]))
    assert (info.gaps, info.unsure, info.frames) == ((), (), 60)
    assert float(info.fps) == pytest.approx(float(rate), rel=0.005)


def test_two_frames_of_one_time_are_no_gap(tmp_path):
    info = probe(write_video(tmp_path / "clip.avi", 100, codec="mjpeg", pix_fmt="yuvj420p"))
    assert (info.gaps, info.unsure) == ((), ())


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("seconds", [9, 125 * 3600])
def test_a_stray_stamp_shifts_nothing(tmp_path, b_frames, seconds):
    whole = write_video(tmp_path / "whole.mkv", 300, gop=50, b_frames=b_frames)
    path = restamp(
        whole, tmp_path / "clip.mkv", lambda number, time: time + (seconds if number == 87 else 0), strays=True
    )
    info, snippets = read(path)
    assert (info.gaps, info.unsure, info.frames) == ((), (), 300)
    assert info.duration == pytest.approx(12, abs=0.05)
    assert [number for _, _, shown in snippets for number in shown] == list(range(300))
    np.testing.assert_allclose([start for start, _, _ in snippets], np.arange(0, 300, 16) / 25, atol=0.05)


def test_many_stray_stamps_make_no_video_longer(tmp_path):
    errors = np.random.default_rng(0).choice([0] * 19 + [1], 600) * np.random.default_rng(1).integers(0, 450_000, 600)
    whole = write_video(tmp_path / "whole.mkv", 600, gop=50)
    path = restamp(whole, tmp_path / "clip.mkv", lambda number, time: time + float(errors[number]), strays=True)
    info, snippets = read(path)
    assert info.gaps == ()
    assert info.duration == pytest.approx(24, abs=0.1)
    check_times(info, snippets, within=0.1)


@pytest.mark.parametrize("first", [0, 50_000])
def test_joined_recordings_are_as_long_as_both(tmp_path, first):
    """Where stamps jump back, ffmpeg takes it that their 33 bits ran over, and goes on 26.5 hours later."""
    parts = []
    for number in range(2):
        whole = write_video(tmp_path / f"{number}.ts", 150, first_number=150 * number)
        late = first if number == 0 else 0
        parts.append(restamp(whole, tmp_path / f"late-{number}.ts", lambda _, time, late=late: time + late))
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    info, snippets = read(path)
    assert (info.gaps, info.duration) == ((), pytest.approx(12, abs=0.05))
    assert [number for _, _, shown in snippets for number in shown] == list(range(300))


def test_stamps_that_run_over_go_on(tmp_path):
    whole = write_video(tmp_path / "whole.ts", 200, b_frames=2)
    over = 2**33 / 90_000 - 5
    path = restamp(whole, tmp_path / "clip.ts", lambda _, time: time + over)
    info, snippets = read(path)
    assert (info.gaps, info.duration) == ((), pytest.approx(8, abs=0.05))
    check_times(info, snippets)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.wmv", "clip.flv", "clip.ts", "clip.mp4"])
def test_a_recording_that_starts_late_is_whole(tmp_path, name):
    codec = {"codec": "wmv2"} if name.endswith("wmv") else {}
    whole = write_video(tmp_path / f"whole-{name}", 200, **codec)
    info = probe(restamp(whole, tmp_path / name, lambda _, time: time + 16))
    assert (info.gaps, info.frames, info.duration) == ((), 200, pytest.approx(8, abs=0.05))


def join_sound(video, target, late):
    """Put a sound track of 20 s beside a video that starts ``late`` seconds after it."""
    sound = write_audio(target.with_suffix(".m4a"), 20.0)
    with av.open(str(video)) as pictures, av.open(str(sound)) as tones, av.open(str(target), "w") as written:
        streams = {
            source: written.add_stream_from_template(source, opaque=True)
            for source in (pictures.streams.video[0], tones.streams.audio[0])
        }
        packets = [packet for read in (pictures, tones) for packet in read.demux() if packet.size]
        for packet in packets:
            if packet.stream.type == "video":
                moved = round(late / packet.time_base)
                packet.pts, packet.dts = packet.pts + moved, packet.dts + moved
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = streams[packet.stream]
            written.mux(packet)
    return target


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_picture_that_starts_after_the_sound(tmp_path, name):
    whole = write_video(tmp_path / "whole.mp4", 200)
    info, snippets = read(join_sound(whole, tmp_path / name, late=5))
    assert info.gaps == (Hole(0.0, pytest.approx(5, abs=0.2), NO_PICTURE),)
    assert (snippets[0][0], info.duration) == about(5, 13, 0.2)
    info, snippets = read(join_sound(whole, tmp_path / name, late=0.2))
    assert info.gaps == ()
    assert snippets[0][0] == pytest.approx(0.2, abs=0.15)


def test_an_avi_file_that_is_cut_off(tmp_path):
    path = write_video(tmp_path / "clip.avi", 500, codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info, snippets = read(path)
    assert info.gaps == (Hole(pytest.approx(info.frames / 25), 20.0, CUT_OFF),)
    check_times(info, snippets)


@pytest.mark.parametrize("options", [{"codec": "mpeg4"}, {"b_frames": 2}, {"codec": "mjpeg", "pix_fmt": "yuvj420p"}])
def test_an_avi_file_whose_start_is_damaged_is_not_late(tmp_path, options):
    path = write_video(tmp_path / "clip.avi", 500, gop=GOP, **options)
    content = bytearray(path.read_bytes())
    start = content.index(b"movi") + 4
    content[start : start + len(content) // 8] = bytes(len(content) // 8)
    path.write_bytes(content)
    info, snippets = read(path)
    assert (info.gaps[0].start, info.duration) == (0, pytest.approx(20, abs=0.05))
    assert 1 < info.gaps[0].end < 5
    check_times(info, snippets)


def test_an_avi_file_without_an_index_is_counted(tmp_path):
    path = write_video(tmp_path / "clip.avi", 100, codec="mpeg4")
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"idx1")])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = (packet for packet in container.demux(stream) if packet.size)
        assert {shift for _, shift in numbered(packets, stream, container.size)} == {0}
    assert probe(path).gaps == ()


def test_a_bare_stream_has_the_rate_among_its_frames(tmp_path):
    info = probe(write_video(tmp_path / "clip.h264", 100, rate=50))
    assert (info.fps, info.duration, info.fps_from) == (50, 2, None)


def test_a_bare_stream_without_a_rate(tmp_path):
    path = write_video(tmp_path / "whole.avi", 100, codec="mjpeg", pix_fmt="yuvj420p")
    bare = remux(path, tmp_path / "clip.mjpeg")
    info = probe(bare)
    assert (info.fps, info.duration, info.fps_from) == (25, 4, "assumed")
    info = probe(bare, ReadOptions(fps=Fraction(10)))
    assert (info.fps, info.duration, info.fps_from) == (10, 10, "option")
    info = probe(write_video(tmp_path / "clip.mp4", 100), ReadOptions(fps=Fraction(10)))
    assert (info.fps, info.duration, info.fps_from) == (25, 4, None)


def write_two(path):
    """A file with two video streams, of 50 and of 100 frames, the latter numbered from 1000."""
    one = write_video(path.with_name("one.mp4"), 50)
    other = write_video(path.with_name("other.mp4"), 100, first_number=1000)
    with av.open(str(one)) as first, av.open(str(other)) as second, av.open(str(path), "w") as written:
        copies = [written.add_stream_from_template(read.streams.video[0]) for read in (first, second)]
        for read, copy in zip((first, second), copies, strict=True):
            for packet in read.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    written.mux(packet)
    return path


@pytest.mark.parametrize(("stream", "expected"), [(0, range(50)), (1, range(1000, 1100))])
def test_a_video_stream_can_be_chosen(tmp_path, stream, expected):
    reader = open_video(write_two(tmp_path / "clip.mp4"), SIZE, 16, options=ReadOptions(stream))
    assert [number for shown in numbers(reader) for number in shown] == list(expected)
    assert (reader.info.stream, reader.info.streams) == (stream, 2)
    assert probe(tmp_path / "clip.mp4").streams == 2


def test_a_video_stream_that_is_not_there(tmp_path):
    with pytest.raises(VideoError, match="has 2 video streams, counted from 0, so there is no --stream 2"):
        probe(write_two(tmp_path / "clip.mp4"), ReadOptions(2))
    with pytest.raises(VideoError, match="has one video stream, counted from 0, so there is no --stream 1"):
        probe(write_video(tmp_path / "single.mp4", 5), ReadOptions(1))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.ts"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 4.0), (5.0, 8.0), (11.0, None), (19.9, 100.0), (0.0, 100.0)])
def test_a_part_has_the_times_of_the_whole(tmp_path, name, start, end):
    path = write_video(tmp_path / name, 500, gop=60, **FORMATS.get(name, {}))
    info, snippets = read(path, options=ReadOptions(start=start, end=end))
    last = min(end or 20.0, 20.0)
    assert (info.frames, info.duration, info.part) == (500, pytest.approx(20, abs=0.01), about(start, last))
    assert info.gaps == ()
    assert [number for _, _, shown in snippets for number in shown] == [
        number for number in range(500) if start <= number / 25 < last
    ]
    assert (snippets[0][0], snippets[-1][1]) == about(start, last)


def test_a_part_has_its_share_of_holes(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 300, gop=100)
    path = restamp(whole, tmp_path / "clip.mp4", lambda number, time: time + (10 if number >= 150 else 0))
    assert probe(path, ReadOptions(start=8.0, end=20.0)).gaps == (Hole(8.0, pytest.approx(16), LOST),)
    assert probe(path, ReadOptions(start=17.0)).gaps == ()


def test_a_part_after_the_end(tmp_path):
    with pytest.raises(VideoError, match=r"lasts 2\.0 s, so nothing of it is after --from 3$"):
        read(write_video(tmp_path / "clip.mp4", 50), options=ReadOptions(start=3.0))


MEASURE = """
import resource, sys
from pathlib import Path
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.reader import open_video

def peak(path):
    for _ in open_video(Path(path), (32, 32), 1, options=ReadOptions(start=0.1, end=0.2)).snippets():
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

short, long = peak(sys.argv[1]), peak(sys.argv[2])
print((long - short) // 1024)
"""


def test_frames_beside_the_part_are_not_kept(tmp_path):
    short = write_video(tmp_path / "short.avi", 50, codec="rawvideo", height=128, width=256)
    long = write_video(tmp_path / "long.avi", 3000, codec="rawvideo", height=128, width=256)  # 140 MiB
    command = [sys.executable, "-c", MEASURE, short, long]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 60, "MiB more for the long video"
