"""What a training leaves behind besides weights: a CSV row per step, loss curves, TensorBoard scalars."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dsanet_cli.errors import OutputError, UsageError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import read_regular
from dsanet_cli.plot_style import DPI, FAINT, INK, MUTED, NORMAL, OKABE_ITO, PAPER
from dsanet_cli.train.trainer import Step

LOG_FILE = "log.csv"
CURVES_FILE = "losses.png"
TENSORBOARD_FOLDER = "tensorboard"
LARGEST_LOG = 2**30
"""Bytes."""
WIDTH, HEIGHT = 1200, 760
COLORS = (INK, *OKABE_ITO[:6], NORMAL)
"""Colours of the total and the seven losses."""
SECONDS_BETWEEN_DRAWINGS = 30.0
"""Drawing the curves takes as long as an epoch of a small training."""
SMOOTHING = 0.95
"""Decay of the running average that the curves show beside the single steps."""

Row = dict[str, float | None]


class TrainingLog:
    """The log of one training; a resumed one goes on after the step it resumes from.

    Args:
        folder: Where ``log.csv`` and ``losses.png`` go.
        figure_name: What validation measures.
        steps_done: Rows to keep of an earlier part of the same training.
        tensorboard: Write TensorBoard scalars too.

    Raises:
        OutputError: the folder cannot be written.
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, figure_name: str, steps_done: int, tensorboard: bool) -> None:
        self.folder = folder
        self.figure_name = figure_name
        self.rows: list[Row] = _read_rows(folder / LOG_FILE)[:steps_done] if steps_done else []
        self._drawn = time.monotonic()
        self._board = _summary_writer(folder / TENSORBOARD_FOLDER, steps_done) if tensorboard else None

    def add(self, step: Step) -> None:
        """Add a step."""
        row: Row = {
            "step": step.number,
            "epoch": step.epoch,
            "learning_rate": step.learning_rate,
            "normality_learning_rate": step.normality_learning_rate,
            **step.losses,
            "validation": step.figure,
        }
        self.rows.append(row)
        if self._board is not None:
            for name, value in row.items():
                if value is not None and name not in ("step", "epoch"):
                    self._board.add_scalar(name, value, step.number)

    def write(self) -> None:
        """Write the CSV, and the curves if the last drawing is old enough.

        Raises:
            OutputError: they cannot be written.
        """
        if not self.rows:
            return
        with atomic_write(self.folder / LOG_FILE) as text:
            writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        if time.monotonic() - self._drawn > SECONDS_BETWEEN_DRAWINGS:
            self.draw()
        if self._board is not None:
            self._board.flush()

    def draw(self) -> None:
        """Draw the curves as they are now.

        Raises:
            OutputError: the picture cannot be written.
        """
        if self.rows:
            with atomic_write(self.folder / CURVES_FILE, "wb") as stream:
                save_loss_curves(self.rows, self.figure_name, stream)
        self._drawn = time.monotonic()


def save_loss_curves(rows: Sequence[Row], figure_name: str, target: IO[bytes]) -> None:
    """Draw the losses and the validation figure over the steps, as a PNG."""
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
    losses, validation = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
    steps = [float(row["step"] or 0) for row in rows]
    names = [name for name in rows[0] if name not in ("step", "epoch", "validation") and "learning_rate" not in name]
    for name, color in zip(names, COLORS, strict=True):
        values = [float(row[name] or 0) for row in rows]
        losses.plot(steps, values, color=color, linewidth=0.6, alpha=0.25)
        losses.plot(steps, _smoothed(values), color=color, linewidth=1.6, label=name.replace("_", " "))
    losses.set_yscale("log")
    losses.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9)
    points = [(row["step"], row["validation"]) for row in rows if row["validation"] is not None]
    if points:
        validation.plot(*zip(*points, strict=True), color=INK, linewidth=1.4, marker="o", markersize=3)
    validation.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes, title in ((losses, "loss"), (validation, f"validation: {figure_name}")):
        _style(axes, title)
    validation.set_xlabel("step", color=MUTED, fontsize=9)
    figure.subplots_adjust(left=0.07, right=0.84, top=0.95, bottom=0.08, hspace=0.18)
    FigureCanvasAgg(figure).print_png(target, metadata={"Software": None})  # type: ignore[no-untyped-call]


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=10)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3, which="both")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)


def _smoothed(values: Sequence[float]) -> list[float]:
    """Running average that begins unbiased."""
    average, weight, smooth = 0.0, 0.0, []
    for value in values:
        average = SMOOTHING * average + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        smooth.append(average / weight)
    return smooth


def _read_rows(path: Path) -> list[Row]:
    try:
        text = read_regular(path, LARGEST_LOG).decode()
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(f"{path}: damaged ({error}); move it away to go on without its rows") from error


def _number(text: str) -> float | None:
    if not text:
        return None
    return int(text) if text.isdecimal() else float(text)


def _summary_writer(folder: Path, steps_done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("--tensorboard needs an extra: pip install 'dsanet-cli[tensorboard]'") from error
    return SummaryWriter(str(folder), purge_step=steps_done + 1)
