from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from media import write_video
from PIL import Image

from dsanet_cli.video.probe import Orientation, probe
from dsanet_cli.video.reader import open_video

ONE = 1 << 16


@pytest.mark.parametrize("m", [(1, 0, 0, 1), (-1, 0, 0, -1), (-1, 0, 0, 1), (1, 0, 0, -1)])
@pytest.mark.parametrize("swap", [False, True])
def test_every_orientation_is_undone(m, swap):
    a, b, c, d = (m[1], m[0], m[3], m[2]) if swap else m
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)  # (rows, columns, channels)
    places = {}  # displayed (row, column) of each stored pixel, by the definition of the matrix
    for row in range(2):
        for column in range(3):
            places[b * column + d * row, a * column + c * row] = picture[row, column]
    top, left = min(row for row, _ in places), min(column for _, column in places)
    upright = Orientation.from_matrix(np.array([a, b, 0, c, d, 0, 0, 0, 1]) * ONE).upright(picture)
    assert upright.shape == ((3, 2, 3) if swap else (2, 3, 3))
    for (row, column), pixel in places.items():
        assert (upright[row - top, column - left] == pixel).all()


def test_a_rate_that_only_names_the_clock_is_replaced(tmp_path):
    path = write_video(tmp_path / "clip.mkv", 50, rate=1000, times=[index / 25 for index in range(50)])
    with av.open(str(path)) as container:
        assert container.streams.video[0].guessed_rate == 25
    assert probe(path).fps == 25


def test_hidden_and_cut_off_frames_are_not_counted(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 200, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info = probe(path)
    assert 50 < info.frames < 150
    assert info.holes == ((pytest.approx(info.frames / 25, abs=1e-3), 8.0),)
    assert (info.duration, info.fps) == (8.0, 25)


def test_a_rate_that_a_damaged_time_stamp_makes_tiny_is_still_a_rate(tmp_path):
    path = write_video(tmp_path / "clip.mkv", 3, times=[0.0, 0.04, 40000.0])
    assert 0 < probe(path).fps < 1 / 1000


@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [(1, (64, 48), (0, 0)), (6, (48, 64), (0, -1)), (8, (48, 64), (-1, 0)), (3, (64, 48), (-1, -1))],
)
def test_pictures_in_which_a_camera_notes_more_than_their_size(tmp_path, orientation, size, corner):
    """Motion JPEG whose frames carry EXIF; ``corner``: where the first stored pixel belongs."""
    notes = Image.Exif()
    notes[0x0112], notes[0x010F] = orientation, "camera"
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:16, :16] = 255
    with av.open(str(tmp_path / "clip.avi"), "w") as out:
        stream = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(20):
            data = io.BytesIO()
            Image.fromarray(stored).save(data, "JPEG", exif=notes)
            packet = av.Packet(data.getvalue())
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            packet.pts = packet.dts = number
            out.mux(packet)
    info = probe(tmp_path / "clip.avi")
    assert (info.frames, (info.width, info.height)) == (20, size)
    snippet = next(iter(open_video(tmp_path / "clip.avi", size[::-1], 1).snippets()))
    assert snippet.frames[0][corner].min() > 200
    assert snippet.frames[0][corner[0] - 1 if corner[0] == 0 else 0, corner[1]].max() < 50
