"""The ROC and precision-recall curves of an evaluation as one picture.

Drawn as in ``plot.py``: matplotlib's objects on an Agg canvas, no pyplot, no global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from dsanet_cli.evaluate.frame_metrics import FrameCurves
from dsanet_cli.plot_style import DPI, FAINT, INK, MUTED, NORMAL, OKABE_ITO, PAPER

WIDTH, HEIGHT = 1200, 660
SIDE, TOP, LEFT, BETWEEN = 490, 74, 74, 92
"""Pixels: of each square plot, above it, left of it, and between the two."""
FONT = "DejaVu Sans"
"""Comes with matplotlib."""
DASHES: tuple[Any, ...] = ("solid", (0, (6, 2)), (0, (2, 1.5)))
"""Tell the curves apart where colours do not."""


@dataclass(frozen=True)
class ScoreCurves:
    """The curves of one kind of score, with the area under each as ``frame_figures`` gives it (0..1)."""

    name: str
    curves: FrameCurves
    auc: float
    ap: float


def save_curves(scores: Sequence[ScoreCurves], anomalous_share: float, caption: str, target: IO[bytes]) -> None:
    """Draw the ROC curves and the precision-recall curves side by side, as a PNG 1200 pixels wide.

    Args:
        scores: up to three kinds of score of the same videos.
        anomalous_share: share of all frames (0..1), which is the precision of random scores.
        caption: what was evaluated, in a line.
        target: a binary stream.

    """
    canvas = FigureCanvasAgg(_draw(scores, anomalous_share, caption))
    canvas.print_png(target, metadata={"Software": None})  # type: ignore[no-untyped-call]


def _draw(scores: Sequence[ScoreCurves], anomalous_share: float, caption: str) -> Figure:
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
    figure.text(LEFT / WIDTH, 22 / HEIGHT, caption, size=9, color=MUTED, family=FONT, parse_math=False)
    roc = _axes(figure, LEFT, "ROC", ("false positive rate", "true positive rate"))
    pr = _axes(figure, LEFT + SIDE + BETWEEN, "Precision and recall", ("recall", "precision"))
    for number, score in enumerate(scores):
        curves = score.curves
        style: dict[str, Any] = {"color": OKABE_ITO[number], "linestyle": DASHES[number]}
        style |= {"linewidth": 1.8, "clip_on": False, "zorder": 3 - 0.1 * number}
        rates = curves.false_positive_rate, curves.true_positive_rate
        roc.plot(*rates, label=f"{score.name}, AUC {score.auc:.2%}", **style)
        # Steps, as AP sums them.
        shares = curves.recall, curves.precision
        pr.plot(*shares, label=f"{score.name}, AP {score.ap:.2%}", drawstyle="steps-post", **style)
    chance: dict[str, Any] = {"color": NORMAL, "linewidth": 1, "zorder": 1}
    roc.plot([0, 1], [0, 1], label="chance, AUC 50.00%", **chance)
    pr.plot([0, 1], [anomalous_share] * 2, label=f"chance, AP {anomalous_share:.2%}", **chance)
    legend: dict[str, Any] = {"prop": {"family": FONT, "size": 10}, "labelcolor": INK, "edgecolor": FAINT}
    roc.legend(loc="lower right", **legend)
    pr.legend(loc="best", **legend)
    return figure


def _axes(figure: Figure, left: int, title: str, names: tuple[str, str]) -> Axes:
    """A square plot of two shares."""
    box = (left / WIDTH, (HEIGHT - TOP - SIDE) / HEIGHT, SIDE / WIDTH, SIDE / HEIGHT)
    axes = figure.add_axes(box, xlim=(0, 1), ylim=(0, 1.005), facecolor=PAPER)
    axes.set_title(title, loc="left", size=13, weight="bold", color=INK, family=FONT, pad=14)
    axes.set_xlabel(names[0], size=10, color=INK, family=FONT)
    axes.set_ylabel(names[1], size=10, color=INK, family=FONT)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(NORMAL)
    axes.tick_params(colors=MUTED, labelsize=9, labelfontfamily=FONT, length=3)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes
