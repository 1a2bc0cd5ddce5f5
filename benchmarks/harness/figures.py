"""Write docs/reference/figures.md, and tables in other pages, from benchmarks/results/.

A page has a table between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``; what is
between them is replaced. With --check compare only; the exit code is 1 if a page is stale.

    ./scripts/figures --check
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import click

from benchmarks.harness.report import FIELDS, RESULTS, SCHEMA, table
from benchmarks.recall.promises import EXAMPLES, PROMISES

DOCS = Path(__file__).parents[2] / "docs"

Record = Mapping[str, Any]
Records = Mapping[str, Record]

_MARKED = re.compile(r"(<!-- figures: ([\w -]+) -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)
_COLUMNS = 100
_MOST_ROWS = 20  # a longer table is one to compute with, or stands in the page of its subject
_EFFORTS = ("FAST", "STANDARD", "THOROUGH")


def records(folder: Path = RESULTS) -> dict[str, Record]:
    """Load the newest report of each benchmark. Raises ValueError for one of another schema."""
    loaded = {}
    for path in sorted(folder.glob("*.json")):
        report = json.loads(path.read_text("utf-8"))
        if report.get("schema") != SCHEMA or set(report) != set(FIELDS):
            raise ValueError(f"{path.name} is not a report of schema {SCHEMA}.")
        loaded[path.stem] = report
    return loaded


def recall_and_promises(of: Records) -> str:
    """Return recall of each group of copies, and what is promised of it.

    Of several runs' rows of a group, those of the most photographs are shown.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for record in of.values():
        if record["benchmark"] != "recall":
            continue
        for row in (row for part in ("groups", "edits") for row in record["figures"].get(part, ())):
            key = row["edit"], row["effort"]
            if key not in rows or rows[key]["photographs"] < row["photographs"]:
                rows[key] = row
    return table([_promised(group, rows) for group in EXAMPLES if (group, "STANDARD") in rows])


def _promised(group: str, rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, Any]:
    fast, standard, thorough = (rows[group, effort] for effort in _EFFORTS)
    return {
        "group": group,
        "examples": EXAMPLES[group],
        "copies": standard["trials"],
        "STANDARD": _percent(standard["recall"]),
        "95 % interval": f"{100 * standard['low']:.0f}-{_percent(standard['high'])}",
        "promised": _percent(PROMISES["STANDARD"].get(group)),
        "THOROUGH": _percent(thorough["recall"]),
        "promised of THOROUGH": _percent(PROMISES["THOROUGH"].get(group)),
        "FAST": _percent(fast["recall"]),
        "threatexchange": _percent(standard["threatexchange"]),
    }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.0f} %"


def alike(of: Records) -> str:
    """Return what pictures of one kind matched by, and the kinds of which none did."""
    rows = of["alike"]["figures"]["rows"]
    matched = [row for row in rows if row["matched"]]
    none = "; ".join(row["kind"] for row in rows if not row["matched"])
    return f"{table([_matches(row) for row in matched])}\n\n{_wrapped(f'None matched of: {none}.')}"


def _matches(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": row["kind"],
        "matched": f"{row['matched']} of {row['looked_up']}",
        "as whole": row["whole"],
        "as part": row["part"],
        "shares, ‰": f"{row['query_permille']:.0f}, {row['stored_permille']:.0f}",
        "bits": row["nearest_bits"],
    }


def searches(of: Records) -> str:
    """Return what a lookup takes in each engine, by the hashes it searches."""
    rows: list[dict[str, Any]] = []
    for name in ("search", "search-10m"):
        measured = of[name]["figures"]["rows"]
        ours = {row["distribution"]: row for row in measured if row["engine"] == "disrupt"}
        rows += [_search(row, ours[row["distribution"]]) for row in measured]
    return table(rows)


def _search(row: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hashes": row["size"],
        "of": row["distribution"],
        "engine": row["engine"],
        "lookups/s": round(row["lookups_per_s"]),
        "slower by": f"{ours['lookups_per_s'] / row['lookups_per_s']:.1f}",
        "p50 µs": row["p50_us"],
        "p99 µs": row["p99_us"],
        "recall": row["recall"],
        "build CPU s": row["build_cpu_s"],
        "PSS MB": round(row["pss_mb"]),
    }


def all_records(of: Records) -> str:
    """Return a section for each record: what, when, by which command, its tables."""
    return "\n\n".join(_section(name, record) for name, record in of.items())


def _section(name: str, record: Record) -> str:
    day = date.fromisoformat(record["date"])
    measured = (
        f"Measured at {record['commit']} on {day.day} {day:%B %Y}, on"
        f" {record['machine']['cores']} cores ({record['machine']['os'].partition('-')[0]}), by"
    )
    parts = [
        f"## {name}",
        _wrapped(record["what"]),
        measured,
        f"    {_shortened(record['command'])}",
    ]
    for title, rows in record["figures"].items():
        if len(record["figures"]) > 1:
            parts.append(f"### {name}: {title.replace('_', ' ')}")
        if len(rows) > _MOST_ROWS:
            parts.append(f"{len(rows)} rows in `benchmarks/results/{name}.json`.")
        else:
            parts.append(table(rows))
    parts.append(_wrapped(f"**What it cannot show:** {record['cannot_show']}"))
    return "\n\n".join(parts)


def _shortened(command: str) -> str:
    """Return a command with one of a run of the same option; the record has it whole."""
    return re.sub(r"( (--[\w-]+) \S+)(?: \2 \S+){3,}", r"\1 \2 …", command)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _COLUMNS, break_long_words=False, break_on_hyphens=False)


TABLES: dict[str, Callable[[Records], str]] = {
    "alike": alike,
    "all": all_records,
    "recall and promises": recall_and_promises,
    "searches": searches,
}
"""Functions that write the text between two markers, by the name in the markers."""


def filled(text: str, of: Records) -> str:
    """Return a page with its marked parts written anew. Raises KeyError for an unknown name."""
    return _MARKED.sub(lambda part: f"{part[1]}\n{TABLES[part[2]](of)}\n\n{part[4]}", text)


def stale(docs: Path = DOCS, of: Records | None = None) -> dict[Path, str]:
    """Return the pages that are not as they would be written, and their texts."""
    of = records() if of is None else of
    pages = {page: page.read_text("utf-8") for page in sorted(docs.rglob("*.md"))}
    return {page: new for page, text in pages.items() if (new := filled(text, of)) != text}


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Compare only.")
def main(*, check: bool) -> None:
    """Write or compare."""
    pages = stale()
    for page, text in pages.items():
        print(f"{'stale' if check else 'written'}: {page.relative_to(DOCS.parent)}")
        if not check:
            page.write_text(text, "utf-8")
    sys.exit(bool(pages) and check)


if __name__ == "__main__":
    main()
