"""How much a connection has brought: gRPC says nothing of a message before it is whole."""

from __future__ import annotations

import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

_BYTES_RECEIVED_AT = 128
"""Offset of tcpi_bytes_received in struct tcp_info, in Linux since 4.1."""
_TCP_INFO_BYTES = _BYTES_RECEIVED_AT + 8


class Sockets:
    """The connected TCP sockets of this process, by peer as gRPC names it."""

    def __init__(self) -> None:
        self._descriptors: dict[tuple[str, int], int] = {}

    def received_bytes(self, peer: str) -> int | None:
        """Bytes received from a peer since it connected; None where that cannot be known."""
        address = _address(peer)
        if address is None:
            return None
        descriptor = self._descriptors.get(address)
        if descriptor is not None:
            found, received = _look(descriptor)
            if found == address:
                return received
        self._descriptors = _connected()
        descriptor = self._descriptors.get(address)
        return None if descriptor is None else _look(descriptor)[1]


def _address(peer: str) -> tuple[str, int] | None:
    """Host and port of, say, ``ipv6:%5B::1%5D:50051``."""
    scheme, _, rest = peer.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    if scheme not in {"ipv4", "ipv6"} or not port.isdigit():
        return None
    return _plain(host.strip("[]")), int(port)


def _plain(host: str) -> str:
    return host.removeprefix("::ffff:")


def _connected() -> dict[tuple[str, int], int]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        descriptor = int(entry.name)
        with suppress(OSError):  # closed meanwhile, by another thread
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                address, _ = _look(descriptor)
                if address is not None:
                    found[address] = descriptor
    return found


def _look(descriptor: int) -> tuple[tuple[str, int] | None, int | None]:
    """Return peer and bytes received of a socket, which gRPC may close meanwhile."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as looked:
            if looked.family not in {socket.AF_INET, socket.AF_INET6}:
                return None, None
            host, port = looked.getpeername()[:2]
            info = looked.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None, None
    received = None
    if len(info) == _TCP_INFO_BYTES:
        (received,) = struct.unpack_from("=Q", info, _BYTES_RECEIVED_AT)
    return (_plain(host), port), received
