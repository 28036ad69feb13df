"""Text of any language in a picture: fonts that have its characters, and how wide it gets."""

from __future__ import annotations

import functools
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import RendererAgg

from dsanet_cli.plot_style import DPI

_FAMILIES: tuple[str, ...] = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC")
_FAMILIES += ("Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "WenQuanYi Micro Hei", "Arial Unicode MS")
"""matplotlib brings the first; the others are used for what it lacks, where they are installed."""


def drawable(text: str) -> str:
    """Replace what no font here can draw with a box, so that any file name can be a title."""
    known = fonts()[1]
    return "".join(c if c.isprintable() and ord(c) in known else "\N{WHITE SQUARE}" for c in text)


@functools.cache
def fonts() -> tuple[list[str], frozenset[int]]:
    """Font families, and the characters that they can draw in regular and in bold."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    families = [name for name in _FAMILIES if name in installed]
    known: set[int] = set()
    for family in families:
        styles = (font_manager.FontProperties(family=family, weight=weight) for weight in ("normal", "bold"))
        known |= set.intersection(
            *(set(font_manager.get_font(font_manager.findfont(style)).get_charmap()) for style in styles)
        )
    return families, frozenset(known)


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """How many pixels wide a text of ``size`` points is."""
    style = font_manager.FontProperties(family=fonts()[0], size=size, weight=weight)
    measure: Any = RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]
    return float(measure.get_text_width_height_descent(drawable(text), style, ismath=False)[0])


def fit(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Cut the middle out of a text that is wider than ``width`` pixels."""
    short, keep = text, len(text) - 1
    while keep > 0 and text_width(short, size, weight) > width:
        short, keep = f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}", keep - 1
    return short
