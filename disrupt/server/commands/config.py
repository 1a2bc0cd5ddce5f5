"""The operators' command ``disrupt config``."""

from __future__ import annotations

import json
from typing import Any

import click

from disrupt.server.commands.printing import show as print_out
from disrupt.server.commands.printing import table
from disrupt.server.commands.settings import settings, settings_options
from disrupt.server.config import Config

_NONE = "none"


@click.group()
def config() -> None:
    """Show the settings of the server."""


@config.command()
@settings_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401 one for each setting
    """Show each setting, and where it comes from.

    \b
    A setting comes from an option, else from its variable (DISRUPT_ and the
    name in capitals), else from the file of --config, else it is the
    default. Give the options that `disrupt serve` is given: nothing is
    started.

    \b
    Exit codes: 0 shown, 2 `disrupt serve` would refuse these settings.

    \b
    Example: disrupt config show --data-dir data --config disrupt.toml
    """
    sources = settings(**options)
    values = Config.load(sources).model_dump(mode="json")
    origins = {
        name: next((source.value for source, said in sources.items() if name in said), "default")
        for name in values
    }
    if as_json:
        rows = {name: {"value": values[name], "from": origins[name]} for name in values}
        print_out(json.dumps(rows, indent=1))
        return
    lines = [("setting", "value", "from")]
    for name, value in values.items():
        lines.append((name, _NONE if value is None else str(value), origins[name]))
    print_out(table(lines))
