"""Print the table of a record of searches (docs/measurements), and draw the plot of docs/.

It reads the reports of `bench search`.

./scripts/bench search_plot 1m.json 10m.json --plot docs/performance-search.svg
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
from benchmarks.report_tables.cells import markdown
from benchmarks.report_tables.speed import search
from benchmarks.speed.search_engines import SETTINGS

_MARKERS = dict(zip(SETTINGS, "os^vD", strict=True))
_LEGEND_BELOW = -0.02


@click.command(help=__doc__)
@click.argument("reports", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--plot", "plot_path", required=True, type=click.Path(path_type=Path), help="SVG.")
def main(reports: tuple[Path, ...], plot_path: Path) -> None:
    """Print the table, write the plot."""
    rows = [row for path in reports for row in json.loads(path.read_text("utf-8"))["rows"]]
    click.echo(markdown(search({"rows": rows})), nl=False)
    _plot(rows, plot_path)


def _plot(rows: list[dict[str, Any]], path: Path) -> None:
    distributions = list(dict.fromkeys(row["distribution"] for row in rows))
    figure, axes = plt.subplots(
        1,
        len(distributions),
        figsize=(9, 4),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, distribution in zip(axes[0], distributions, strict=True):
        for engine, marker in _MARKERS.items():
            points = sorted(
                (row["size"], 1e6 / row["lookups_per_s"])
                for row in rows
                if (row["engine"], row["distribution"]) == (engine, distribution)
            )
            if points:
                axis.loglog(*zip(*points, strict=True), marker=marker, label=engine)
        axis.set_title(f"{distribution} hashes")
        axis.set_xlabel("hashes searched in")
        axis.grid(visible=True, which="both", alpha=0.2)
    axes[0][0].set_ylabel("µs a lookup, one thread, within 31 bits")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=3, bbox_to_anchor=(0.5, _LEGEND_BELOW))
    save(figure, path)


if __name__ == "__main__":
    main()
