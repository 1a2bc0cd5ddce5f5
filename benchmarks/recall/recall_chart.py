"""Draw the chart of docs/recall.md from a report of ``bench recall``: recall by group of edits.

./scripts/bench recall_chart recall.json docs/recall-groups.svg
"""

from __future__ import annotations

import json
from pathlib import Path

import click

_LEFT, _WIDE, _ROW = 170, 500, 22


@click.command(help=__doc__)
@click.argument("report_path", type=click.Path(exists=True, path_type=Path))
@click.argument("chart_path", type=click.Path(path_type=Path))
def main(*, report_path: Path, chart_path: Path) -> None:
    """Draw a bar for each group at STANDARD, its interval, and python-threatexchange's recall."""
    report = json.loads(report_path.read_text("utf-8"))
    rows = [row for row in report["figures"]["groups"] if row["effort"] == "STANDARD"]
    tall = _ROW * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDE + 60} {tall}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _LEFT + share * _WIDE
        parts.append(f'<path d="M{x} 4V{tall - _ROW}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{tall - 6}" text-anchor="middle">{share:.0%}</text>')
    for at, row in enumerate(rows):
        y = _ROW * at + 8
        low, high = (_LEFT + row[name] * _WIDE for name in ("low", "high"))
        bar, peer = row["recall"] * _WIDE, row["threatexchange"] * _WIDE
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{row["edit"]}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{bar}" height="9" fill="#4477aa"/>',
            f'<rect x="{_LEFT}" y="{y + 10}" width="{peer}" height="5" fill="#ee8866"/>',
            f'<path d="M{low} {y + 4.5}H{high}" stroke="#222" stroke-width="1.5"/>',
        ]
    chart_path.write_text("\n".join([*parts, "</svg>"]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
