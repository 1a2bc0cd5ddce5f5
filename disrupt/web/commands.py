"""The operators' command ``disrupt web``."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import uvicorn

from disrupt import http_server, logs
from disrupt.client import terminal
from disrupt.client.connection import Connection, connect
from disrupt.errors import ConfigurationError
from disrupt.web.files import File, Operator, operator_files, read_page, text_files
from disrupt.web.gateway import HEADERS, Gateway
from disrupt.web.origins import Origins
from disrupt.web.upstream import Upstream

_FILE = click.Path(dir_okay=False, path_type=Path)


def _operator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--operator``, ``--contact``, ``--notice`` and ``--logo``, as one ``who``."""

    @click.option(
        "--operator",
        envvar="DISRUPT_WEB_OPERATOR",
        show_envvar=True,
        default="",
        help="Name of who runs the page.",
    )
    @click.option(
        "--contact",
        envvar="DISRUPT_WEB_CONTACT",
        show_envvar=True,
        default="",
        help="Where people reach the operator: e-mail or https address, or telephone number.",
    )
    @click.option(
        "--notice",
        envvar="DISRUPT_WEB_NOTICE",
        show_envvar=True,
        metavar="URL",
        default="",
        help="Address of the operator's legal and privacy notice, https.",
    )
    @click.option(
        "--logo",
        envvar="DISRUPT_WEB_LOGO",
        show_envvar=True,
        type=_FILE,
        help="The operator's logo, PNG or SVG, at most 256 KiB.",
    )
    @functools.wraps(command)
    def with_operator(
        *, operator: str, contact: str, notice: str, logo: Path | None, **options: object
    ) -> None:
        who = Operator(operator.strip(), contact.strip(), notice.strip(), logo)
        command(who=who, **options)

    return with_operator


@click.command("web")
@click.option(
    "--listen",
    envvar="DISRUPT_WEB_LISTEN",
    show_envvar=True,
    default="127.0.0.1:8080",
    show_default=True,
    help="HOST:PORT to serve on, port 0 for a free one.",
)
@click.option(
    "--tls-cert",
    envvar="DISRUPT_WEB_TLS_CERT",
    show_envvar=True,
    type=_FILE,
    help="Certificate chain of the page, PEM; needed beyond loopback.",
)
@click.option(
    "--tls-key",
    envvar="DISRUPT_WEB_TLS_KEY",
    show_envvar=True,
    type=_FILE,
    help="Its private key, PEM.",
)
@click.option(
    "--trusted-proxy",
    "trusted",
    envvar="DISRUPT_WEB_TRUSTED_PROXY",
    show_envvar=True,
    multiple=True,
    metavar="NETWORK",
    help="Address or network of a proxy whose X-Forwarded-For counts; may be repeated.",
)
@_operator_options
@click.option(
    "--language",
    "languages",
    envvar="DISRUPT_WEB_LANGUAGE",
    show_envvar=True,
    multiple=True,
    metavar="TAG",
    help="Offer the page in this language too, beside French and English; may be repeated.",
)
@terminal.connection_options(
    server="HOST:PORT of the server.",
    key_file="File of a key of right `register`.  [DISRUPT_KEY]",
    tls_ca="PEM file of the authorities to trust, instead of the system's.",
    no_key="Name the file of a key of right `register` with --key-file, or set DISRUPT_KEY.",
)
def web(
    *,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    trusted: tuple[str, ...],
    who: Operator,
    languages: tuple[str, ...],
    target: terminal.Target,
) -> None:
    """Serve the page for people affected, until SIGTERM or Ctrl-C.

    Passes on what the page sends to a server, with a key of right `register`. Requests under way
    are finished. Prints `The page is ready on URL` once it answers; logs go to standard error.

    People have to learn whom they turn to: --operator, --contact, --notice and --logo are required,
    unless the page is for this machine alone, on loopback and without --trusted-proxy. Languages:
    es, pt, tr, ar, fr-simple. No native speaker has read these, and each page says so.

    \b
    Exit codes: 0 stopped when told to, 1 could not run, 2 wrong usage or configuration.

    \b
    Example: disrupt web --server match.example.org:443 --key-file web.key
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
    proxies = _proxies(trusted)
    if who.lacking and (trusted or not http_server.is_loopback(host)):
        missing = ", ".join(f"--{'operator' if each == 'name' else each}" for each in who.lacking)
        raise ConfigurationError(
            f"People have to learn whom they turn to: give {missing}. Without them the page starts"
            " on loopback alone, without --trusted-proxy.",
            setting="operator",
        )
    files = read_page() | text_files(languages) | operator_files(who)
    connection = connect(target.server, target.key, target.tls_ca)
    options = {"ssl_certfile": tls_cert, "ssl_keyfile": tls_key, **proxies}
    # uvicorn and asyncio name addresses, and quote what was sent.
    logging.disable(logging.CRITICAL)
    logs.configure("web")
    with http_server.bind(host, port) as listening:
        asyncio.run(serve(files, connection, listening, options))


async def serve(
    files: dict[str, File],
    connection: Connection,
    listening: socket.socket,
    options: dict[str, Any],
) -> None:
    """Serve on a socket until SIGTERM or SIGINT, and finish the requests under way.

    ``options`` are further ones of uvicorn. Prints the address once connections are accepted.
    """
    upstream = Upstream(connection)
    gateway = Gateway(files, upstream, Origins())
    config = http_server.configuration(gateway.application(), options, HEADERS)
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles both while it serves, and raises them again at the end.
        signal.signal(number, server.handle_exit)
    scheme = "https" if server.config.is_ssl else "http"
    click.echo(f"The page is ready on {scheme}://{http_server.shown(listening)}")
    # The log says what is wrong with the server from the start on.
    looking = asyncio.create_task(upstream.is_serving())
    try:
        await server.serve([listening])
    finally:
        looking.cancel()
        await upstream.close()


def _proxies(trusted: tuple[str, ...]) -> dict[str, Any]:
    """Return uvicorn's options for proxies whose forwarded addresses count."""
    try:
        networks = [str(ipaddress.ip_network(text)) for text in trusted]
    except ValueError as error:
        raise ConfigurationError(
            f"--trusted-proxy takes addresses and networks: {error}.", setting="trusted_proxy"
        ) from error
    return {"proxy_headers": bool(networks), "forwarded_allow_ips": networks}
