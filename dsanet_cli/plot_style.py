"""Colours and resolution of every picture that is drawn."""

DPI = 100
INK, MUTED, FAINT, BLANK, PAPER = "#1f2328", "#656d76", "#d9dde2", "#f1f3f5", "#ffffff"
NORMAL = "#8c959f"
OKABE_ITO = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
"""Okabe and Ito's colour-blind safe palette, ordered so that few classes stand well apart on white."""
CLASS_COLORS: tuple[str, ...] = ("#d55e00", "#0072b2", "#009e73", "#f069ff", "#f0d200", "#4be1f0", "#5a000f")
CLASS_COLORS += ("#1e0f78", "#e10f4b", "#e1d296", "#960069", "#1e5aff", "#0000ff")
"""Thirteen classes beside the normal one: Okabe and Ito's first three, and those that stand furthest apart from them
and each other in CIELAB, as seen with and without red-green colour blindness, light ones against dark ones."""
DARK = {"ink": "#e6e8eb", "muted": "#9aa3ad", "faint": "#31373d", "blank": "#24292e", "paper": "#1b1f23"}
DARK |= {"normal": "#8c959f", "ground": "#14171a", "edge": "#464d55", "link": "#56b4e9", "head": "#e69f00"}
"""Colours of pages on dark ground, by their names in the style sheet."""
