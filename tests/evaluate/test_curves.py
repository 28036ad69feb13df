"""The picture of the curves: what is drawn, and that it is legible."""

from __future__ import annotations

import io
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from dsanet_cli.evaluate import curves
from dsanet_cli.evaluate.curves import ScoreCurves, save_curves
from dsanet_cli.evaluate.frame_metrics import frame_curves, frame_figures

CAPTION = "5 videos, 1,600 frames"
LABELS = [np.random.default_rng(n).integers(0, 2, 320).astype(np.uint8) for n in range(5)]
NAMES = [f"v{n}" for n in range(5)]


def make(noise: float, name: str) -> ScoreCurves:
    rng = np.random.default_rng(9)
    scores = [one.reshape(-1, 16).mean(axis=1) + noise * rng.standard_normal(20) for one in LABELS]
    figures = frame_figures(scores, LABELS, NAMES)
    return ScoreCurves(name, frame_curves(scores, LABELS, NAMES), figures.auc, figures.ap)


PAIR = [make(0.02, "anomaly score"), make(0.3, "from classes")]


def png() -> bytes:
    stream = io.BytesIO()
    save_curves(PAIR, 0.25, CAPTION, stream)
    return stream.getvalue()


def test_it_is_a_picture_of_fixed_size_and_always_the_same() -> None:
    image = imread(io.BytesIO(png()))
    assert image.shape[:2] == (curves.HEIGHT, curves.WIDTH)
    assert png() == png()
    for color in curves.OKABE_ITO[:2]:
        assert (np.abs(image[:, :, :3] - to_rgb(color)).max(axis=2) < 0.01).sum() > 200


def test_both_plots_show_the_curves_and_chance() -> None:
    roc, pr = curves._draw(PAIR, 0.25, CAPTION).axes
    assert [roc.get_title("left"), pr.get_title("left")] == ["ROC", "Precision and recall"]
    for line, score in zip(roc.lines, PAIR, strict=False):
        np.testing.assert_array_equal(line.get_xdata(), score.curves.false_positive_rate)
        np.testing.assert_array_equal(line.get_ydata(), score.curves.true_positive_rate)
    for line, score in zip(pr.lines, PAIR, strict=False):
        np.testing.assert_array_equal(line.get_xdata(), score.curves.recall)
        np.testing.assert_array_equal(line.get_ydata(), score.curves.precision)
    assert [list(axes.lines[2].get_ydata()) for axes in (roc, pr)] == [[0, 1], [0.25, 0.25]]


def test_the_steps_enclose_the_ap_of_the_legend() -> None:
    line = curves._draw(PAIR, 0.25, CAPTION).axes[1].lines[1]
    assert line.get_drawstyle() == "steps-post"  # each precision holds from its recall to the next
    x, y = line.get_xdata(), line.get_ydata()
    assert -np.sum(np.diff(x) * y[:-1]) == pytest.approx(PAIR[1].ap)


def test_the_legends_have_the_figures() -> None:
    texts = [
        [text.get_text() for text in axes.get_legend().get_texts()] for axes in curves._draw(PAIR, 0.25, CAPTION).axes
    ]
    assert texts[0] == [
        f"anomaly score, AUC {100 * PAIR[0].auc:.2f}%",
        f"from classes, AUC {100 * PAIR[1].auc:.2f}%",
        "chance, AUC 50.00%",
    ]
    assert texts[1] == [
        f"anomaly score, AP {100 * PAIR[0].ap:.2f}%",
        f"from classes, AP {100 * PAIR[1].ap:.2f}%",
        "chance, AP 25.00%",
    ]


def test_curves_differ_without_their_colours() -> None:
    for axes in curves._draw(PAIR, 0.25, CAPTION).axes:
        styles = {(line.get_linestyle(), line.get_linewidth()) for line in axes.lines}
        assert len(styles) == 3


def test_nothing_lies_outside_the_picture_or_on_something_else() -> None:
    figure = curves._draw(PAIR, 0.25, CAPTION)
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes] + [figure.texts[0].get_window_extent()]
    for i, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= curves.WIDTH
        assert 0 <= box.y0 < box.y1 <= curves.HEIGHT
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_the_caption_is_plain_text() -> None:
    figure = curves._draw(PAIR, 0.25, "$x_1$ 100% of them")
    assert figure.texts[0].get_text() == "$x_1$ 100% of them"
    assert not figure.texts[0].get_parse_math()


def test_global_settings_and_pyplot_are_left_alone() -> None:
    before = dict(matplotlib.rcParams)
    png()
    assert dict(matplotlib.rcParams) == before
    code = "import sys, dsanet_cli.evaluate.curves; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
