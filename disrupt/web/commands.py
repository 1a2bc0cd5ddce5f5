"""The operators' command ``disrupt web``."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import click

from disrupt import logs
from disrupt.client import terminal
from disrupt.client.connection import connect, is_loopback
from disrupt.errors import ConfigurationError
from disrupt.web import files, serving
from disrupt.web.origins import Network

_FILE = click.Path(dir_okay=False, path_type=Path)
_LISTEN = "127.0.0.1:8080"
_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})"
)
_PORTS = 2**16


@click.command("web")
@click.option(
    "--listen",
    envvar="DISRUPT_WEB_LISTEN",
    show_envvar=True,
    default=_LISTEN,
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
    help="Address or network of a proxy whose forwarded addresses count; may be repeated.",
)
@click.option(
    "--page",
    envvar="DISRUPT_WEB_PAGE",
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    default=files.PAGE,
    help="Directory of the page.  [the one of this package]",
)
@terminal.connection_options()
def web(
    *,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    trusted: tuple[str, ...],
    page: Path,
    target: terminal.Target,
) -> None:
    """Serve the page for people affected, until SIGTERM or Ctrl-C.

    Passes on what the page sends to a server, with a key of right `register`.
    Requests under way are finished. SIGHUP reads a renewed certificate.

    \b
    Prints `The page is ready on URL` once it answers; logs go to standard
    error.

    \b
    Exit codes: 0 stopped when told to, 1 could not run, 2 wrong usage or
    configuration.

    \b
    Example: disrupt web --server match.example.org --key-file web.key
    """
    host, port = _address(listen)
    settings = serving.Settings(
        host,
        port,
        _certificate(host, tls_cert, tls_key),
        files.read_page(page) | files.read_texts(),
        connect(target.server, **target.access()),
        tuple(_network(text) for text in trusted),
    )
    logs.configure("web")
    serving.serve(settings, lambda url: click.echo(f"The page is ready on {url}"))


def _address(listen: str) -> tuple[str, int]:
    address = _ADDRESS.fullmatch(listen)
    if address is None or int(address["port"]) >= _PORTS:
        raise ConfigurationError(f"--listen {listen!r} is not HOST:PORT.", setting="listen")
    return address["v6"] or address["name"], int(address["port"])


def _certificate(host: str, cert: Path | None, key: Path | None) -> serving.Certificate | None:
    if cert is not None and key is not None:
        return serving.Certificate(cert, key)
    if cert is not None or key is not None:
        raise ConfigurationError(
            "--tls-cert and --tls-key belong together: give both or none.", setting="tls_cert"
        )
    if not is_loopback(host):
        raise ConfigurationError(
            f"{host} is reachable from other machines: give --tls-cert and --tls-key, or listen on"
            " 127.0.0.1.",
            setting="listen",
        )
    return None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(
            f"--trusted-proxy {text!r} is no address or network: {error}.", setting="trusted_proxy"
        ) from error
