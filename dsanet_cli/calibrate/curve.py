"""False alarms per hour against the threshold, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dsanet_cli.calibrate.rates import Rate, format_hours
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.plot_style import DPI, FAINT, INK, MUTED, PAPER

WIDTH, HEIGHT = 1000, 520


def save_rates(found: Sequence[Rate], chosen: Rate, allowed: float, path: Path) -> None:
    """Draw the rate at every threshold, what it may truly be, and the threshold that was chosen, as a PNG.

    Args:
        found: At every threshold, the lowest first.
        chosen: One of them.
        allowed: False alarms an hour that were asked for.
        path: File to write or replace.

    Raises:
        OutputError: the file cannot be written.
    """
    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor=PAPER)
    axes = figure.add_axes((0.08, 0.13, 0.89, 0.76), facecolor=PAPER)
    levels = [rate.threshold for rate in found]
    counted, most = [rate.per_hour for rate in found], [rate.at_most for rate in found]
    axes.fill_between(levels, counted, most, color=FAINT, linewidth=0, label="up to here with 95 % confidence")
    axes.step(levels, counted, where="mid", color=INK, linewidth=1.6, label="counted")
    axes.axhline(allowed, color=MUTED, linewidth=1, linestyle=(0, (5, 4)), label="asked for")
    axes.plot([chosen.threshold], [chosen.per_hour], color=INK, marker="o", linestyle="none", label="chosen", zorder=3)
    axes.set_yscale("symlog", linthresh=min(1.0, allowed, most[-1]))
    axes.set_ylim(0, 1.15 * max(*most, allowed))
    axes.set_xlim(levels[0], levels[-1])
    axes.set_xlabel("threshold", color=MUTED)
    axes.set_title(
        f"False alarms an hour, in {format_hours(chosen.hours)} of normal footage", loc="left", color=INK, fontsize=11
    )
    axes.grid(color=FAINT, linewidth=0.6)
    axes.tick_params(colors=MUTED, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    axes.legend(frameon=False, fontsize=9)
    with atomic_write(path, "wb") as stream:
        FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})  # type: ignore[no-untyped-call]
