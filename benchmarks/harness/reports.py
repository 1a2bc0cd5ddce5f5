"""Print what a benchmark measured as a table, and write it as a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

import click
from rich.console import Console
from rich.table import Table

rows_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="File for the rows."
)
"""Option of a benchmark that publishes its rows: the ``json_path`` of ``publish``."""


class Row(Protocol):
    """A measurement: a dataclass, of which some figures have bounds."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def excess(self) -> list[str]:
        """Name what is worse than its bound."""


def write(rows: Sequence[Row], json_path: Path | None, settings: Mapping[str, object]) -> None:
    """Write rows with the settings, if there is a file for them."""
    if json_path:
        report = {"rows": [_record(row) for row in rows], "settings": settings}
        json_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def publish(rows: Sequence[Row], json_path: Path | None, settings: Mapping[str, object]) -> bool:
    """Print rows, and write them; return whether any exceeds a bound."""
    table = Table(*_record(rows[0]))
    for row in rows:
        table.add_row(*map(str, _record(row).values()))
    Console(width=150).print(table)
    write(rows, json_path, settings)
    return any(row.excess for row in rows)


def _record(row: Row) -> dict[str, Any]:
    return {**asdict(row), "excess": ", ".join(row.excess)}
