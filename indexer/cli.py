"""The ``disrupt-index`` command, which says so where its packages are missing."""

from __future__ import annotations

import sys

import click

from disrupt.extras import lacking

_USAGE = 2


def main() -> None:
    """Run the command."""
    if error := lacking("disrupt-index", "server"):
        click.echo(f"Error: {error.message}", err=True)
        sys.exit(_USAGE)
    from indexer.commands import main as command

    command()
