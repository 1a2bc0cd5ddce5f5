"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(dir_okay=False, path_type=Path)

data_dir_option = click.option(
    "--data-dir",
    envvar="DISRUPT_DATA_DIR",
    required=True,
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory of the server.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
