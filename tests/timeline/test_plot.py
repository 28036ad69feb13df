import io
import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from dsanet_cli.config import EventRule
from dsanet_cli.errors import OutputError
from dsanet_cli.timeline import lettering, plot
from dsanet_cli.timeline.colors import band_shades, class_colors
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.lettering import drawable
from dsanet_cli.timeline.plot import save_plot, spread, time_ticks
from dsanet_cli.timeline.timeline import build_timeline

FOUR = ("normal", "fighting", "explosion", "road accidents", "arson")
UCF = ("normal", "abuse", "arrest", "arson", "assault", "burglary", "explosion", "fighting", "road accidents",
       "robbery", "shooting", "shoplifting", "stealing", "vandalism")  # fmt: skip


def make(n=60, bumps=(), classes=FOUR, seconds=0.64, path="a.mp4", size=(320, 240), **changes):
    """``bumps``: (first snippet, stop, class, score) of each event."""
    scores, share = np.full(n, 0.05), np.full((n, len(classes) - 1), 1 / (len(classes) - 1))
    for first, stop, label, score in bumps:
        scores[first:stop] = score
        share[first:stop] = np.eye(len(classes) - 1)[label - 1]
    width, height = size
    facts = {
        "video": VideoFacts(path, 16 * n, n * seconds, Fraction(25), width, height, "h264"),
        "model": ModelFacts("scenes", "00"),
        "class_names": classes,
        "sampling": Sampling(16, 4, "fp32"),
        "rule": EventRule(),
        "starts": np.arange(n) * seconds,
        "ends": np.arange(1, n + 1) * seconds,
        "scores": scores,
        "probabilities": np.concatenate([1 - scores[:, None], scores[:, None] * share], axis=1),
    }
    return build_timeline(**(facts | changes))


def frames(timeline, shape=(64, 64, 3)):
    return {i: np.full(shape, min(10 * i + 20, 255), np.uint8) for i in range(len(timeline.events))}


def png(timeline, thumbnails=None):
    stream = io.BytesIO()
    save_plot(timeline, stream, thumbnails or {})
    return stream.getvalue()


def pixels(timeline, thumbnails=None):
    """(H, W, 3) in 0..1."""
    return imread(io.BytesIO(png(timeline, thumbnails)))[:, :, :3]


def sheet(timeline, thumbnails=None):
    """The axes that hold all texts and thumbnails, in pixels."""
    return plot._draw(timeline, thumbnails or {}).axes[0]


def texts(timeline, thumbnails=None):
    return [text.get_text().strip() for text in sheet(timeline, thumbnails).texts]


def column(timeline, seconds):
    return round(plot.LEFT + plot.PLOT_WIDTH * seconds / timeline.video.duration)


ONE = [(20, 30, 2, 0.9)]
SIX_AND_MORE = [(i * 10, i * 10 + 5, 1 + i % 4, 0.6 + 0.03 * ((i * 7) % 9)) for i in range(9)]


@pytest.mark.parametrize(
    ("timeline", "height"),
    [
        (make(), (500, 700)),
        (make(bumps=ONE), (700, 850)),
        (make(100, SIX_AND_MORE), (700, 900)),
        (make(140, [(i * 10, i * 10 + 4, 1 + i % 13, 0.9) for i in range(14)], UCF), (750, 900)),
        (make(60, [(5, 9, 1, 0.8)], ("normal", "anomaly")), (600, 850)),
        (make(1), (500, 700)),
        (make(1, [(0, 1, 3, 0.99)]), (700, 850)),
        (make(1, [(0, 1, 3, 0.99)], seconds=0.04, rule=EventRule(min_length=0.0)), (700, 850)),
        (make(bumps=ONE, size=(1080, 1920)), (700, 850)),
        (make(bumps=ONE, size=(None, None)), (700, 850)),
    ],
)
def test_the_picture_has_its_size(timeline, height):
    image = pixels(timeline, frames(timeline))
    assert image.shape[1] == 1400
    assert height[0] <= image.shape[0] <= height[1]
    assert np.all(image[:, :4] == 1)
    assert np.all(image[:, -4:] == 1)


def test_without_thumbnails_there_is_no_row_for_them():
    timeline = make(bumps=ONE)
    tall, low = pixels(timeline, frames(timeline)), pixels(timeline)
    assert tall.shape[0] - low.shape[0] == plot.CAPTION + plot.THUMBNAIL_HEIGHT + plot.CONNECTOR


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "sub" / "a.png"
    save_plot(make(), path, {})
    first = path.read_bytes()
    save_plot(make(bumps=ONE), path, {})
    assert path.read_bytes() != first
    assert first == png(make())
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_an_unwritable_target(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"a\.png: cannot be written"):
        save_plot(make(), tmp_path / "file" / "a.png", {})


def test_a_picture_does_not_tell_which_matplotlib_drew_it():
    assert b"matplotlib" not in png(make()).lower()  # its version would make equal results differ


def test_threads_draw_the_same():
    timelines = [make(bumps=ONE), make(100, SIX_AND_MORE), make(classes=UCF), make(1)]
    expected = [png(t, frames(t)) for t in timelines]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda t: png(t, frames(t)), timelines * 2)) == expected * 2


def test_pyplot_is_not_needed():
    code = "import sys, dsanet_cli.timeline.plot; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_global_settings_stay():
    before = dict(matplotlib.rcParams)
    png(make(bumps=ONE))
    assert dict(matplotlib.rcParams) == before


def test_title_and_verdict_of_an_anomalous_video():
    found = texts(make(bumps=[(20, 30, 2, 0.9)], path="dir/cam_$1$.mp4"))
    assert found[0:2] == ["0:38.4 · 320 × 240 · 25 fps · h264", "model scenes"]
    assert found[2:5] == ["cam_$1$.mp4", "explosion", "peak 0.90 at 0:13.1 · 1 event, 6.4 s"]


def test_title_and_verdict_of_a_normal_feature_file():
    video = VideoFacts("x/f.npy", 960, 38.4)
    found = texts(make(video=video, coverage=Coverage(0.9, ((1.0, 4.84),))))
    assert found[:2] == ["0:38.4", "model scenes · 90.0% analysed"]
    assert found[2:5] == ["f.npy", "normal", "no event · highest score 0.05 · threshold 0.50"]


def test_events_are_named_and_captioned():
    timeline = make(bumps=[(5, 15, 2, 0.9), (40, 50, 3, 0.8)])
    found = texts(timeline, frames(timeline))
    assert found.count("explosion") == 4  # verdict, name, caption, band
    assert found.count("road accidents") == 3
    assert "0.90 · 0:03.5" in found
    assert "0.80 · 0:25.9" in found
    assert [t for t in found if t in FOUR][-5:] == [
        "fighting",
        "explosion",
        "road accidents",
        "arson",
        "normal",
    ]


def test_the_threshold_is_a_dashed_line_at_its_height():
    timeline = make(bumps=ONE, rule=EventRule(threshold=0.25, release=0.2))
    assert "0.25" in texts(timeline)
    (line,) = (a for a in sheet(timeline).lines if a.is_dashed())
    image = pixels(timeline)
    y, x = round(line.get_ydata()[0]), column(timeline, 30.0)
    dark = image[y - 1 : y + 2, x : x + 60].min(axis=(0, 2)) < 0.6
    assert 0.3 < dark.mean() < 0.8
    axis = plot._draw(timeline, {}).axes[1]
    inverse = axis.transData.inverted().transform((0, image.shape[0] - line.get_ydata()[0]))
    assert inverse[1] == pytest.approx(0.25)


def test_the_curve_shows_the_score():
    timeline = make(bumps=[(20, 30, 2, 0.8)])
    axis = plot._draw(timeline, {}).axes[1]
    curve = next(p for p in axis.patches if not p.get_fill()).get_data()
    middles = (curve.edges[1:] + curve.edges[:-1]) / 2
    inside = (middles > 20 * 0.64) & (middles < 30 * 0.64)
    assert curve.values[inside] == pytest.approx(0.8)
    assert curve.values[~inside] == pytest.approx(0.05, abs=0.76)
    assert np.median(curve.values[~inside]) == pytest.approx(0.05)


def test_events_are_shaded_in_the_colour_of_their_class():
    timeline = make(bumps=[(20, 30, 2, 0.6)])
    image = pixels(timeline)
    blue = np.array(to_rgb(class_colors(5)[2]))
    y = plot.HEADER + plot.LANE + 12  # the top of the score
    inside, outside = (image[y + 12 : y + 60, column(timeline, t)] for t in (13.3, 30.5))
    assert np.median(inside, axis=0) == pytest.approx(0.2 * blue + 0.8, abs=0.02)
    assert np.median(outside, axis=0) == pytest.approx(1.0)
    assert image[y - 2, column(timeline, 16.0)] == pytest.approx(blue, abs=0.01)


def test_bands_show_the_probabilities():
    timeline = make(bumps=[(20, 30, 2, 0.9)])
    image = pixels(timeline)
    colors = [np.array(to_rgb(c)) for c in class_colors(5)]
    blank = np.array(to_rgb(plot.BLANK))
    bands = image.shape[0] - plot.FOOTER - 5 * 30
    rows = [image[bands + 30 * row + 15] for row in range(5)]
    inside, outside = column(timeline, 15.8), column(timeline, 30.2)
    assert rows[1][inside] == pytest.approx(0.9 / 0.95 * colors[2] + 0.05 / 0.95 * blank, abs=0.01)
    assert rows[0][inside] == pytest.approx(blank, abs=0.01)
    assert rows[4][outside] == pytest.approx(colors[0], abs=0.01)  # the highest probability of all
    assert "pale is 0.00, full colour 0.95" in texts(timeline)
    for row in range(1, 5):
        assert image[bands + 30 * row, outside] == pytest.approx(1.0)  # white between the bands
    assert "0.90" in texts(timeline)
    assert "0.95" in texts(timeline)


def test_bands_of_a_flat_model_show_their_differences():
    flat = np.full((60, 14), 0.07)
    flat[20:30, 7], flat[20:30, 0] = 0.12, 0.02
    flat /= flat.sum(axis=1, keepdims=True)
    timeline = make(classes=UCF, probabilities=flat)
    image = pixels(timeline)
    row = image[image.shape[0] - plot.FOOTER - 14 * 17 + 17 * 6 + 8]  # of the seventh class
    inside, outside = row[column(timeline, 15.8)], row[column(timeline, 30.2)]
    assert np.abs(inside - outside).max() > 0.3
    assert any(text.startswith("pale is 0.02, full colour 0.1") for text in texts(timeline))


def test_noise_is_not_blown_up():
    shares = np.float32([[0.50, 0.51], [0.50, np.nan]])
    shades, low, high = band_shades(shares)
    assert (low, high) == pytest.approx((0.5, 0.55))
    assert shades == pytest.approx(np.float32([[0, 0.2], [0, 0]]), abs=1e-5)


def test_without_events_the_frame_with_the_highest_score_is_shown():
    scores = np.full(60, 0.05)
    scores[33] = 0.31
    timeline = make(scores=scores)
    page = sheet(timeline, frames(make(bumps=ONE)))
    (image,) = page.images
    left, right, _, _ = image.get_extent()
    assert (left + right) / 2 == pytest.approx(plot.LEFT + plot.PLOT_WIDTH * 33.5 / 60)
    found = [text.get_text().strip() for text in page.texts]
    assert "highest score" in found
    assert "0.31 · 0:21.4" in found


def test_holes_are_hatched():
    timeline = make(coverage=Coverage(0.5, ((10.0, 20.0),)))
    plain, holed = pixels(make()), pixels(timeline)
    inside, before = slice(column(timeline, 10.5), column(timeline, 19.5)), column(timeline, 9.8)
    for top, height in ((plot.HEADER + 12, 100), (plain.shape[0] - plot.FOOTER - 150, 150)):
        patch = holed[top + 2 : top + height - 2, inside]
        assert patch.min() > 0.8
        assert len(np.unique(patch[:, :, 0])) > 2
    assert np.array_equal(holed[120:, :before], plain[120:, :before])


def test_the_six_highest_peaks_get_thumbnails_in_order_of_time():
    timeline = make(100, SIX_AND_MORE)
    images = sheet(timeline, frames(timeline)).images
    highest = sorted(range(9), key=lambda i: -timeline.events[i].peak_score)[:6]
    assert [int(image.get_array()[0, 0, 0]) for image in images] == [10 * i + 20 for i in sorted(highest)]
    lefts = [image.get_extent()[0] for image in images]
    assert lefts == sorted(lefts)


def test_only_events_with_a_frame_get_thumbnails():
    timeline = make(100, SIX_AND_MORE)
    drawn = sheet(timeline, {2: frames(timeline)[2], 99: frames(timeline)[0]}).images
    assert [int(image.get_array()[0, 0, 0]) for image in drawn] == [40]


@pytest.mark.parametrize(
    ("size", "shape", "aspect"),
    [
        ((1920, 1080), (64, 64, 3), 16 / 9),
        ((1080, 1920), (64, 64, 3), 9 / 16),
        ((None, None), (40, 60, 3), 1.5),
    ],
)
def test_thumbnails_have_the_aspect_of_the_video(size, shape, aspect):
    timeline = make(100, SIX_AND_MORE, size=size)
    boxes = [image.get_extent() for image in sheet(timeline, frames(timeline, shape)).images]
    for left, right, bottom, top in boxes:
        assert (right - left) / (bottom - top) == pytest.approx(aspect)
        assert plot.MARGIN - 1 <= left < right <= plot.WIDTH - plot.MARGIN + 1
    assert all(a[1] < b[0] for a, b in itertools.pairwise(boxes))


def test_a_thumbnail_with_room_is_above_its_peak_and_joined_to_it():
    timeline = make(bumps=[(5, 15, 2, 0.9), (40, 50, 3, 0.8)])
    page = sheet(timeline, frames(timeline))
    for event, image in zip(timeline.events, page.images, strict=True):
        x = plot.LEFT + plot.PLOT_WIDTH * event.peak_time / timeline.video.duration
        left, right, bottom, _ = image.get_extent()
        assert (left + right) / 2 == pytest.approx(x)
        connectors = [a for a in page.lines if a.get_ydata()[0] == bottom and len(a.get_xdata()) == 4]
        assert any(a.get_xdata()[-1] == pytest.approx(x) for a in connectors)


def test_frames_are_drawn_upright_in_their_colours():
    timeline = make(bumps=ONE)
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:32], frame[32:] = (200, 0, 0), (0, 0, 200)
    image = pixels(timeline, {0: frame})
    x, y = column(timeline, timeline.events[0].peak_time), plot.HEADER + plot.CAPTION
    assert image[y + 20, x] == pytest.approx([200 / 255, 0, 0], abs=0.02)
    assert image[y + 120, x] == pytest.approx([0, 0, 200 / 255], abs=0.02)


def test_names_never_overlap():
    generator = np.random.default_rng(1)
    bumps = [(i * 6, i * 6 + 2, int(generator.integers(1, 14)), generator.uniform(0.6, 1)) for i in range(60)]
    timeline = make(360, bumps, UCF)
    figure = plot._draw(timeline, {})
    figure.draw_without_rendering()
    boxes = [t.get_bbox_patch().get_window_extent() for t in figure.axes[0].texts if t.get_bbox_patch()][1:]
    assert 15 < len(boxes) < 60
    for i, a in enumerate(boxes):
        assert a.x0 >= plot.LEFT - 4
        assert a.x1 <= plot.WIDTH - plot.RIGHT + 4
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])
    highest = max(timeline.events, key=lambda e: e.peak_score)
    assert highest.label in texts(timeline)[5:]


def test_names_that_had_to_move_are_joined_to_their_events():
    timeline = make(200, [(20, 24, 1, 0.8), (30, 34, 1, 0.9)], seconds=0.2, rule=EventRule(merge_gap=0.5))
    (line,) = (a for a in sheet(timeline).lines if not a.is_dashed())
    name = [text for text in sheet(timeline).texts if text.get_bbox_patch()][-1]  # the lower peak comes last
    event = timeline.events[0]
    middle = plot.LEFT + plot.PLOT_WIDTH * (event.start + event.end) / 2 / timeline.video.duration
    assert line.get_xdata()[1] == pytest.approx(middle)
    assert (line.get_xdata()[0], line.get_ydata()[0]) == name.get_position()


def test_names_at_the_border_stay_inside():
    long = ("normal", "a class with quite a long name")
    timeline = make(bumps=[(0, 1, 1, 0.9), (59, 60, 1, 0.8)], classes=long)
    figure = plot._draw(timeline, {})
    figure.draw_without_rendering()
    boxes = [t.get_bbox_patch().get_window_extent() for t in figure.axes[0].texts if t.get_bbox_patch()][1:]
    assert len(boxes) == 2
    assert all(b.x0 >= plot.LEFT - 4 and b.x1 <= plot.WIDTH - plot.RIGHT + 4 for b in boxes)


def test_long_names_are_cut_in_the_middle():
    path = "/videos/" + "recording " * 30 + "end.mp4"
    classes = ("normal", "x" * 80, "W" * 80)
    timeline = make(bumps=[(3, 20, 1, 0.9)], classes=classes, path=path)
    figure = plot._draw(timeline, frames(timeline))
    figure.draw_without_rendering()
    page = figure.axes[0]
    title = page.texts[2].get_text()
    assert title.startswith("recording ")
    assert "…" in title
    assert title.endswith("end.mp4")
    boxes = [t.get_window_extent() for t in page.texts]
    assert all(box.x0 > 0 and box.x1 < plot.WIDTH for box in boxes)
    bands = [b for t, b in zip(page.texts, boxes, strict=True) if t.get_ha() == "right" and "…" in t.get_text()]
    assert len(bands) == 2
    assert all(plot.MARGIN - 3 < box.x0 < box.x1 < plot.LEFT - 20 for box in bands)


@pytest.mark.parametrize(
    "path", ["$x_1$ $.mp4", r"\alpha^2_{.mp4", "猫 😀.mp4", "caf\udce9.mp4", "a\nb\t.mp4", "é_Ω.mp4"]
)
def test_any_file_name_is_drawn_without_a_warning(path):
    classes = ("normal", path, "$\\frac{$")
    timeline = make(bumps=[(3, 9, 1, 0.9), (30, 40, 2, 0.8)], classes=classes, path=path)
    assert len(png(timeline, frames(timeline))) > 10_000
    assert all(not text.get_parse_math() for text in sheet(timeline).texts)


def test_what_no_font_has_becomes_a_box(monkeypatch):
    monkeypatch.setattr(lettering, "_FAMILIES", lettering._FAMILIES[:1])
    lettering.fonts.cache_clear()
    try:
        assert drawable("cam_$1$ é Ω.mp4") == "cam_$1$ é Ω.mp4"
        assert drawable("猫.mp4") == "□.mp4"
        assert drawable("a\nb\udce9") == "a□b□"
    finally:
        lettering.fonts.cache_clear()


def test_another_installed_font_fills_in(monkeypatch):
    sign = "\N{CIRCLED LATIN CAPITAL LETTER A}"  # in STIX, which comes with matplotlib, not in DejaVu
    monkeypatch.setattr(lettering, "_FAMILIES", ("DejaVu Sans", "STIXGeneral", "not installed"))
    lettering.fonts.cache_clear()
    try:
        assert drawable(sign) == sign
        assert len(png(make(path=f"{sign}.mp4"))) > 10_000
    finally:
        lettering.fonts.cache_clear()


def test_ten_hours_are_quick_and_keep_their_spikes():
    n = 56_250
    bumps = [(1000 + i * 1000, 1001 + i * 1000, 1 + i % 13, 0.9) for i in range(50)]
    generator = np.random.default_rng(0)
    timeline = make(n, bumps, UCF)
    noisy = np.clip(timeline.scores + generator.random(n) * 0.1, 0, 1)
    timeline = make(n, bumps, UCF, scores=noisy)
    assert len(timeline.events) == 50
    began = time.perf_counter()
    image = pixels(timeline, frames(timeline))
    assert time.perf_counter() - began < 5
    assert image.shape[1] == 1400
    axis = plot._draw(timeline, {}).axes[1]
    curve = next(p for p in axis.patches if not p.get_fill()).get_data().values
    assert np.sum(curve > 0.85) >= 50
    labels = [t.get_text() for t in plot._draw(timeline, {}).axes[2].get_xticklabels()]
    assert labels[:2] == ["0:00:00", "1:00:00"]


def test_colours_are_distinct_and_stand_out_on_white():
    for count in range(2, 31):
        colors = class_colors(count)
        assert len(set(colors)) == count
        assert colors[0] == plot.NORMAL
        assert all(sum(to_rgb(c)) < 2.5 for c in colors)


def seen(colors, how):
    """CIELAB of sRGB colours as people see them, by the simulation of Machado, Oliveira and Fernandes (2009)."""
    seen_by = {
        "anyone": np.eye(3),
        "deuteranopes": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ],
        "protanopes": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    }[how]
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    channels = np.array([to_rgb(color) for color in colors])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(seen_by), 0, 1) @ to_xyz.T / to_xyz.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize(("how", "least"), [("anyone", 35), ("deuteranopes", 15), ("protanopes", 20)])
def test_fourteen_colours_can_be_told_apart(how, least):
    places = seen(class_colors(14), how)
    distances = np.linalg.norm(places[:, None] - places, axis=2)  # CIE 1976
    assert distances[np.triu_indices(14, 1)].min() > least


@pytest.mark.parametrize(
    ("duration", "labels"),
    [
        (45.0, ["0:00", "0:05", "0:10"]),
        (128.0, ["0:00", "0:15", "0:30"]),
        (3599.0, ["0:00", "5:00", "10:00"]),
        (36000.0, ["0:00:00", "1:00:00", "2:00:00"]),
        (0.64, ["0:00.0", "0:00.1", "0:00.2"]),
        (0.04, ["0:00.000", "0:00.005", "0:00.010"]),
    ],
)
def test_time_ticks(duration, labels):
    assert time_ticks(duration)[1][:3] == labels


@pytest.mark.parametrize("duration", [0.001, 0.3, 1, 7, 59, 61, 700, 5000, 40_000, 90_000, 600_000, 3e6])
def test_ticks_are_few_and_inside(duration):
    ticks, labels = time_ticks(duration)
    assert 1 <= len(ticks) <= 13
    assert len(set(labels)) == len(ticks) == len(labels)
    assert 0 == ticks[0] <= ticks[-1] <= duration


def test_boxes_with_room_stay_where_they_are():
    assert spread([100, 300, 500], 100, 0, 600) == [100, 300, 500]
    assert spread([], 100, 0, 600) == []


def test_boxes_move_apart_around_their_middle():
    assert spread([200, 200], 100, 0, 600) == [150, 250]
    assert spread([200, 210, 500], 100, 0, 600) == [155, 255, 500]


def test_boxes_stay_inside():
    assert spread([0, 10], 100, 0, 600) == [50, 150]
    assert spread([600, 600], 100, 0, 600) == [450, 550]
    assert spread([300] * 6, 100, 0, 600) == [50, 150, 250, 350, 450, 550]


def test_spreading_is_the_least_squares_answer():
    generator = np.random.default_rng(5)
    for _ in range(50):
        centers = np.sort(generator.uniform(50, 550, 4))
        result = np.array(spread(centers.tolist(), 100, 0, 600))
        assert np.all(np.diff(result) > 100 - 1e-6)
        assert result[0] >= 50
        assert result[-1] <= 550
        grid = generator.uniform(0, 600 - 400, (4000, 4))  # any other allowed placement is no nearer
        other = np.sort(grid, axis=1) + 50 + 100 * np.arange(4)
        assert np.all(((other - centers) ** 2).sum(axis=1) >= ((result - centers) ** 2).sum() - 1e-6)
