"""Print a benchmark's figures as tables, and write them in the one schema of all benchmarks.

A report is a JSON object:

- ``schema``: 1.
- ``benchmark``, ``what``: the name for scripts/bench, and a sentence.
- ``command``, ``commit``, ``date``: what was run; ``-dirty`` follows the commit of changed code.
- ``machine``, ``versions``: cores, operating system, and versions of packages.
- ``parameters``: value of each option, without files.
- ``figures``: tables by name, each a list of flat rows of aggregates. Bounds of an interval of 95 %
  are ``low`` and ``high``.
- ``failures``: promises that were broken.
- ``cannot_show``: what the figures say nothing about.

A file written by ``--json`` may have ``details`` beside, which a record leaves out.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

RESULTS = Path(__file__).parents[1] / "results"
"""The newest report of each benchmark, of which docs/reference/figures.md is made."""

SCHEMA = 1

FIELDS = (
    *("schema", "benchmark", "what", "command", "commit", "date", "machine", "versions"),
    *("parameters", "figures", "failures", "cannot_show"),
)

Rows = Sequence[Mapping[Any, object]]

_PACKAGES = ("disrupt-hashes", "faiss-cpu", "numba", "numpy", "pillow", "threatexchange")
_META = "benchmarks.report"

_Main = TypeVar("_Main", bound=Callable[..., Any])


def outputs(*, cannot_show: str) -> Callable[[_Main], _Main]:
    """Give a benchmark's command the options by which ``publish`` writes its report.

    ``cannot_show`` says in a sentence or two what the figures do not cover.
    """

    def decorate(main: _Main) -> _Main:
        def keep(context: click.Context, option: click.Parameter, value: object) -> None:
            kept = context.meta.setdefault(_META, {"main": main, "cannot_show": cannot_show})
            kept[option.name] = value

        record = click.option(
            "--record",
            is_flag=False,
            flag_value="",
            metavar="[LABEL]",
            callback=keep,
            expose_value=False,
            help="Keep the figures as the newest in benchmarks/results/.",
        )
        return record(
            click.option(
                "--json",
                "json_path",
                type=click.Path(path_type=Path),
                callback=keep,
                expose_value=False,
                help="File for the figures.",
            )(main)
        )

    return decorate


def json_path() -> Path | None:
    """Return the path of the running command's --json."""
    path: Path | None = click.get_current_context().meta[_META]["json_path"]
    return path


def publish(
    figures: Mapping[str, Rows],
    *,
    failures: Sequence[str] = (),
    parameters: Mapping[str, object] | None = None,
    details: Mapping[str, object] | None = None,
    is_complete: bool = True,
) -> None:
    """Write the running command's report to --json, and with --record into RESULTS.

    ``parameters`` come beside the options. Failures are printed, end the command with exit code 1,
    and leave the last record in its place; so does a report that is not complete, silently.
    Raises ValueError for rows that are not flat.
    """
    context = click.get_current_context()
    kept = context.meta[_META]
    report = {
        **_about(context, kept["main"]),
        "parameters": _parameters(context) | dict(parameters or {}),
        "figures": {
            name: [{str(key): _scalar(value) for key, value in row.items()} for row in rows]
            for name, rows in figures.items()
            if rows
        },
        "failures": list(failures),
        "cannot_show": kept["cannot_show"],
    }
    if path := kept["json_path"]:
        _write(path, report | ({"details": details} if details else {}))
    if not is_complete:
        return
    for failure in failures:
        print(f"Failed: {failure}.", file=sys.stderr)
    if failures:
        sys.exit(1)
    if kept["record"] is None:
        return
    RESULTS.mkdir(exist_ok=True)
    label = f"-{kept['record']}" if kept["record"] else ""
    _write(RESULTS / f"{report['benchmark']}{label}.json", report)


def _write(path: Path, report: Mapping[str, object]) -> None:
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _about(context: click.Context, main: Callable[..., Any]) -> dict[str, object]:
    name = Path(main.__code__.co_filename).stem
    described = subprocess.run(
        ["/usr/bin/env", "git", "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"],
        cwd=RESULTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "schema": SCHEMA,
        "benchmark": name,
        "what": str(main.__globals__["__doc__"]).partition("\n")[0],
        "command": shlex.join(["./scripts/bench", name, *_words(context)]),
        "commit": described.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), "os": platform.platform()},
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _words(context: click.Context) -> list[str]:
    """Return the options that were given, files by their names alone."""
    words = []
    for option in context.command.params:
        if option.name not in context.params:
            continue
        if context.get_parameter_source(option.name) != ParameterSource.COMMANDLINE:
            continue
        value = context.params[option.name]
        if isinstance(value, bool):
            words += [(option.opts if value else option.secondary_opts)[0]]
            continue
        values: tuple[object, ...] = value if isinstance(value, tuple) else (value,)
        for each in values:
            words += [option.opts[0], each.name if isinstance(each, Path) else str(each)]
    return words


def _parameters(context: click.Context) -> dict[str, object]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in context.params.items()
        if not isinstance(value, Path)
    }


def _scalar(value: object) -> object:
    """Return a value of a row as JSON has it: a number that is not finite is nothing."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise ValueError(f"A figure is a number or a text, not {value!r}.")


def show(rows: Rows) -> None:
    """Print a table of rows that have the same keys, its headings; nothing for no rows."""
    if rows:
        print(table(rows) + "\n", flush=True)


def table(rows: Rows) -> str:
    """Write rows that have the same keys as a Markdown table."""
    lines = [[str(name) for name in rows[0]], ["---"] * len(rows[0])]
    lines += [[cell(value) for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: object) -> str:
    """Write a value: numbers in three digits, or whole with thousands apart; None as nothing."""
    if isinstance(value, float):
        value = round(value) if abs(value) >= 100 else float(f"{value:.3g}")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", " ")
    return "" if value is None else f"{value}"
