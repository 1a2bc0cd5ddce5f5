"""Draw the chart of docs/performance.md from reports of ``bench search``: µs a lookup by hashes.

./scripts/bench search_chart 1m.json 10m.json docs/performance-search.svg
"""

from __future__ import annotations

import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from benchmarks.speed.search_engines import SETTINGS

_SIDE, _LEFT, _GAP = 260, 60, 60
_COLOURS = ("#4477aa", "#ee8866", "#aa3377", "#228833", "#bbaa00")


def _rows_of(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["figures"]["rows"]
    return rows


@click.command(help=__doc__)
@click.argument(
    "report_paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.argument("chart_path", type=click.Path(path_type=Path))
def main(*, report_paths: tuple[Path, ...], chart_path: Path) -> None:
    """Draw medians on two logarithmic axes: uniform hashes on the left, real ones on the right."""
    rows = [row for path in report_paths for row in _rows_of(path)]
    least, most = (math.log10(choose(row["size"] for row in rows)) for choose in (min, max))
    top = math.ceil(math.log10(max(row["p50_us"] for row in rows)))
    wide, tall = _LEFT + 2 * (_SIDE + _GAP), _SIDE + 60 + 18 * len(SETTINGS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}">',
        "<style>text { font: 12px sans-serif } path, polyline { fill: none }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]

    def place(row: dict[str, Any], left: float) -> tuple[float, float]:
        across = (math.log10(row["size"]) - least) / max(most - least, 1) * (_SIDE - 20)
        return left + 10 + across, 20 + _SIDE * (1 - math.log10(row["p50_us"]) / top)

    for panel, distribution in enumerate(("uniform", "real")):
        left = _LEFT + panel * (_SIDE + _GAP)
        parts.append(f'<text x="{left}" y="14">{distribution} hashes, median µs a lookup</text>')
        for power in range(top + 1):
            y = 20 + _SIDE * (1 - power / top)
            parts.append(f'<path d="M{left} {y}h{_SIDE}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 4}" y="{y + 4}" text-anchor="end">{10**power}</text>')
        some = [row for row in rows if row["distribution"] == distribution]
        for size, row in {row["size"]: row for row in some}.items():
            x, _ = place(row, left)
            label = f"{size / 1e6:g} M"
            parts.append(f'<text x="{x}" y="{_SIDE + 36}" text-anchor="middle">{label}</text>')
        some.sort(key=lambda row: (row["engine"], row["size"]))
        for engine, of_engine in groupby(some, key=lambda row: str(row["engine"])):
            colour = _COLOURS[list(SETTINGS).index(engine)]
            places = [place(row, left) for row in of_engine]
            line = " ".join(f"{x},{y}" for x, y in places)
            parts.append(f'<polyline points="{line}" stroke="{colour}" stroke-width="2"/>')
            parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    for at, engine in enumerate(SETTINGS):
        y = _SIDE + 56 + 18 * at
        parts.append(f'<path d="M{_LEFT} {y}h24" stroke="{_COLOURS[at]}" stroke-width="2"/>')
        parts.append(f'<text x="{_LEFT + 32}" y="{y + 4}">{engine}</text>')
    chart_path.write_text("\n".join([*parts, "</svg>"]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
