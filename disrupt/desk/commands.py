"""The command ``disrupt desk``."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import signal
import socket
from pathlib import Path
from typing import Any

import click
import uvicorn

from disrupt import http_server, logs
from disrupt.client.connection import DEFAULT_SERVER, connect_without_key
from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ReviewClient
from disrupt.desk.application import HEADERS, Desk
from disrupt.desk.files import read_files
from disrupt.desk.passkeys import Party, Passkeys
from disrupt.errors import ConfigurationError

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_ORIGIN = re.compile(r"https://(?P<host>[a-z0-9-]+(\.[a-z0-9-]+)*)(:[0-9]{1,5})?")
_CALL_S = 20.0
"""Longest time of a call. It is not tried again: an act whose answer is lost may be done."""


@click.command("desk")
@click.option(
    "--origin",
    envvar="DISRUPT_DESK_ORIGIN",
    show_envvar=True,
    required=True,
    metavar="URL",
    help="Where browsers see the desk, as in https://desk.example.org: passkeys are bound to it.",
)
@click.option(
    "--state-dir",
    envvar="DISRUPT_DESK_STATE_DIR",
    show_envvar=True,
    required=True,
    type=_FOLDER,
    help="Folder for passkeys, each with the secret of its key.",
)
@click.option(
    "--listen",
    envvar="DISRUPT_DESK_LISTEN",
    show_envvar=True,
    default="127.0.0.1:8082",
    show_default=True,
    help="HOST:PORT to serve on, port 0 for a free one.",
)
@click.option(
    "--tls-cert",
    envvar="DISRUPT_DESK_TLS_CERT",
    show_envvar=True,
    type=_FILE,
    help="Certificate chain of the desk, PEM; needed beyond loopback.",
)
@click.option(
    "--tls-key",
    envvar="DISRUPT_DESK_TLS_KEY",
    show_envvar=True,
    type=_FILE,
    help="Its private key, PEM.",
)
@click.option(
    "--server",
    envvar="DISRUPT_SERVER",
    show_envvar=True,
    default=DEFAULT_SERVER,
    show_default=True,
    help="HOST:PORT of the server.",
)
@click.option(
    "--tls-ca",
    type=_FILE,
    help="PEM file of the authorities to trust, instead of the system's.",
)
def desk(
    *,
    origin: str,
    state_dir: Path,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    server: str,
    tls_ca: Path | None,
) -> None:
    """Serve the desk, where the hotline's staff review in a browser, until SIGTERM or Ctrl-C.

    Each person signs in by a passkey, which is enrolled once with the secret of their key of right
    `review`. All that they do is asked of the server with that key. Prints `The desk is ready on
    URL` once it answers; logs go to standard error.

    \b
    Exit codes: 0 stopped when told to, 1 could not run, 2 wrong usage or configuration.

    \b
    Example: disrupt desk --origin https://desk.example.org --state-dir /var/lib/disrupt-desk
    """
    host, port = http_server.address(listen)
    if (tls_cert is None) != (tls_key is None):
        raise ConfigurationError(
            "--tls-cert and --tls-key belong together: give both or none.", setting="tls_cert"
        )
    if tls_cert is None and not http_server.is_loopback(host):
        raise ConfigurationError(
            f"{host!r} is reachable from other machines: give --tls-cert and --tls-key, or listen"
            " on 127.0.0.1.",
            setting="listen",
        )
    party = party_of(origin)
    connect_without_key(server, tls_ca)
    files = read_files()
    options = {"ssl_certfile": tls_cert, "ssl_keyfile": tls_key, "proxy_headers": False}
    # uvicorn and asyncio name addresses, and quote what was sent.
    logging.disable(logging.CRITICAL)
    logs.configure("desk")

    def client(secret: str) -> ReviewClient:
        return ReviewClient(
            server,
            key=secret,
            tls_ca=tls_ca,
            timeout_s=_CALL_S,
            retries=RetryPolicy(attempts=1),
        )

    with Passkeys(state_dir) as passkeys, http_server.bind(host, port) as listening:
        asyncio.run(serve(Desk(files, party, passkeys, client), listening, options))


async def serve(desk: Desk, listening: socket.socket, options: dict[str, Any]) -> None:
    """Serve on a socket until SIGTERM or SIGINT, and finish the requests under way."""
    server = uvicorn.Server(http_server.configuration(desk.application(), options, HEADERS))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles both while it serves, and raises them again at the end.
        signal.signal(number, server.handle_exit)
    scheme = "https" if server.config.is_ssl else "http"
    click.echo(f"The desk is ready on {scheme}://{http_server.shown(listening)}")
    try:
        await server.serve([listening])
    finally:
        desk.close()


def party_of(origin: str) -> Party:
    """Return who asks for passkeys. Raises ConfigurationError for what browsers take no key for."""
    parts = _ORIGIN.fullmatch(origin)
    if parts is None or _is_address(parts["host"]):
        raise ConfigurationError(
            f"--origin takes https:// and a name in small letters, with a port where it is not 443,"
            f" not {origin!r}: browsers bind passkeys to names, and to HTTPS.",
            setting="origin",
        )
    return Party(origin, parts["host"])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
