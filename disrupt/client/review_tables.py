"""Tables of what staff see: items, cases, acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.text import Text

from disrupt.client import terminal
from disrupt.client.review import Row, Rows
from disrupt.core.media import REJECTIONS


def print_items(rows: Sequence[Row]) -> None:
    """Print items, a line each."""
    heads = (
        "item",
        "bank",
        "kind",
        "state",
        "since",
        "registered",
        "assurance",
        "reported",
        "case",
    )
    cells = [
        [
            row["item_id"],
            row["bank"],
            row["kind"],
            state(row),
            row["changed_on"],
            row["registered_on"],
            row["assurance"],
            reported(row),
            row["case"],
        ]
        for row in rows
    ]
    print_table(heads, cells, "No item.")


def state(row: Row) -> str:
    """Return the state of an item, with its reason."""
    rejections = {reason.name.lower() for reason in REJECTIONS}
    if row["reason"] in rejections:
        return f"rejected ({row['reason']})"
    return f"{row['state']} ({row['reason']})" if row["reason"] else row["state"]


def reported(row: Row) -> str:
    """Return how often an item was reported, and by how many organisations as what."""
    if not row["reports"]:
        return ""
    counts = ", ".join(f"{outcome} by {count}" for outcome, count in row["organisations"].items())
    return f"{row['reports']}: {counts}"


def subject(subject: dict[str, Any]) -> str:
    """Return the subject of an act in words: what is empty is left out."""
    return "; ".join(
        f"{name} {' '.join(value) if isinstance(value, list) else value}"
        for name, value in subject.items()
        if value
    )


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """Print a table, or ``nothing`` for one without rows."""
    if not rows:
        print_line(nothing)
        return
    lines = [list(heads), *([terminal.clean(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print_line("  ".join(map(str.ljust, line, widths)).rstrip())


def print_more(found: Rows) -> None:
    """Say on standard error that more follow, if so."""
    if found.more:
        click.echo("More follow: give a larger --limit, or narrow the list.", err=True)


def print_line(line: str) -> None:
    """Print a line without breaking it."""
    terminal.output().print(Text(line), soft_wrap=True)
