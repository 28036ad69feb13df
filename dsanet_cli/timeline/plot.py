"""The timeline as a picture: thumbnails of the peaks, the score with its events, and the class probabilities.

Drawn with matplotlib's objects on an Agg canvas: no pyplot, no global state, any number of threads.
Positions are pixels from the top left corner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.result_names import PLOT_SOFTWARE
from dsanet_cli.plot_style import BLANK, DPI, FAINT, INK, MUTED, NORMAL, PAPER
from dsanet_cli.text import format_clock
from dsanet_cli.timeline.colors import band_shades, class_colors, ink_on, tint
from dsanet_cli.timeline.facts import seen_size
from dsanet_cli.timeline.lettering import drawable, fit, fonts, text_width
from dsanet_cli.timeline.recorded import moment
from dsanet_cli.timeline.text import format_moment, format_verdict
from dsanet_cli.timeline.timeline import Event, Timeline, column_maxima

WIDTH, LEFT, RIGHT, MARGIN = 1400, 160, 84, 28
PLOT_WIDTH = WIDTH - LEFT - RIGHT
HEADER, CAPTION, CONNECTOR, FOOTER, NOTICE = 88, 22, 26, 44, 26
SCORE_LIMIT = 1.02
LANE, LANES = 22, 3
"""Height of a row of event names above the score, and how many rows there are at most."""
MAX_THUMBNAILS, THUMBNAIL_HEIGHT, GAP = 6, 140, 12
SLOT = (WIDTH - 2 * MARGIN) / MAX_THUMBNAILS
"""Thumbnails: how many, how high at most, the space between two, the least width for one with its caption."""

_STEPS: tuple[float, ...] = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
_STEPS += (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)


def save_plot(timeline: Timeline, target: Path | IO[bytes], thumbnails: Mapping[int, NDArray[np.uint8]]) -> None:
    """Draw a timeline as a PNG, 1400 pixels wide.

    Args:
        timeline: what to draw.
        target: a file to write or replace, or a binary stream.
        thumbnails: the frame at the peak of an event, (H, W, 3) RGB, by the event's index; the six highest
            are shown. Where there is no event, 0 is the frame with the highest score. Frames may be squashed:
            they are drawn in the video's own aspect ratio.

    Raises:
        OutputError: the file cannot be written.
    """
    canvas = FigureCanvasAgg(_draw(timeline, thumbnails))
    with atomic_write(target, "wb") if isinstance(target, Path) else nullcontext(target) as stream:
        canvas.print_png(stream, metadata={"Software": PLOT_SOFTWARE})  # type: ignore[no-untyped-call]


def time_ticks(duration: float) -> tuple[list[float], list[str]]:
    """Choose at most 13 round times from 0 to ``duration`` seconds, and their labels."""
    days = 86400.0 * math.ceil(duration / 86400 / 12)
    step = next((s for s in _STEPS if duration / s <= 12), days)
    decimals = max(0, math.ceil(-math.log10(step)))
    ticks = [min(i * step, duration) for i in range(math.floor(duration / step + 1e-9) + 1)]
    return ticks, [format_clock(t, decimals, hours=duration >= 3600) for t in ticks]


def spread(centers: Sequence[float], width: float, low: float, high: float) -> list[float]:
    """Move boxes of one width apart, as little as possible and in order, so that all lie in low..high.

    The least squares answer: isotonic regression of the centres less the room that earlier boxes take.
    """
    n = len(centers)
    free = [center - i * width for i, center in enumerate(centers)]
    level = [max(min(sum(free[j : k + 1]) / (k + 1 - j) for k in range(i, n)) for j in range(i + 1)) for i in range(n)]
    limits = low + width / 2, high + width / 2 - n * width
    return [min(max(x, limits[0]), limits[1]) + i * width for i, x in enumerate(level)]


@dataclass(frozen=True)
class _Name:
    """An event's name above the score: its text, where its middle is, and in which row from below."""

    event: Event
    text: str
    x: float
    lane: int


@dataclass(frozen=True)
class _Shot:
    """A frame of the video: the peak of an event, or where there is none of the whole video."""

    frame: NDArray[np.uint8]
    label: str
    color: str
    time: float
    score: float


@dataclass(frozen=True)
class _Page:
    """A picture under construction. ``sheet`` spans all of it in pixels, above the plots."""

    timeline: Timeline
    figure: Figure
    sheet: Axes
    colors: dict[str, str]
    duration: float
    score_top: float
    score_height: float
    bands_top: float
    band: float

    def x(self, seconds: float) -> float:
        return _x(seconds, self.duration)

    def y(self, score: float) -> float:
        return self.score_top + self.score_height * (1 - score / SCORE_LIMIT)

    def plot(self, top: float, height: float) -> Axes:
        bottom = self.sheet.get_ylim()[0]
        box = (LEFT / WIDTH, 1 - (top + height) / bottom, PLOT_WIDTH / WIDTH, height / bottom)
        axes = self.figure.add_axes(box, xlim=(0, self.duration), autoscale_on=False, facecolor=PAPER)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(NORMAL)
        axes.tick_params(colors=MUTED, labelsize=8.5, labelfontfamily=fonts()[0], length=3)
        return axes

    def text(self, x: float, y: float, text: str, size: float = 9, color: str = INK, **style: Any) -> None:
        usual: dict[str, Any] = {"va": "center_baseline", "family": fonts()[0], "parse_math": False}
        self.sheet.text(x, y, drawable(text), size=size, color=color, **(usual | style))

    def line(self, x: Sequence[float], y: Sequence[float], color: str, width: float, **style: Any) -> None:
        self.sheet.plot(x, y, color=color, linewidth=width, **style)

    def spans(
        self, spans: Sequence[tuple[float, float]], top: float, height: float, least: float, **style: Any
    ) -> None:
        """Bars from second to second, each at least ``least`` pixels wide."""
        bars = [(self.x(start), max(self.x(end) - self.x(start), least)) for start, end in spans]
        self.sheet.broken_barh(bars, (top, height), linewidth=0, **style)


def _x(seconds: float, duration: float) -> float:
    return LEFT + PLOT_WIDTH * min(max(seconds / duration, 0.0), 1.0)


def _draw(timeline: Timeline, thumbnails: Mapping[int, NDArray[np.uint8]]) -> Figure:
    classes = timeline.class_names
    duration = max(timeline.video.duration, float(timeline.ends[-1]), 1e-3)
    colors = dict(zip(classes, class_colors(len(classes)), strict=True))
    shots = _shots(timeline, colors, thumbnails)
    size = _thumbnail_size(timeline, [shot.frame for shot in shots])
    names = _place_names(timeline.events, duration)
    band, score_height = (30, 290) if len(classes) <= 6 else (17, 230)
    score_top: float = HEADER + LANE * (1 + max((n.lane for n in names), default=-1)) + 12
    if shots:
        score_top += CAPTION + size[1] + CONNECTOR
    bands_top = score_top + score_height + 42
    height = math.ceil(bands_top + band * len(classes) + FOOTER)
    notice = timeline.model.demonstration
    if notice is not None:
        height += NOTICE

    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    sheet = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0), autoscale_on=False, zorder=5)
    sheet.set_axis_off()
    page = _Page(timeline, figure, sheet, colors, duration, score_top, score_height, bands_top, band)
    _draw_header(page)
    _draw_score(page)
    _draw_events(page, names)
    _draw_thumbnails(page, size, shots)
    _draw_bands(page)
    if notice is not None:
        page.text(MARGIN, height - NOTICE, fit(notice, WIDTH - 2 * MARGIN, 10), 10, MUTED)
    return figure


def _shots(timeline: Timeline, colors: Mapping[str, str], thumbnails: Mapping[int, NDArray[np.uint8]]) -> list[_Shot]:
    """The frames to show, in order of time."""
    events = timeline.events
    if not events and 0 in thumbnails:
        top = int(timeline.scores.argmax())
        time = float(timeline.starts[top] + timeline.ends[top]) / 2
        return [_Shot(thumbnails[0], "highest score", MUTED, time, float(timeline.scores[top]))]
    there = [i for i in range(len(events)) if i in thumbnails]
    highest = sorted(sorted(there, key=lambda i: -events[i].peak_score)[:MAX_THUMBNAILS])
    return [
        _Shot(thumbnails[i], e.label, colors[e.label], e.peak_time, e.peak_score)
        for i, e in ((i, events[i]) for i in highest)
    ]


def _thumbnail_size(timeline: Timeline, frames: Sequence[NDArray[np.uint8]]) -> tuple[float, float]:
    """(width, height) of the thumbnails, in the aspect ratio of what was looked at of the video."""
    if not frames:
        return 0.0, 0.0
    high, wide = seen_size(timeline.video, timeline.sampling) or frames[0].shape[:2]
    aspect = wide / high
    width = min(THUMBNAIL_HEIGHT * aspect, (WIDTH - 2 * MARGIN) / len(frames) - GAP)
    return width, width / aspect


def _place_names(events: Sequence[Event], duration: float) -> list[_Name]:
    """Name the highest peaks first, as low as there is room; where there is none, only the colour tells."""
    labels = {label: fit(label, 200, 9, "bold") for label in {e.label for e in events}}
    halves = {label: text_width(text, 9, "bold") / 2 + 8 for label, text in labels.items()}
    taken: list[list[tuple[float, float]]] = [[] for _ in range(LANES)]
    names = []
    for event in sorted(events, key=lambda e: -e.peak_score):
        half = halves[event.label]
        x = min(max(_x((event.start + event.end) / 2, duration), LEFT + half), WIDTH - RIGHT - half)
        free = (n for n, row in enumerate(taken) if all(x + half <= a or x - half >= b for a, b in row))
        if (lane := next(free, None)) is not None:
            taken[lane].append((x - half, x + half))
            names.append(_Name(event, labels[event.label], x, lane))
    return names


def _draw_header(page: _Page) -> None:
    video, verdict, coverage = page.timeline.video, page.timeline.verdict, page.timeline.coverage
    facts = [f"{video.recorded.start:%Y-%m-%d %H:%M:%S}"] if video.recorded else []
    facts += [format_clock(video.duration, 1 if video.duration < 60 else 0)]
    facts += [f"{video.width} × {video.height}"] if video.width and video.height else []
    facts += [f"{float(video.fps):.4g} fps"] if video.fps else []
    facts += [video.codec] if video.codec else []
    made = [f"model {page.timeline.model.name}"]
    made += [f"{coverage.analysed:.1%} analysed"] if coverage.analysed < 0.9995 else []
    for y, line in ((30, facts), (62, made)):
        page.text(WIDTH - MARGIN, y, fit(" · ".join(line), 420, 9.5), 9.5, MUTED, ha="right")

    page.text(MARGIN, 30, fit(video.name, WIDTH - 2 * MARGIN - 440, 15, "bold"), 15, weight="bold")
    color = page.colors[verdict.label]
    label = fit(verdict.label, 260, 11, "bold")
    chip = {"boxstyle": "round,pad=0.4,rounding_size=0.5", "facecolor": color, "edgecolor": "none"}
    page.text(MARGIN + 7, 62, label, 11, ink_on(color), weight="bold", bbox=chip)
    page.text(MARGIN + 28 + text_width(label, 11, "bold"), 62, format_verdict(page.timeline), 11)


def _draw_score(page: _Page) -> None:
    timeline = page.timeline
    columns = np.linspace(0, page.duration, PLOT_WIDTH + 1)
    scores = column_maxima(timeline.starts, timeline.ends, timeline.scores[:, None], columns)[:, 0]
    axes = page.plot(page.score_top, page.score_height)
    axes.set_ylim(0, SCORE_LIMIT)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.set_xticks(time_ticks(page.duration)[0], labels=[])
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    # Not axes.stairs: it looks at every point once more to find the limits, which are set above.
    axes.add_artist(StepPatch(scores, columns, fill=True, color=NORMAL, alpha=0.18, linewidth=0))
    width = 1.4 if len(timeline.scores) < 500 else 1
    axes.add_artist(
        StepPatch(scores, columns, baseline=None, fill=False, edgecolor=INK, linewidth=width)  # type: ignore[arg-type]
    )
    middle = page.score_top + page.score_height / 2
    page.text(LEFT - 52, middle, "anomaly score", 9.5, rotation=90, ha="center", va="center")
    right, y = WIDTH - RIGHT, page.y(timeline.rule.threshold)
    page.line([LEFT, right], [y, y], INK, 1, dashes=(5, 4), alpha=0.75)
    page.text(right + 8, y - 7, "threshold", 8.5, MUTED)
    page.text(right + 8, y + 7, f"{timeline.rule.threshold:.2f}", 8.5, MUTED)


def _draw_events(page: _Page, names: Sequence[_Name]) -> None:
    events, top = page.timeline.events, page.score_top
    colors = [page.colors[e.label] for e in events]
    spans = [(e.start, e.end) for e in events]
    page.spans(spans, top, page.score_height, 1, facecolor=colors, alpha=0.2, zorder=0)
    page.spans(spans, top - 5, 6, 3, facecolor=colors)
    for name in names:
        color, y = page.colors[name.event.label], top - 18 - LANE * name.lane
        middle = page.x((name.event.start + name.event.end) / 2)
        if name.lane or name.x != middle:
            page.line([name.x, middle], [y, top - 5], color, 1, zorder=1.5)
        chip = {"boxstyle": "round,pad=0.25,rounding_size=0.4", "facecolor": tint(color, 0.25)}
        chip |= {"edgecolor": PAPER}
        page.text(name.x, y, name.text, 9, weight="bold", ha="center", bbox=chip)


def _draw_thumbnails(page: _Page, size: tuple[float, float], shots: Sequence[_Shot]) -> None:
    top, bottom, slot = HEADER + CAPTION, HEADER + CAPTION + size[1], max(size[0] + GAP, SLOT)
    peaks = [page.x(shot.time) for shot in shots]
    middles = spread(peaks, slot, MARGIN - GAP / 2, WIDTH - MARGIN + GAP / 2)
    for x, peak, shot in zip(middles, peaks, shots, strict=True):
        color, left, right = shot.color, x - size[0] / 2, x + size[0] / 2
        box = (left, right, bottom, top)
        page.sheet.imshow(shot.frame, extent=box, aspect="auto", origin="upper", interpolation="hanning", zorder=3)
        edges = [left, right, right, left, left], [top, top, bottom, bottom, top]
        page.line(*edges, color, 2, zorder=4, solid_joinstyle="miter")
        facts = f"  {shot.score:.2f} · {format_moment(shot.time, page.timeline)}"
        label = fit(shot.label, slot - GAP - text_width(facts, 9), 9, "bold")
        start = x - (text_width(label, 9, "bold") + text_width(facts, 9)) / 2
        page.text(start, top - 11, label, 9, weight="bold")
        page.text(start + text_width(label, 9, "bold"), top - 11, facts, 9)

        y = page.y(shot.score)
        page.line([x, x, peak, peak], [bottom, bottom + 5, bottom + CONNECTOR - 4, y], color, 1.2, zorder=1)
        page.line([peak], [y], color, 0, marker="o", markersize=6, markeredgecolor=PAPER, zorder=4)


def _draw_bands(page: _Page) -> None:
    timeline = page.timeline
    columns = np.linspace(0, page.duration, PLOT_WIDTH + 1)
    order = [*range(1, len(timeline.class_names)), 0]  # the normal class last
    shares = column_maxima(timeline.starts, timeline.ends, timeline.probabilities, columns).T[order]
    names = [timeline.class_names[i] for i in order]
    inks = np.array([to_rgb(page.colors[name]) for name in names])[:, None, :]  # (C, 1, 3)
    shades, low, high = band_shades(shares)
    alpha = shades[:, :, None]  # (C, M, 1)
    picture = inks * alpha + np.array(to_rgb(BLANK)) * (1 - alpha)  # (C, M, 3)

    top, height = page.bands_top, page.band * len(names)
    axes = page.plot(top, height)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names), 0)
    axes.set_yticks([])
    ticks, labels = time_ticks(page.duration)
    if (recorded := timeline.video.recorded) is not None:
        labels = [f"{label}\n{moment(recorded, at):%H:%M:%S}" for at, label in zip(ticks, labels, strict=True)]
    axes.set_xticks(ticks, labels)
    box = (0, page.duration, len(names), 0)
    axes.imshow(picture, extent=box, aspect="auto", origin="upper", interpolation="nearest")
    axes.hlines(range(len(names)), 0, page.duration, color=PAPER, linewidth=2.5)
    right = WIDTH - RIGHT
    page.text(LEFT, top - 13, "class probability", 9.5)
    told = f"pale is {low:.2f}, full colour {high:.2f}"
    page.text(LEFT + text_width("class probability", 9.5) + 14, top - 13, told, 8.5, MUTED)
    page.text(right + 8, top - 13, "highest", 8.5, MUTED)
    for row, name in enumerate(names):
        y = top + (row + 0.5) * page.band
        page.text(LEFT - 24, y, fit(name, LEFT - 24 - MARGIN, 9), 9, ha="right")
        page.sheet.broken_barh([(LEFT - 17, 10)], (y - 5, 10), facecolor=page.colors[name], linewidth=0)
        page.text(right + 8, y, f"{timeline.probabilities[:, order[row]].max():.2f}", 8.5, MUTED)
    for start, tall in ((page.score_top, page.score_height), (top, height)):
        page.spans(timeline.coverage.holes, start, tall, 1, facecolor=BLANK, edgecolor=FAINT, hatch="////")
