"""Colours and resolution of every picture that is drawn."""

DPI = 100
INK, MUTED, FAINT, BLANK, PAPER = "#1f2328", "#656d76", "#d9dde2", "#f1f3f5", "#ffffff"
NORMAL = "#8c959f"
OKABE_ITO = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
"""Okabe and Ito's colour-blind safe palette, ordered so that few classes stand well apart on white."""
