"""The operators' commands ``disrupt registry``: where it is, when there are more machines."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from disrupt import logs, ownership
from disrupt.data_directory import DataDirectory
from disrupt.operators.options import data_dir_option, json_option
from disrupt.operators.printing import report, show
from disrupt.registry.moving import MOVED, move


@click.group()
def registry() -> None:
    """Move the registry to PostgreSQL, for more than one machine."""


@registry.command()
@data_dir_option
@click.option(
    "--to",
    "url",
    required=True,
    help="URL of an empty database, postgresql://USER@HOST:PORT/DATABASE. Other users of this"
    " machine see it while this runs: keep its password in ~/.pgpass.",
)
@json_option
def copy(data_dir: Path, url: str, *, as_json: bool) -> None:
    """Copy the registry into a PostgreSQL database, and use that from now on; while no server runs.

    Stop the server before, and start it after: registrations fail meanwhile, and lookups unless
    another machine answers them. Every row is compared before the switch, which is the file
    registry.url. Case numbers, ids, cursors and the index stay as they are. If it is interrupted,
    run it again. The old file becomes registry.db.moved: delete it once the server has started, and
    its backups after their days, as it holds all fingerprints, also those withdrawn later.

    \b
    Exit codes: 0 moved, 1 not moved, 2 wrong usage.

    \b
    Example: disrupt registry copy --data-dir data --to postgresql://disrupt@db.internal/disrupt
    """
    logs.configure("registry", "warning")
    ownership.check(data_dir)
    directory, began_s = DataDirectory(data_dir), time.monotonic()
    with directory.locked():
        moved = move(directory, url)
    if as_json:
        report(json.dumps(asdict(moved)))
        return
    took_s = time.monotonic() - began_s
    report(
        f"Copied and compared {moved.rows} rows, of {moved.items} items, in {took_s:.0f} s. The"
        f" registry is in the database now; delete {data_dir / MOVED} once the server has started."
    )


@registry.command()
@data_dir_option
def node_secrets(data_dir: Path) -> None:
    """Print secrets.json for a machine of role match: the key of match ids, not the pepper of PINs.

    \b
    Exit codes: 0 printed, 1 not printed, 2 wrong usage.

    \b
    Example: disrupt registry node-secrets --data-dir data
    """
    logs.configure("registry", "warning")
    ownership.check(data_dir)
    show(json.dumps({"match_tokens": DataDirectory(data_dir).match_tokens().hex()}))
