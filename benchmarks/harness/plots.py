"""Plots of docs/: drawn as SVG, the same file from the same figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, without its date and with the same ids each time."""
    with mpl.rc_context({"svg.hashsalt": "disrupt"}):
        figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
