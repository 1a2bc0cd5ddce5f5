"""Accept connections within bounds, and end what is slow: before TLS, headers, or an answer."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any

from disrupt import http_connections
from disrupt.web.limits import (
    CONNECTIONS_MAX,
    HANDSHAKE_S,
    HEADERS_S,
    NETWORK_CONNECTIONS_MAX,
    REQUEST_S,
    SHUTDOWN_S,
)
from disrupt.web.origins import Address, Origins, network, parse_address

_PAUSE_S = 0.5
"""Pause where no connection can be accepted, as all files are open."""


class Protocol(http_connections.Protocol):
    """HTTP/1.1 on one connection, for whoever waits for its end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 uvicorn's
        super().__init__(*arguments, headers_s=HEADERS_S, request_s=REQUEST_S, **options)
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits for ``lost``."""
        super().connection_lost(exc)
        self.lost.set()


class Listener:
    """Accept connections of a socket, for uvicorn, to which it is a server.

    A network has NETWORK_CONNECTIONS_MAX at most, unless it is that of a trusted proxy. If there
    are CONNECTIONS_MAX, the oldest connection of the network that has most makes room.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], Protocol],
        origins: Origins,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._origins = origins
        self._tls = tls
        self._most = min(CONNECTIONS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._open: dict[asyncio.Task[None], bytes] = {}
        self._of_network = Counter[bytes]()
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accept no more connections."""
        self._accepting.cancel()
        # not before the event loop has let go of it
        self._accepting.add_done_callback(lambda _: self._listening.close())

    async def wait_closed(self) -> None:
        """Wait until all connections have ended."""
        await asyncio.gather(self._accepting, *self._open, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            self._admit(connection, peer[0])

    def _admit(self, connection: socket.socket, host: str) -> None:
        address = parse_address(host)
        if address is None or not self._has_room(of := network(address), address):
            connection.close()
            return
        task = asyncio.create_task(self._serve(connection))
        self._open[task] = of
        self._of_network[of] += 1
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        of = self._open.pop(task)
        self._of_network[of] -= 1
        if not self._of_network[of]:
            del self._of_network[of]
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"exception": error})

    def _has_room(self, of: bytes, address: Address) -> bool:
        """Tell whether a connection may be accepted; end another one where that makes room."""
        count = self._of_network[of]
        if count >= NETWORK_CONNECTIONS_MAX and not self._origins.is_trusted(address):
            return False
        if len(self._open) >= self._most:
            largest = max(self._of_network, key=self._of_network.__getitem__)
            if self._of_network[largest] <= count + 1:
                return False
            next(task for task, network in self._open.items() if network == largest).cancel()
        return True

    async def _serve(self, connection: socket.socket) -> None:
        """Serve a connection until it ends; abort it where this task is cancelled."""
        times = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": SHUTDOWN_S}
        try:
            transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, connection, ssl=self._tls, **(times if self._tls else {})
            )
        except OSError:  # no TLS, or not in time
            return
        try:
            await protocol.lost.wait()
        finally:
            transport.abort()
