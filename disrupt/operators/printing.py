"""Print what a command did, also where standard output cannot be written."""

from __future__ import annotations

import os
import sys

import click

from disrupt.errors import DisruptError


def echo(text: str) -> None:
    """Print a text. Raises OSError."""
    try:
        click.echo(text)
    except OSError:
        # What is left in the buffer would fail again when the process ends: discard it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def show(text: str, otherwise: str = "Standard output cannot be written") -> None:
    """Print what was asked for. Raises DisruptError."""
    try:
        echo(text)
    except OSError as error:
        raise DisruptError(f"{otherwise}: {error.strerror}.") from error


def report(text: str) -> None:
    """Print the outcome of what was done. Raises DisruptError, which says that it was."""
    show(text, "It is done, but standard output cannot be written")
