"""Write the tables of docs/ that are made of reports under benchmarks/results/.

A table follows its marker, `<!-- table: NAME REPORT -->`. NAME is a function of report_tables/,
REPORT the stem of a file: what a benchmark wrote with --json, as "report", with the facts of its
record of the same name in docs/measurements/.

./scripts/tables writes them, ./scripts/tables --check fails if one is not as its report says.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.report_tables import browsers, faults, pictures, speed, videos
from benchmarks.report_tables.cells import Cells, markdown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_TABLE = re.compile(r"^(<!-- table: (\w+) (\S+) -->\n)((?:\|.*\n)*)", re.MULTILINE)

TABLES: dict[str, Callable[[dict[str, Any]], Iterator[Cells]]] = {
    name: function
    for module in (speed, pictures, videos, browsers, faults)
    for name, function in vars(module).items()
    if getattr(function, "__module__", None) == module.__name__ and not name.startswith("_")
}


def tables_of(text: str) -> list[tuple[str, str]]:
    """Return the name and the report of each marker in a page."""
    return [(name, report) for _, name, report, _ in _TABLE.findall(text)]


def written(text: str, results: Path = RESULTS) -> str:
    """Return a page with each marked table made anew."""

    def made(match: re.Match[str]) -> str:
        marker, name, report, _ = match.groups()
        read = json.loads((results / f"{report}.json").read_text("utf-8"))["report"]
        return marker + markdown(TABLES[name](read))

    return _TABLE.sub(made, text)


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; fail if a table is not fresh.")
def main(*, check: bool) -> None:
    """Write the tables, or compare them."""
    stale = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text("utf-8")
        fresh = written(text)
        if fresh != text:
            stale.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(fresh, "utf-8")
    for name in stale:
        click.echo(f"{name}: {'not fresh; run scripts/tables' if check else 'written'}", err=True)
    sys.exit(check and bool(stale))


if __name__ == "__main__":
    main()
