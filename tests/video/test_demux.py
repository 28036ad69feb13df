from __future__ import annotations

import pytest
from media import read_number, write_video

from dsanet_cli.video.demux import Demuxer


@pytest.mark.parametrize("open_gop", [0, 1])
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_chunks_cover_every_frame_once_and_decode_alone(tmp_path, suffix, open_gop):
    options = {"x264-params": f"open-gop={open_gop}:b-adapt=0"}
    path = write_video(tmp_path / f"clip.{suffix}", 100, gop=12, b_frames=3, options=options)
    with Demuxer(path) as demuxer:
        chunks = list(demuxer.chunks(30))
        assert len(chunks) > 2
        assert [chunk.overlaps for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
        assert sum(len(chunk.frames) for chunk in chunks) == 100
        assert all(len(chunk.frames) >= 30 for chunk in chunks[:-1])
        found = []
        for number, chunk in enumerate(chunks):
            file = tmp_path / f"{number}.nut"
            demuxer.write(chunk, file, "nut")
            with Demuxer(file) as alone:
                pictures = [read_number(frame.to_ndarray(format="rgb24")) for frame in alone._container.decode(video=0)]
            assert len(pictures) == len(chunk.packets)
            found += [pictures[place] for place, _ in chunk.frames]
        assert found == list(range(100))


def test_a_chunk_hides_all_key_frames_but_its_first(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 60, gop=12)
    with Demuxer(path) as demuxer:
        chunk = next(demuxer.chunks(40))
        assert sum(packet.is_keyframe for packet in chunk.packets) > 2
        demuxer.write(chunk, tmp_path / "chunk.nut", "nut")
    with Demuxer(tmp_path / "chunk.nut") as written:
        (whole,) = written.chunks(1000)
        assert [packet.is_keyframe for packet in whole.packets] == [True] + [False] * (len(whole.packets) - 1)
        assert [packet.pts is not None for packet in whole.packets] == [True] * len(whole.packets)


def test_order_is_not_trusted_where_stamps_follow_decoding(tmp_path):
    with Demuxer(write_video(tmp_path / "clip.avi", 40, b_frames=2)) as demuxer:
        assert not next(demuxer.chunks()).ordered
    with Demuxer(write_video(tmp_path / "clip.h264", 40, b_frames=2)) as demuxer:
        assert not next(demuxer.chunks()).ordered
    with Demuxer(write_video(tmp_path / "clip.mp4", 40, b_frames=2)) as demuxer:
        assert next(demuxer.chunks()).ordered


@pytest.mark.parametrize("suffix", ["h264", "mpg"])
def test_chunks_stay_short_without_good_stamps(tmp_path, suffix):
    path = write_video(tmp_path / f"clip.{suffix}", 400, gop=10, b_frames=2)
    with Demuxer(path) as demuxer:
        assert max(len(chunk.packets) for chunk in demuxer.chunks(20)) <= 4 * 20 + 10 + 3


def test_no_cut_where_stamps_repeat(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 60, gop=10)
    with Demuxer(path) as demuxer:
        read = demuxer._source.packets

        def repeat_a_stamp():
            for number, packet in enumerate(read()):
                if number == 21:
                    packet.pts -= 512  # that of the key frame before it
                yield packet

        demuxer._source.packets = repeat_a_stamp
        assert [len(chunk.frames) for chunk in demuxer.chunks(20)] == [30, 20, 10]
