"""Draw what stored hashes and lookups gain in recall, beside each other, for docs/.

It reads a report of `bench variant_plan`, or its record in benchmarks/results.

./scripts/bench variant_plot curve.json --plot docs/recall-tradeoff-2.svg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from benchmarks.harness.plots import save

_PANELS = {
    "crop_sides": "crop up to 15 % on any sides",
    "cut_side": "one side cut by 16 to 50 %",
    "ratio": "six ratios, at any place",
    "weighed": "all edits of the choice, weighed",
}
"""Titles of the panels, by the figure of a report that each plots; others are left out."""


@click.command(help=__doc__)
@click.argument("report_path", type=click.Path(exists=True, path_type=Path))
@click.option("--plot", "plot_path", required=True, type=click.Path(path_type=Path), help="SVG.")
def main(*, report_path: Path, plot_path: Path) -> None:
    """Write the plot."""
    report = json.loads(report_path.read_text("utf-8"))
    points = report.get("report", report)["points"]
    _plot([point | point["recall"] for point in points], plot_path)


def _plot(points: list[dict[str, Any]], path: Path) -> None:
    """Plot recall against stored hashes, a line for each number of lookups."""
    panels = {key: title for key, title in _PANELS.items() if key in points[0]}
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.5 * len(panels), 3.6), squeeze=False, layout="constrained"
    )
    for axis, (key, title) in zip(axes[0], panels.items(), strict=True):
        for lookups in sorted({point["lookups"] for point in points}):
            line = sorted(
                (point["stored"], point[key]) for point in points if point["lookups"] == lookups
            )
            axis.plot(
                *zip(*line, strict=True), marker="o", markersize=3, label=f"{lookups} crops x 8"
            )
        axis.set_title(title, fontsize="medium")
        axis.set_xlabel("variants stored for a picture")
        axis.grid(visible=True, alpha=0.2)
    axes[0][0].set_ylabel("found, of photographs not chosen on")
    lines = axes[0][0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside right center", title="looked up")
    save(figure, path)


if __name__ == "__main__":
    main()
