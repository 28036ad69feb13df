"""MPEG transport streams whose video goes on under another id."""

from __future__ import annotations

import av
import pytest
from formats import SIZE
from media import read_number, write_audio, write_video

from dsanet_cli.video import transport
from dsanet_cli.video.demux import ELSEWHERE
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.probe import Hole, probe
from dsanet_cli.video.reader import open_video


def write_part(path, video, identifier=256, late=0.0, **options):
    """Copy a video into a transport stream; ``options`` are those of ffmpeg for it."""
    with av.open(str(video)) as source, av.open(str(path), "w", "mpegts", options=options) as written:
        copy = written.add_stream_from_template(source.streams.video[0], opaque=True)
        copy.id = identifier
        for packet in source.demux(video=0):
            if packet.size:
                shift = round(late / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copy
                written.mux(packet)
    return path.read_bytes()


def join(folder, *parts, frames=150, **options):
    """A stream of ``frames`` frames for each part, which are the arguments of ``write_part``."""
    path = folder / "clip.ts"
    content = []
    for number, part in enumerate(parts):
        video = write_video(folder / f"{number}.mp4", frames, first_number=frames * number, **options)
        content.append(write_part(folder / f"{number}.ts", video, **part))
    path.write_bytes(b"".join(content))
    return path


def read(path, **options):
    reader = open_video(path, SIZE, 16, **options)
    return [read_number(frame) for snippet in reader.snippets() for frame in snippet.frames], reader.info


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("late", [0.0, 6.0])
@pytest.mark.parametrize("first", [0.0, 2**33 / 90_000 - 3.0])
def test_a_video_that_goes_on_under_another_id_is_one(tmp_path, b_frames, late, first):
    parts = [{"identifier": 256, "late": first}, {"identifier": 500, "late": first + late}, {"identifier": 700}]
    path = join(tmp_path, *parts, b_frames=b_frames, gop=40, frames=75 if late == 0 else 150)
    shown, info = read(path)
    assert (info.streams, info.gaps, info.unsure, info.frames) == (1, (), (), 225 if late == 0 else 450)
    assert info.duration == pytest.approx(info.frames / 25, abs=0.1)
    assert shown == list(range(info.frames))


def test_packets_with_a_time_code_each(tmp_path):
    path = join(tmp_path, {"identifier": 256}, {"identifier": 500}, frames=60)
    content = path.read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    path.with_suffix(".m2ts").write_bytes(b"".join(number.to_bytes(4) + data for number, data in enumerate(packets)))
    assert read(path.with_suffix(".m2ts"))[0] == list(range(120))


def test_frames_held_back_are_found_again_and_again(tmp_path, monkeypatch):
    path = join(tmp_path, *({"identifier": 256 + number % 2} for number in range(8)), frames=20)
    assert read(path)[0] == list(range(160))
    monkeypatch.setattr(transport, "MOST_CHANGES", 3)
    shown, _ = read(path)
    assert shown[:79] == list(range(79))
    assert len(shown) == 160


OTHER = {"identifier": 500, "mpegts_service_id": "7", "mpegts_pmt_start_pid": "4400"}


@pytest.mark.parametrize("window", [transport.WINDOW, 1 << 16])
@pytest.mark.parametrize(
    "parts",
    [
        [{}, {**OTHER, "late": 6.0}],
        [{}, OTHER],
        [{"late": 100.0}, OTHER],
        [{}, {**OTHER, "mpegts_pmt_start_pid": "4096"}],
    ],
)
def test_the_rest_is_a_hole_where_the_video_goes_on_in_another_program(tmp_path, parts, window, monkeypatch):
    monkeypatch.setattr(transport, "WINDOW", window)
    path = join(tmp_path, *parts, gop=20)
    shown, info = read(path)
    assert shown == list(range(150))
    assert info.gaps == (Hole(pytest.approx(6, abs=0.05), pytest.approx(12, abs=0.1), ELSEWHERE),)
    assert info.duration == pytest.approx(12, abs=0.1)


def write_both(path, lengths):
    """Two videos at once in one stream, each with its number of frames."""
    with av.open(str(path), "w") as written:
        sources = [av.open(str(write_video(path.with_name(f"{n}.mp4"), n))) for n in lengths]
        copies = [written.add_stream_from_template(source.streams.video[0]) for source in sources]
        packets = []
        for source, copy in zip(sources, copies, strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = copy
                    packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts):
            written.mux(packet)
    return path


def test_of_two_cameras_one_can_go_on(tmp_path):
    path = write_both(tmp_path / "clip.ts", (100, 400))
    info = probe(path, ReadOptions(stream=0))
    assert (info.frames, info.streams) == (100, 2)
    assert info.gaps == (Hole(pytest.approx(4, abs=0.05), pytest.approx(16, abs=0.1), ELSEWHERE),)
    assert probe(path, ReadOptions(stream=1)).gaps == ()


def test_two_cameras_that_end_about_the_same_time_have_no_hole(tmp_path):
    assert probe(write_both(tmp_path / "clip.ts", (100, 115)), ReadOptions(stream=0)).gaps == ()


def test_sound_that_goes_on_is_no_video(tmp_path):
    sound = write_audio(tmp_path / "sound.m4a", 40.0)
    video = write_video(tmp_path / "video.mp4", 50)
    path = tmp_path / "clip.ts"
    with av.open(str(video)) as pictures, av.open(str(sound)) as tones, av.open(str(path), "w") as written:
        for source in (pictures.streams.video[0], tones.streams.audio[0]):
            written.add_stream_from_template(source, opaque=True)
        packets = [packet for read in (pictures, tones) for packet in read.demux() if packet.size]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = written.streams[0 if packet.stream.type == "video" else 1]
            written.mux(packet)
    with path.open("ab") as file:
        file.write(path.read_bytes()[-188:] * 300)  # more than the end of a frame, without any other
    assert probe(path).gaps == ()
