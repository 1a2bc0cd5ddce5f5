"""Options of commands that read the server's settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from disrupt.server.config import Config, Source, sources_of, variable

_Command = TypeVar("_Command", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
_DIRECTORY = click.Path(file_okay=False, path_type=Path)

data_dir_option = click.option(
    "--data-dir",
    envvar=variable("data_dir"),
    required=True,
    show_envvar=True,
    type=_DIRECTORY,
    help="Data directory of the server, which makes it where it is missing.",
)


def _named(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return what --set gives, by the name of the setting. Raises click.BadParameter."""
    named = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or name not in Config.model_fields:
            raise click.BadParameter(f"{each!r} is not NAME=VALUE of a setting (docs/settings.md).")
        named[name] = value
    return named


def _option(name: str, help_text: str, kind: Any = None) -> Callable[..., Any]:  # noqa: ANN401 a type of click
    flag = f"--{name.replace('_', '-')}"
    return click.option(flag, name, type=kind, help=f"{help_text}  [env: {variable(name)}]")


_OPTIONS = (
    _option("data_dir", "Data directory, made where it is missing; needed.", _DIRECTORY),
    _option("listen", "HOST:PORT to serve on, port 0 for a free one.  [127.0.0.1:50051]"),
    _option("workers", "Processes that answer calls.  [as many as cores]", click.INT),
    _option("tls_cert", "Certificate chain, PEM; needed beyond loopback.", FILE),
    _option("tls_key", "Its private key, PEM.", FILE),
    _option("client_listen", "HOST:PORT for callers with a client certificate.  [none]"),
    _option("client_ca", "Authorities that sign client certificates, PEM.", FILE),
    _option("metrics_listen", "HOST:PORT of metrics for Prometheus, /livez and /readyz.  [none]"),
    click.option(
        "--set",
        "others",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_named,
        help="Any other setting, as --set hashing_queue=8. May be repeated.",
    ),
    click.option(
        "--config",
        "file",
        envvar="DISRUPT_CONFIG",
        show_envvar=True,
        type=FILE,
        help="TOML file of settings; options and variables go over it.",
    ),
)


def settings_options(command: _Command) -> _Command:
    """Add the options of all settings to a command; ``settings`` reads what they give."""
    return reduce(lambda added, option: option(added), reversed(_OPTIONS), command)


def settings(
    file: Path | None, others: Mapping[str, str], **options: object
) -> Mapping[Source, Mapping[str, object]]:
    """Return what each source says of settings. Raises ConfigurationError."""
    given = {name: value for name, value in options.items() if value is not None}
    return sources_of(file, dict(others) | given, os.environ)
