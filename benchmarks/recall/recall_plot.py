"""Print the table of recall (docs/measurements), and draw the plot of docs/.

It reads a report of `bench recall`, and the trials beside it.

./scripts/bench recall_plot recall.json --plot docs/recall-strength.svg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
import numpy as np

mpl.use("svg")

from matplotlib import pyplot as plt

from benchmarks.harness.plots import save
from benchmarks.recall.recall import interval
from benchmarks.report_tables.cells import markdown
from benchmarks.report_tables.pictures import recall

_STRENGTHS = {
    "jpeg": "JPEG quality",
    "resize": "longest side, px",
    "crop_sides": "largest cut of a side, %",
    "crop_centre": "cut off width and height, %",
    "crop_anywhere": "cut off an axis, %",
    "letterbox": "bars, % of height",
    "story": "inset, % of width",
    "meme_header": "header, % of height",
    "rotation": "degrees",
    "opaque_sticker": "sticker, % of area",
    "blurred_part": "blurred part, % of area",
}
"""Edits that are plotted, with the unit of their strength."""

_BINS = 5
_SIZES_PX = (200, 500, 1000, 2000)
_COLUMNS = 4


@click.command(help=__doc__)
@click.argument("report_path", type=click.Path(exists=True, path_type=Path))
@click.option("--plot", "plot_path", required=True, type=click.Path(path_type=Path), help="SVG.")
def main(*, report_path: Path, plot_path: Path) -> None:
    """Print the table, write the plot."""
    report = json.loads(report_path.read_text("utf-8"))
    click.echo(markdown(recall(report)), nl=False)
    trials = report_path.with_suffix(".trials.jsonl").read_text("utf-8").splitlines()[1:]
    _plot([json.loads(line) for line in trials], plot_path)


def _plot(trials: list[dict[str, Any]], path: Path) -> None:
    """Plot recall by strength, in bins of equally many trials, with 95 % intervals."""
    edits = {
        name: label
        for name, label in _STRENGTHS.items()
        if any(trial["edit"] == name for trial in trials)
    }
    n_rows = -(-len(edits) // _COLUMNS)
    figure, axes = plt.subplots(
        n_rows,
        _COLUMNS,
        figsize=(11, 2.4 * n_rows),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[len(edits) :]:
        axis.axis("off")
    for axis, (name, label) in zip(axes.flat, edits.items(), strict=False):
        mine = sorted(
            (trial for trial in trials if trial["edit"] == name),
            key=lambda trial: trial["strength"],
        )
        for some, marker, colour in (("STANDARD", "o", "C0"), ("threatexchange", "s", "C1")):
            points = []
            for chunk in np.array_split(np.array(mine, object), min(_BINS, len(mine))):
                results = [(trial["photograph"], _found(trial, some)) for trial in chunk]
                low, share, high = interval(results)
                middle = float(np.median([trial["strength"] for trial in chunk]))
                points.append((middle, share, max(share - low, 0), max(high - share, 0)))
            x, y, below, above = zip(*points, strict=True)
            axis.errorbar(
                x,
                y,
                (below, above),
                marker=marker,
                color=colour,
                capsize=2,
                label=some,
                markersize=4,
            )
        axis.set_title(name, fontsize="medium")
        axis.set_xlabel(label, fontsize="small")
        axis.set_ylim(-0.03, 1.03)
        axis.grid(visible=True, alpha=0.2)
        if name == "resize":
            axis.set_xscale("log")
            axis.set_xticks(_SIZES_PX, map(str, _SIZES_PX))
            axis.minorticks_off()
    for row in axes:
        row[0].set_ylabel("found")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    save(figure, path)


def _found(trial: dict[str, Any], by: str) -> bool:
    if by == "threatexchange":
        return bool(trial["threatexchange"])
    return trial["distances"][by] is not None


if __name__ == "__main__":
    main()
