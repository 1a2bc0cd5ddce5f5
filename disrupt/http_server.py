"""Address, settings of uvicorn and bounds of requests of every HTTP server here."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from disrupt.errors import ConfigurationError, DeadlineExceededError

_ADDRESS = re.compile(r"\[?(?P<host>[^\[\]]+?)\]?:(?P<port>[0-9]{1,5})")
_PORT_MAX = 65535

CONNECTIONS_MAX = 1000
"""Open connections; one more ends one that asks nothing, or is answered 503."""
_KEEP_ALIVE_S = 15
"""Longest time between two requests, and of a request's headers."""
_DRAIN_S = 40
"""Longest time for requests under way when a server stops."""

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""Status of an answer by that of gRPC, as Connect maps them; any other is 500."""


def address(listen: str, option: str = "--listen") -> tuple[str, int]:
    """Return host and port of HOST:PORT. Raises ConfigurationError."""
    parts = _ADDRESS.fullmatch(listen)
    if parts is None or int(parts["port"]) > _PORT_MAX:
        raise ConfigurationError(
            f"{option} takes HOST:PORT, not {listen!r}.", setting=setting_of(option)
        )
    return parts["host"], int(parts["port"])


def setting_of(option: str) -> str:
    """Return the name under which errors tell of an option."""
    return option.removeprefix("--").replace("-", "_")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def shown(listening: socket.socket) -> str:
    """Return HOST:PORT of a socket, as a URL has it."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(host: str, port: int, option: str = "--listen") -> socket.socket:
    """Listen on a port. Raises ConfigurationError where that cannot be."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host}, port {port} ({option}): {error}.",
            setting=setting_of(option),
        ) from error
    # Connections inherit it. asyncio sets it only where the socket names its protocol, and without
    # it an answer of two writes waits 40 ms for the acknowledgement of the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class Asking(asyncio.Protocol):
    """What a connection adds to uvicorn's: it ends where no request comes in time.

    uvicorn waits for the first request, and for the rest of one, for ever.
    """

    connections: set[Any]
    cycle: Any
    loop: asyncio.AbstractEventLoop
    timeout_keep_alive_task: asyncio.TimerHandle | None
    timeout_keep_alive_handler: Callable[[], None]
    transport: Any

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request; where there are too many, in the place of one that waits."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            _KEEP_ALIVE_S, self.timeout_keep_alive_handler
        )
        if len(self.connections) >= CONNECTIONS_MAX:
            idle = [other for other in self.connections if other.is_idle and other is not self]
            if idle:
                ended = min(idle, key=lambda other: other.cycle is not None)
                self.connections.discard(ended)
                ended.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on; bytes that are no whole request give no more time."""
        waiting, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if waiting is not None:
            if self.is_idle and self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = waiting
            else:
                waiting.cancel()


class H11(Asking, H11Protocol):
    """A connection that h11 parses."""


def configuration(
    application: ASGIApp,
    options: dict[str, Any],
    headers: Sequence[tuple[str, str]] = (),
    protocol: type[Any] = H11,
) -> uvicorn.Config:
    """Return uvicorn's configuration; ``headers`` are of every answer, ``options`` further ones.

    Raises ConfigurationError for a certificate that it cannot use.
    """
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(headers),
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
        **options,
    )
    try:
        config.load()
    except OSError as error:
        raise ConfigurationError(
            f"The certificate (--tls-cert, --tls-key) cannot be used: {error}.", setting="tls_cert"
        ) from error
    return config


@asynccontextmanager
async def in_time(body_s: float) -> AsyncIterator[None]:
    """Raise DeadlineExceededError for a body that takes longer."""
    try:
        async with asyncio.timeout(body_s):
            yield
    except TimeoutError:
        message = "The request came too slowly. Nothing was changed."
        raise DeadlineExceededError(message) from None


async def closing(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Close the connection after an answer that is given before the body is through.

    The server would go on reading the body, however large or slow, and keep the connection for it.
    """
    headers = Headers(scope=scope)
    is_whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def received() -> Message:
        nonlocal is_whole
        message = await receive()
        is_whole = is_whole or not message.get("more_body", False)
        return message

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and not is_whole:
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    await application(scope, received, sent)
