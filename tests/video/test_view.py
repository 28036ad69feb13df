"""Regions and masks: the parts of pictures that ``media`` writes are known by their colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from formats import FORMATS
from media import CORNERS, picture, write_halves, write_mask, write_moving_bar, write_video
from PIL import Image

from dsanet_cli.errors import UsageError, VideoError
from dsanet_cli.files.paths import Pictures
from dsanet_cli.video.mask import Mask
from dsanet_cli.video.memory import MemoryReader
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.pictures import open_source
from dsanet_cli.video.probe import Orientation
from dsanet_cli.video.reader import open_video
from dsanet_cli.video.spans import SpanLine
from dsanet_cli.video.view import box, check_view

BLOCK = (32, 32)
LEFT_HALF = np.arange(128)[None].repeat(96, 0) < 64


def block(column):
    """One of the four coloured blocks at the top."""
    return ReadOptions(region=(column / 4, 0, 0.25, 0.25))


def frames(path, size, options, sampled=2):
    return np.concatenate([snippet.frames for snippet in open_video(path, size, sampled, options=options).snippets()])


def assert_block(pictures, column, worst=40):
    assert len(pictures)
    inner = pictures[:, 4:-4, 4:-4].astype(int)  # lossy coding blurs what touches another block
    assert np.abs(inner.mean(axis=(1, 2)) - CORNERS[column]).max() < worst


@pytest.mark.parametrize("name", FORMATS)
def test_a_region_is_cut_out_of_all_formats(tmp_path, name):
    path = write_video(tmp_path / name, 40, **FORMATS[name])
    for column in range(4):
        assert_block(frames(path, BLOCK, block(column)), column)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_region_is_of_the_picture_as_it_is_shown(tmp_path, rotation):
    path = write_video(tmp_path / "clip.mp4", 20, rotation=rotation)
    for column in range(4):
        assert_block(frames(path, BLOCK, block(column)), column)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_mask_hides_what_it_has_in_black(tmp_path, rotation):
    path = write_video(tmp_path / "clip.mp4", 20, rotation=rotation)
    mask = Mask.read(write_mask(tmp_path / "m.png", LEFT_HALF))
    hidden, whole = (frames(path, (96, 128), ReadOptions(mask=one)).astype(int) for one in (mask, None))
    assert hidden[:, :, :64].max() == 0
    assert np.abs(hidden - whole)[:, :, 64:].mean() < 3
    region = frames(path, (96, 64), ReadOptions(mask=mask, region=(0.25, 0, 0.5, 1)))
    assert region[:, :, :32].max() == 0
    assert np.abs(region - whole[:, :, 32:96])[:, :, 32:].mean() < 3


@pytest.mark.parametrize("options", ["", "interlaced=1"])
def test_a_region_is_the_part_of_the_whole_picture(tmp_path, options):
    path = write_moving_bar(tmp_path / "clip.mkv", 40, interlaced=bool(options), options=options)
    whole = frames(path, (96, 128), ReadOptions())
    part = frames(path, (48, 64), ReadOptions(region=(0.25, 0.125, 0.5, 0.5)))
    assert np.abs(part.astype(int) - whole[:, 12:60, 32:96]).mean() < 2
    assert part.max() > 150


def cropped(path, target):
    """Cut the right half by ffmpeg's own filter, without loss."""
    with av.open(str(path)) as read, av.open(str(target), "w") as written:
        source = read.streams.video[0]
        stream = written.add_stream("ffv1", rate=source.average_rate)
        stream.width, stream.height, stream.pix_fmt = source.width // 2, source.height, "yuv420p"
        graph = av.filter.Graph()
        steps = graph.add_buffer(template=source), graph.add("crop", "iw/2:ih:iw/2:0"), graph.add("buffersink")
        graph.link_nodes(*steps).configure()
        for frame in read.decode(source):
            graph.push(frame)
            written.mux(stream.encode(graph.pull()))
        written.mux(stream.encode())
    return target


def test_a_region_equals_the_video_that_ffmpeg_cuts(tmp_path):
    path = write_halves(tmp_path / "clip.mkv", 100, 900)
    part = open_video(path, (40, 60), 4, options=ReadOptions(region=(0.5, 0, 0.5, 1)))
    other = open_video(cropped(path, tmp_path / "cut.mkv"), (40, 60), 4)
    for one, same in zip(part.snippets(), other.snippets(), strict=True):
        assert (one.index, one.start, one.end, one.length) == (same.index, same.start, same.end, same.length)
        assert np.abs(one.frames.astype(int) - same.frames).mean() < 2


def test_nothing_outside_a_region_or_behind_a_mask_changes_a_picture(tmp_path):
    paths = [write_halves(tmp_path / f"{left}.mkv", left, 900) for left in (100, 3000)]
    mask = Mask.read(write_mask(tmp_path / "m.png", LEFT_HALF))
    for options in (ReadOptions(mask=mask), ReadOptions(region=(0.5, 0, 0.5, 1))):
        for read in ("snippets", "key_snippets"):
            one, other = (
                [snippet.frames for snippet in getattr(open_video(path, (40, 60), 2, options=options), read)()]
                for path in paths
            )
            assert sum(map(len, one)) >= 3
            assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True))
    whole = [frames(path, (40, 60), ReadOptions()) for path in paths]
    assert not np.array_equal(*whole)


def test_pictures_of_all_sizes_turned_or_not(tmp_path):
    files = []
    for number, (kind, scale, turned) in enumerate([("png", 1, 0), ("jpg", 2, 6), ("webp", 1, 0), ("jpg", 1, 3)]):
        image = Image.fromarray(picture(number, 96 * scale, 128 * scale))
        exif = Image.Exif()
        if turned:  # 6: to be turned clockwise, 3: upside down
            image = image.rotate({6: 90, 3: 180}[turned], expand=True)
            exif[0x0112] = turned
        files.append(tmp_path / f"{number}.{kind}")
        image.save(files[-1], exif=exif, **({"quality": 95} if kind == "jpg" else {}))
    path = Pictures.of(str(tmp_path), files, Fraction(25))

    def read(size, options):
        reader = open_source(path, size, 4, 4, 1, lambda: None, options, False)
        return np.concatenate([snippet.frames for snippet in reader.snippets()])

    for column in range(4):
        found = read(BLOCK, block(column))
        assert len(found) == 4
        assert_block(found, column)
    mask = Mask.read(write_mask(tmp_path / "m.png", LEFT_HALF))
    found = read((96, 128), ReadOptions(mask=mask))
    assert found[:, :, :60].max() == 0  # what is scaled down rings a little
    assert found[:, :20, 70:90].mean() > 60


def test_frames_in_memory(tmp_path):
    mask = Mask.read(write_mask(tmp_path / "m.png", LEFT_HALF))

    def read(options, size=(96, 128)):
        given = [(number / 25, picture(number)) for number in range(16)]
        return next(MemoryReader(given, "camera", size, 4, SpanLine(16), options).snippets()).frames

    assert read(ReadOptions(mask=mask))[:, :, :64].max() == 0
    assert read(ReadOptions(mask=mask))[:, :, 64:].max() == 255
    assert_block(read(block(2), BLOCK), 2)
    with pytest.raises(VideoError, match="camera: the region is 6 x 5 of its 128 x 96 pixels"):
        read(ReadOptions(region=(0, 0, 0.05, 0.05)))


@pytest.mark.parametrize("turns", range(4))
def test_a_stored_picture_comes_back_from_upright(turns):
    stored = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    orientation = Orientation.turned(turns)
    assert np.array_equal(orientation.upright(stored), np.rot90(stored, turns))
    assert np.array_equal(orientation.stored(orientation.upright(stored)), stored)


def test_a_box_has_a_pixel_at_least_and_stays_inside():
    assert box(None, 30, 40) == (0, 30, 0, 40)
    assert box((0.25, 0.5, 0.5, 0.25), 30, 40) == (15, 22, 10, 30)
    for tiny in ((0.999, 0.999, 0.001, 0.001), (0, 0, 0.001, 0.001)):
        top, bottom, left, right = box(tiny, 30, 40)
        assert 0 <= top < bottom <= 30
        assert 0 <= left < right <= 40


@pytest.mark.parametrize(
    "region",
    [(0, 0, 0, 1), (0, 0, 1, -1), (0.5, 0, 0.6, 1), (0, 0.9, 1, 0.2), (-0.1, 0, 1, 1), (float("nan"), 0, 1, 1),
     (0, 0, float("nan"), 1), (0, 0, float("inf"), 1), (100, 50, 640, 480)],
)  # fmt: skip
def test_what_is_no_region_is_said(region):
    with pytest.raises(UsageError, match="as shares of the picture from 0 to 1, not in pixels"):
        ReadOptions(region=region)


def test_shares_that_add_up_may_be_rounded():
    assert ReadOptions(region=(0.7, 0.1, 0.3, 0.9)).cut == (0.7, 0.1, 0.3, 0.9)
    assert ReadOptions(region=(0, 0, 1, 1)).cut is None


@pytest.fixture
def mask(tmp_path):
    return lambda height, width: Mask.read(write_mask(tmp_path / "m.png", np.arange(width)[None].repeat(height, 0) < 2))


def test_a_mask_of_another_shape_is_refused(mask):
    path = Path("a.mp4")
    check_view(path, ReadOptions(mask=mask(480, 640)), 96, 128)
    with pytest.raises(VideoError, match=r"a\.mp4: has pictures of 128 x 96 pixels, and the mask .* 640 x 360"):
        check_view(path, ReadOptions(mask=mask(360, 640)), 96, 128)
    with pytest.raises(VideoError, match="of another shape, 480 x 640; paint it over a still of this camera"):
        check_view(path, ReadOptions(mask=mask(640, 480)), 96, 128)


def test_a_mask_may_have_the_shape_in_which_the_video_is_shown(mask):
    check_view(Path("a.mp4"), ReadOptions(mask=mask(576, 1024)), 576, 704, Fraction(16, 11))
    check_view(Path("a.mp4"), ReadOptions(mask=mask(576, 704)), 576, 704, Fraction(16, 11))
    with pytest.raises(VideoError, match="of another shape"):
        check_view(Path("a.mp4"), ReadOptions(mask=mask(576, 1024)), 576, 704)


def test_a_mask_that_hides_all_of_the_region(mask):
    options = ReadOptions(mask=mask(10, 4), region=(0, 0, 0.5, 1))
    with pytest.raises(VideoError, match="hides all of the region; nothing is left to look at"):
        check_view(Path("a.mp4"), options, 100, 40)


def test_the_reader_checks_the_video_as_it_is_shown(tmp_path, mask):
    path = write_video(tmp_path / "clip.mp4", 20, rotation=90, height=128, width=96)
    open_video(path, BLOCK, 1, options=ReadOptions(mask=mask(128, 96)))
    with pytest.raises(VideoError, match="has pictures of 96 x 128 pixels"):
        open_video(path, BLOCK, 1, options=ReadOptions(mask=mask(96, 128)))
    with pytest.raises(VideoError, match="the region is 12 x 128 of its 96 x 128 pixels"):
        open_video(path, BLOCK, 1, options=ReadOptions(region=(0, 0, 0.125, 1)))
