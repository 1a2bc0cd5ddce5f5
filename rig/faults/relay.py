"""A relay of TCP connections that can be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TypeAlias

Ends: TypeAlias = tuple[socket.socket, socket.socket]
"""Both sides of a connection that is passed on: the client's and the server's."""


class Relay:
    """Pass TCP connections on to a port of this machine, until they are cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: list[Ends] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def ports(self) -> set[int]:
        """Return the ports from which connections are passed on now, as the server sees them."""
        ports = set()
        for _, server in self._pairs.copy():
            with suppress(OSError):
                ports.add(server.getsockname()[1])
        return ports

    def cut(self) -> None:
        """End every connection, whatever is under way in it."""
        for pair in self._pairs.copy():
            _end(pair)

    def close(self) -> None:
        """Accept nothing more, and end every connection."""
        with suppress(OSError):  # which wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            self._pairs.append(pair := (client, server))
            # before either thread runs: it may close both
            for each in pair:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for ends in (pair, pair[::-1]):
                threading.Thread(target=self._pass_on, args=(*ends, pair), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, pair: Ends) -> None:
        with suppress(OSError):
            while read := source.recv(1 << 16):
                self._pass(read, target, pair)
        _end(pair)
        with suppress(ValueError):  # the other direction ended before
            self._pairs.remove(pair)

    def _pass(self, data: bytes, target: socket.socket, pair: Ends) -> None:  # noqa: ARG002 others choose
        """Pass what one side sent on to the other."""
        target.sendall(data)


def _end(pair: Ends) -> None:
    for each in pair:
        with suppress(OSError):  # shut down, as a thread that waits for it does not see it closed
            each.shutdown(socket.SHUT_RDWR)
        each.close()
