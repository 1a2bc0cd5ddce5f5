"""Print a benchmark's figures as Markdown tables, and write them as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

json_option = click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="File for the figures."
)
"""The option of every benchmark that ``write`` takes its path from."""

_PACKAGES = ("disrupt-hashes", "faiss-cpu", "numba", "numpy", "pillow", "threatexchange")


def show(rows: Sequence[Mapping[Any, object]]) -> None:
    """Print a table of rows that have the same keys, its headings; nothing for no rows."""
    if not rows:
        return
    lines = [[str(name) for name in rows[0]], ["---"] * len(rows[0])]
    lines += [[cell(value) for value in row.values()] for row in rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n", flush=True)


def cell(value: object) -> str:
    """Write a value: numbers in three digits, or whole with thousands apart; None as nothing."""
    if isinstance(value, float):
        value = round(value) if abs(value) >= 100 else float(f"{value:.3g}")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", " ")
    return "" if value is None else f"{value}"


def write(path: Path | None, report: Mapping[str, object]) -> None:
    """Write a report with the machine and the versions of packages; nothing without a path."""
    if path:
        facts = {
            "machine": {"cores": os.cpu_count(), "os": platform.platform()},
            "versions": {name: version(name) for name in _PACKAGES},
        }
        path.write_text(json.dumps({**report, **facts}, indent=1) + "\n", "utf-8")
