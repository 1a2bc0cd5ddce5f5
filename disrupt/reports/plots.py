"""Draw the figures of months, as SVG that shades of grey suffice for."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, MaxNLocator

from disrupt.reports.disclosure import SMALL, Figure

_INK = "#1a1a1a"
_FILL = "#5b6770"
_MOST_NAMES = 14
"""Months whose names fit under the bars; of more, each second, third and so on is named."""


def months(names: Sequence[str], figures: Sequence[Figure], thousands: str) -> bytes:
    """Return a bar of each month as SVG; small counts are hatched, at half of their largest."""
    with mpl.rc_context(
        {
            "font.family": "DejaVu Sans",
            "font.size": 8,
            "svg.fonttype": "path",  # shown alike wherever it is opened; the words are in the page
            "svg.hashsalt": "disrupt",  # the same figures give the same bytes
            "axes.edgecolor": _INK,
            "text.color": _INK,
        }
    ):
        drawing = Drawing(figsize=(4.6, 2.4), layout="constrained")
        axes = drawing.add_subplot()
        bars = axes.bar(range(len(names)), [figure.nearest for figure in figures], color=_FILL)
        for bar, figure in zip(bars, figures, strict=True):
            if figure.is_small:
                bar.set(facecolor="white", edgecolor=_FILL, hatch="/////")
        every = -(-len(names) // _MOST_NAMES)
        axes.set_xticks(range(0, len(names), every), names[::every], rotation=45, ha="right")
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:,.0f}".replace(",", thousands))
        )
        axes.set_ylim(0, max(SMALL, axes.get_ylim()[1]))
        axes.grid(axis="y", color="#d0d0d0", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        svg = io.BytesIO()
        drawing.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()
