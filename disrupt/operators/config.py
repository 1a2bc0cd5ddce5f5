"""The operators' command ``disrupt config``."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import click
from click.core import ParameterSource

from disrupt.operators import printing
from disrupt.operators.options import json_option
from disrupt.operators.serve import settings_options
from disrupt.server.config import Config

_CREDENTIALS = re.compile(r"(://)[^/]*@")


@click.group()
def config() -> None:
    """Show the settings of the server."""


@config.command()
@settings_options
@json_option
@click.pass_context
def show(context: click.Context, /, file: Path | None, *, as_json: bool, **options: object) -> None:
    """Show every setting, its value, and where that comes from.

    An option is stronger than its variable, and that than the file. Give
    the options and variables that `disrupt serve` is given: a running
    server is not asked, and nothing is started.

    \b
    Exit codes: 0 shown, 2 `disrupt serve` would refuse these settings.

    \b
    Example: disrupt config show --data-dir data --config disrupt.toml
    """
    values = Config.load(file, **options).model_dump(mode="json")
    in_file = tomllib.loads(file.read_text("utf-8")) if file else {}
    rows = {}
    for name, value in values.items():
        source = context.get_parameter_source(name)
        if source == ParameterSource.COMMANDLINE:
            origin = "flag"
        elif source == ParameterSource.ENVIRONMENT:
            origin = "environment"
        else:
            origin = "file" if name in in_file else "default"
        rows[name] = {"value": _without_password(value), "from": origin}
    if as_json:
        printing.show(json.dumps(rows, indent=1))
        return
    shown = [(name, _text(row["value"]), str(row["from"])) for name, row in rows.items()]
    widths = [max(len(row[column]) for row in shown) for column in (0, 1)]
    printing.show(
        "\n".join(
            f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in shown
        )
    )


def _text(value: object) -> str:
    return "none" if value is None else str(value)


def _without_password(value: object) -> object:
    """Replace the user and password that a setting's URL may have."""
    return _CREDENTIALS.sub(r"\1...@", value) if isinstance(value, str) else value
