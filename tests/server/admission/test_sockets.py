"""Connections are looked up by peer without looking through all of them at everybody's will."""

from __future__ import annotations

import os
import resource
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from disrupt.server.admission import sockets


def test_unknown_peers_trigger_a_full_scan_only_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    def connected() -> dict[tuple[str, int], int]:
        nonlocal looks
        looks += 1
        until_s = time.thread_time() + 0.05  # as with thousands of connections
        while time.thread_time() < until_s:
            pass
        return {}

    monkeypatch.setattr(sockets, "_connected", connected)
    known = sockets.Sockets()
    began_s = time.monotonic()
    assert {known.received_bytes(f"ipv4:10.0.0.1:{port}") for port in range(1000, 1100)} == {None}
    assert looks <= 1 + (time.monotonic() - began_s)


def test_connections_are_bounded_where_no_descriptor_is_free() -> None:
    sockets.bound(10**6)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        clients, servers = list[socket.socket](), list[socket.socket]()
        for _ in range(8):
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            clients.append(client)
            servers.append(stack.enter_context(listener.accept()[0]))
            client.settimeout(60)
        files = list[int]()
        try:
            highest = max(servers[-1].fileno(), *sockets._kept())
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, limits[1]))
            with suppress(OSError):
                while True:
                    files.append(os.open(os.devnull, os.O_RDONLY))
            sockets.bound(4)
        finally:
            for file in files:
                os.close(file)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        ends = [server for server in servers if _is_over(server)]
        assert len(ends) >= 4


def _is_over(server: socket.socket) -> bool:
    server.settimeout(0)
    try:
        return server.recv(1) == b""
    except BlockingIOError:
        return False
