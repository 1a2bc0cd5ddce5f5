"""Run the gateway on a socket until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from disrupt import logs
from disrupt.certificates import misfit
from disrupt.client.connection import Connection
from disrupt.errors import ConfigurationError
from disrupt.http_connections import keep_addresses_out_of_the_log
from disrupt.web.connections import Listener, Protocol
from disrupt.web.files import File
from disrupt.web.gateway import Gateway
from disrupt.web.headers import HEADERS
from disrupt.web.limits import DRAIN_S, HEADER_BYTES_MAX, KEEP_ALIVE_S
from disrupt.web.origins import Network, Origins
from disrupt.web.upstream import Upstream

_BACKLOG = 1024

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain and its private key, as PEM files."""

    chain: Path
    key: Path

    def load(self, context: ssl.SSLContext) -> None:
        """Load both into a context. Raises ConfigurationError."""
        why: object = misfit(self.chain, self.key)
        if not why:
            try:
                context.load_cert_chain(self.chain, self.key)
            except OSError as error:
                why = error
        if why:
            raise ConfigurationError(
                f"The certificate {self.chain} with the key {self.key} cannot be used: {why}.",
                setting="tls_cert",
            )


@dataclass(frozen=True, slots=True)
class Settings:
    """What the gateway serves, where, and for which server."""

    host: str
    port: int
    certificate: Certificate | None
    files: dict[str, File]
    connection: Connection
    trusted: tuple[Network, ...] = ()


class _Server(uvicorn.Server):
    """uvicorn with a listener of our own."""

    def __init__(
        self, config: uvicorn.Config, listen: Callable[[Callable[[], Protocol]], Listener]
    ) -> None:
        super().__init__(config)
        self._listen = listen

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        del sockets
        await self.lifespan.startup()
        protocol = partial(Protocol, self.config, self.server_state, self.lifespan.state)
        self.servers = [self._listen(protocol)]  # type: ignore[list-item]  # it can be closed
        self.started = True


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, and then finish the requests under way.

    ``announce`` is called with the address once it is served. Raises ConfigurationError.
    """
    tls = None if settings.certificate is None else _context(settings.certificate)
    listening = _bind(settings.host, settings.port)
    keep_addresses_out_of_the_log()
    asyncio.run(_serve(settings, listening, tls, announce))


async def _serve(
    settings: Settings,
    listening: socket.socket,
    tls: ssl.SSLContext | None,
    announce: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.unread_error)
    upstream, origins = Upstream(settings.connection), Origins(settings.trusted)
    config = uvicorn.Config(
        Gateway(settings.files, upstream, origins).application(),
        http=Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        headers=list(HEADERS),
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config, partial(Listener, listening, origins=origins, tls=tls))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles both while it serves, and raises them again at the end
        signal.signal(number, server.handle_exit)
    loop.add_signal_handler(signal.SIGHUP, _reload, settings.certificate, tls)
    announce(_shown(listening, is_tls=tls is not None))
    looking = asyncio.create_task(
        upstream.is_serving()
    )  # the log says what is wrong from the start on
    await server.serve()
    looking.cancel()
    await upstream.close()


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    certificate.load(context)
    return context


def _reload(certificate: Certificate | None, tls: ssl.SSLContext | None) -> None:
    """Read a renewed certificate again; new connections show it."""
    if certificate is None or tls is None:
        return
    try:
        _context(certificate)  # so that a pair that does not fit leaves the old one in place
        certificate.load(tls)
    except ConfigurationError as error:
        _log.error("certificate_refused", problem=error.message)
    else:
        _log.info("certificate_loaded")


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host}, port {port}: {error.strerror}.", setting="listen"
        ) from error
    listening.settimeout(0)
    return listening


def _shown(listening: socket.socket, *, is_tls: bool) -> str:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if is_tls else 'http'}://{shown}:{port}"
