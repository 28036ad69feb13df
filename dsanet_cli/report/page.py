"""Writes the pages: one self-contained HTML file each, which asks nothing of any server."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dsanet_cli.names import printable
from dsanet_cli.plot_style import BLANK, DARK, FAINT, INK, MUTED, NORMAL, PAPER
from dsanet_cli.report.view import PageData, Paint, headline, missed, paints, plain, settings
from dsanet_cli.timeline.text import format_moment, format_verdict
from dsanet_cli.timeline.timeline import Timeline

HERE = Path(__file__).parent
PAGE_SCRIPTS = ("common.js", "rule.js", "review.js", "player.js", "chart.js", "items.js", "page.js")
INDEX_SCRIPTS = ("common.js", "index.js")
LIGHT = {"ink": INK, "muted": MUTED, "faint": FAINT, "blank": BLANK, "paper": PAPER, "normal": NORMAL}
LIGHT |= {"ground": PAPER, "edge": "#c4cad1", "link": "#0072b2", "head": "#d55e00"}
"""Colours of a page by their names in its style sheet."""


def render_page(timeline: Timeline, data: PageData, index: str | None) -> str:
    """The page of one video as HTML.

    Args:
        timeline: What it shows.
        data: The same as its script takes it.
        index: URL of the index relative to the page, where there is one.
    """
    video, verdict = timeline.video, timeline.verdict
    analysed = timeline.coverage.analysed
    holes = [
        {"start": hole.start, "words": f"{format_moment(hole.start, timeline)} to {format_moment(hole.end, timeline)}"}
        for hole in data.holes
    ]
    shape = f".shape{{aspect-ratio:{data.width}/{data.height}}}"
    return render(
        "page.html",
        PAGE_SCRIPTS,
        paints(len(data.classes)),
        shape,
        program=data.program,
        title=data.name,
        verdict_class=data.classes.index(verdict.label),
        verdict_label=verdict.label,
        verdict_line=format_verdict(timeline),
        headline=headline(timeline),
        model=timeline.model.name,
        share=f"{analysed:.1%}" if analysed < 0.9995 else "",
        demonstration=timeline.model.demonstration,
        duration=round(data.duration, 3),
        missed=[printable(line) for line in missed(timeline)],
        holes=holes,
        settings=settings(timeline),
        index=index,
        video=video,
        data=plain(data),
    )


def render(template: str, scripts: Sequence[str], colors: Sequence[Paint], style: str, **values: Any) -> str:
    """A page as HTML, with the style and the script in it; all values are escaped.

    Args:
        template: Name of its file.
        scripts: Names of the files that make up its script.
        colors: Of classes ``k0`` and up.
        style: What it has beside the common style sheet.
        values: What the template shows.
    """
    style = _palette(colors) + read_part("page.css") + style
    script = '(() => {\n"use strict";\n' + "\n".join(map(read_part, scripts)) + "\n})();"
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "media-src file: blob: 'self'; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(policy=policy, style=Markup(style), script=Markup(script), **values)
    )


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(HERE / "templates", encoding="utf-8")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@cache
def read_part(name: str) -> str:
    """A file of the page as it lies in the package."""
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """By which the page allows its own script and style, and no others."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _palette(colors: Sequence[Paint]) -> str:
    """The colours as variables, those of classes as ``--k0`` and up, for light and for dark ground."""
    light = LIGHT | {f"k{at}": paint.light for at, paint in enumerate(colors)}
    light |= {f"k{at}-ink": paint.light_ink for at, paint in enumerate(colors)}
    dark = DARK | {f"k{at}": paint.dark for at, paint in enumerate(colors)}
    dark |= {f"k{at}-ink": paint.dark_ink for at, paint in enumerate(colors)}
    kinds = "".join(f".k{at}{{--k:var(--k{at});--ki:var(--k{at}-ink)}}" for at in range(len(colors)))
    return f":root{{{_variables(light)}}}@media(prefers-color-scheme:dark){{:root{{{_variables(dark)}}}}}{kinds}\n"


def _variables(colors: dict[str, str]) -> str:
    return "".join(f"--{name}:{color};" for name, color in colors.items())
