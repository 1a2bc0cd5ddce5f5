"""The operators' command ``disrupt serve``, which starts without what other commands import."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import click

from disrupt.isolation.child import LIBRARIES
from disrupt.operators.options import FILE, data_dir_option

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    data_dir_option,
    click.option(
        "--role",
        envvar="DISRUPT_ROLE",
        show_envvar=True,
        type=click.Choice(["all", "writer", "match", "mirror"]),
        help="What this machine does, beside others.  [all]",
    ),
    click.option(
        "--registry",
        envvar="DISRUPT_REGISTRY",
        show_envvar=True,
        help="URL of a PostgreSQL database for the registry of a new data directory.  [SQLite]",
    ),
    click.option(
        "--listen",
        envvar="DISRUPT_LISTEN",
        show_envvar=True,
        help="HOST:PORT to serve on, port 0 for a free one.  [127.0.0.1:50051]",
    ),
    click.option(
        "--workers",
        envvar="DISRUPT_WORKERS",
        show_envvar=True,
        type=int,
        help="Processes that answer calls.  [as many as cores]",
    ),
    click.option(
        "--config",
        "file",
        envvar="DISRUPT_CONFIG",
        show_envvar=True,
        type=FILE,
        help="TOML file of settings; options go over it.",
    ),
    click.option(
        "--tls-cert",
        envvar="DISRUPT_TLS_CERT",
        show_envvar=True,
        type=FILE,
        help="Certificate chain, PEM; needed beyond loopback.",
    ),
    click.option(
        "--tls-key",
        envvar="DISRUPT_TLS_KEY",
        show_envvar=True,
        type=FILE,
        help="Its private key, PEM.",
    ),
    click.option(
        "--metrics-listen",
        envvar="DISRUPT_METRICS_LISTEN",
        show_envvar=True,
        help="HOST:PORT of metrics and /readyz.  [127.0.0.1:9464]",
    ),
)


def settings_options(command: _Command) -> _Command:
    """Add the options that give settings, and the file of the others."""
    return reduce(lambda added, option: option(added), reversed(_OPTIONS), command)


@click.command()
@settings_options
def serve(**options: object) -> None:
    """Run the server until SIGTERM or Ctrl-C; calls in flight are finished.

    Makes the data directory where it is missing.

    \b
    Prints `Disrupt is ready on HOST:PORT` once it answers; logs go to
    standard error.

    \b
    Exit codes: 0 stopped when told to, 1 could not run, 2 wrong usage or
    configuration.

    \b
    Example: disrupt serve --data-dir data
    """
    given = {name: value for name, value in options.items() if value is not None}
    environment = os.environ | LIBRARIES
    if "registry" in given:  # its password is nothing for the list of processes
        environment["DISRUPT_REGISTRY"] = str(given.pop("registry"))
    # Libraries read these variables when they are loaded, and the C library when it starts.
    arguments = [sys.executable, "-P", "-m", "disrupt.server", json.dumps(given, default=str)]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 this package
