from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from media import picture, read_number, write_video
from PIL import Image
from web import served

from dsanet_cli.errors import VideoError
from dsanet_cli.files.paths import Pictures, Url
from dsanet_cli.video.options import WHOLE, ReadOptions
from dsanet_cli.video.pictures import open_source

SIZE = (96, 128)


def opened(path, options=WHOLE):
    return open_source(path, SIZE, 2, 16, 1, lambda: None, options, False)


def numbers(reader, wanted=None):
    return [[read_number(frame) for frame in snippet.frames] for snippet in reader.snippets(wanted)]


@pytest.fixture
def pictures(tmp_path):
    """40 pictures of several kinds and sizes."""

    def make(count=40, fps=Fraction(25), broken=()):
        files = []
        for number in range(count):
            kind = ("png", "bmp", "tif", "webp", "jpg")[number % 5]
            height, width = SIZE if number % 2 else (48, 64)
            file = tmp_path / f"100%03d {number}.{kind}"
            options = {"lossless": True} if kind == "webp" else {}
            Image.fromarray(picture(number, height, width)).save(file, **options)
            if number in broken:
                file.write_bytes(b"no picture")
            files.append(file)
        return Pictures.of(str(tmp_path), files, fps)

    return make


def test_pictures_are_the_frames_of_a_video(pictures):
    reader = opened(pictures())
    assert reader.info.duration == 1.6
    snippets = list(reader.snippets())
    assert [(s.index, s.start, s.end, s.length) for s in snippets] == [
        (0, 0, 0.64, 16), (1, 0.64, 1.28, 16), (2, 1.28, 1.6, 8),
    ]  # fmt: skip
    assert numbers(reader) == [[4, 12], [20, 28], [34, 38]]
    info = reader.info
    assert (info.frames, info.fps, info.duration, info.holes) == (40, 25, 1.6, ())
    assert (info.width, info.height, info.codec) == (64, 48, "png")
    assert info.bytes == sum(file.stat().st_size for file in info.path.files)


def test_a_broken_picture_is_replaced_by_its_neighbour_and_a_broken_snippet_is_a_hole(pictures):
    reader = opened(pictures(48, broken=(0, 4, *range(16, 32))))
    assert numbers(reader) == [[3, 12], [36, 44]]
    assert reader.info.holes == ((0.64, 1.28),)
    assert (reader.info.width, reader.info.frames) == (128, 48)


def test_some_snippets_only(pictures):
    reader = opened(pictures())
    assert numbers(reader, {1}) == [[20, 28]]
    assert reader.info.holes == ()


def test_a_part_of_the_pictures(pictures):
    reader = opened(pictures(), ReadOptions(start=0.4, end=1.2))  # pictures 10 to 29
    snippets = list(reader.snippets())
    assert [(s.index, s.start, s.end, s.length) for s in snippets] == [(0, 0.4, 1.04, 16), (1, 1.04, 1.2, 4)]
    assert numbers(reader) == [[14, 22], [27, 29]]
    assert (reader.info.part, reader.info.duration, reader.info.frames) == ((0.4, 1.2), 1.6, 40)
    assert numbers(opened(pictures(), ReadOptions(end=0.16))) == [[1, 3]]
    with pytest.raises(VideoError, match=r"lasts 1\.6 s, so nothing of it is after --from 2"):
        opened(pictures(), ReadOptions(start=2.0))


def test_a_scan_sees_the_first_picture_of_each_snippet(pictures):
    reader = opened(pictures(broken=(16,)))
    frames = [snippet.frames for snippet in reader.key_snippets()]
    assert [[read_number(frame) for frame in several] for several in frames] == [[0], [], [32]]
    assert frames[1].shape == (0, *SIZE, 3)


def test_pictures_that_cannot_be_decoded_at_all(pictures):
    with pytest.raises(VideoError, match="none of the 3 pictures can be decoded"):
        opened(pictures(3, broken=range(3)))


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    stored = np.rot90(picture(5, *SIZE))  # upright after a quarter turn clockwise
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    reader = opened(Pictures.of("a", [tmp_path / "a.jpg"], Fraction(1)))
    assert (reader.info.width, reader.info.height) == (128, 96)
    assert numbers(reader) == [[5]]


def test_a_video_behind_a_url_has_the_pictures_of_the_file(tmp_path):
    write_video(tmp_path / "a.mp4", 60, b_frames=2)
    (tmp_path / "text.mp4").write_text("no video" * 100)
    with served(tmp_path) as address:
        assert numbers(opened(Url.of(f"{address}/a.mp4?x=1"))) == numbers(opened(tmp_path / "a.mp4"))
        with pytest.raises(VideoError, match=r"text\.mp4: not a video"):
            opened(Url.of(f"{address}/text.mp4"))
        with pytest.raises(VideoError, match=r"gone\.mp4: cannot be read: 404.*; check the address"):
            opened(Url.of(f"{address}/gone.mp4"))
