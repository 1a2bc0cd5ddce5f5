"""Read from the kernel what connections brought and how long they are silent, and shut them down.

gRPC reports no message before it is whole, and offers no way to end a connection. All of this
works where no descriptor is free, once a first look has been taken.
"""

from __future__ import annotations

import ctypes
import functools
import heapq
import os
import resource
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import unquote

_BYTES_RECEIVED_AT = 128
"""Offset of tcpi_bytes_received in struct tcp_info, in Linux since 4.1."""
_BYTES_ACKED_AT = 120
"""Offset of tcpi_bytes_acked, of what was sent."""
_SILENT_MS_AT = 52
"""Offset of tcpi_last_data_recv."""
_TCP_INFO_BYTES = _BYTES_RECEIVED_AT + 8
_PAUSE_PER_SCAN = 20
"""Shortest pause after a scan of all descriptors, as a multiple of its processor time."""

Address: TypeAlias = tuple[str, int]
"""Host and port of a peer."""

_DRAINED_BYTES = 1 << 20
_SOCKADDR_BYTES = 28
_libc = ctypes.PyDLL(None)
"""Its calls keep the GIL: to give it away and wait for it would take longer than they do."""

_copying = threading.Lock()


class _Answers(threading.local):
    """Where the kernel writes its answers: to make room for each takes longer than to ask."""

    def __init__(self) -> None:
        self.address = ctypes.create_string_buffer(_SOCKADDR_BYTES)
        self.info = ctypes.create_string_buffer(_TCP_INFO_BYTES)
        self.size = ctypes.c_uint32()
        self.size_at = ctypes.byref(self.size)


_answers = _Answers()


class Sockets:
    """The connected TCP sockets of this process, by peer as gRPC names it."""

    def __init__(self) -> None:
        self._descriptors: dict[Address, int] = {}
        self._next_s = 0.0

    def received_bytes(self, peer: str) -> int | None:
        """Return the bytes received from a peer since it connected; None where unknown."""
        address = address_of(peer)
        if address is None:
            return None
        info = _info(self._descriptors.get(address), address)
        # Looking through many connections takes a while: new ones must not ask for it at will.
        if not info and time.monotonic() >= self._next_s:
            began_s = time.thread_time()
            self._descriptors = _connected()
            took_s = time.thread_time() - began_s
            self._next_s = time.monotonic() + _PAUSE_PER_SCAN * took_s
            info = _info(self._descriptors.get(address), address)
        return _received_bytes(info) if info else None

    def traffic(self) -> dict[Address, tuple[int, int]]:
        """Return the bytes received, and those sent, on each connection; some µs for each."""
        self._descriptors = _connected()
        return {
            at: (_received_bytes(info), _sent_bytes(info))
            for at, descriptor in self._descriptors.items()
            if (info := _info(descriptor, at))
        }

    def shut(self, peers: Collection[str]) -> None:
        """Shut the connections of peers down, so that gRPC ends their calls."""
        self.shut_at([address for peer in peers if (address := address_of(peer)) is not None])

    def shut_at(self, addresses: Collection[Address]) -> None:
        """Shut the connections with peers at these addresses down."""
        left = [at for at in addresses if not _shut(self._descriptors.get(at), at)]
        if left:
            self._descriptors = _connected()
        for address in left:
            _shut(self._descriptors.get(address), address)


def most_connections(wanted: int) -> int:
    """Return how many connections a process may have: at most half of its open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else min(wanted, files // 2)


def bound(most: int) -> None:
    """Shut connections down where there are more than ``most``.

    Each time, take the one that was silent for longest, of the network with most connections.
    """
    if len(descriptors()) <= most:
        return
    connected = _connected()
    by_network: dict[str, list[tuple[int, int, Address]]] = defaultdict(list)
    for address, descriptor in connected.items():
        silent = (_silent_ms(descriptor, address), descriptor, address)
        by_network[_network(address[0])].append(silent)
    largest = []
    for name, connections in by_network.items():
        connections.sort()
        largest.append((-len(connections), -connections[-1][0], name))
    heapq.heapify(largest)
    for _ in range(len(connected) - most):
        size, _, name = heapq.heappop(largest)
        connections = by_network[name]
        _, descriptor, address = connections.pop()
        _shut(descriptor, address)
        if connections:
            heapq.heappush(largest, (size + 1, -connections[-1][0], name))


@functools.lru_cache(4096)
def network(peer: str) -> str:
    """Return the network that a peer counts for: its address, of IPv6 the first 64 bits."""
    address = address_of(peer)
    return peer if address is None else _network(address[0])


def _network(host: str) -> str:
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        return str(ip_network((int(address), 64), strict=False))
    return str(address)


def address_of(peer: str) -> Address | None:
    """Return host and port of a peer, say, ``ipv6:%5B::1%5D:50051``."""
    scheme, _, rest = peer.partition(":")
    host, _, port = unquote(rest).rpartition(":")
    if scheme not in {"ipv4", "ipv6"} or not port.isdigit():
        return None
    return _plain(host.strip("[]").partition("%")[0]), int(port)


def _plain(host: str) -> str:
    return host.removeprefix("::ffff:")


def descriptors() -> Sequence[int]:
    """Return what this process has open; where none is left to read that with, all there can be."""
    try:
        _kept()  # while there is a descriptor left for it
        with os.scandir("/proc/self/fd") as entries:
            return [int(entry.name) for entry in entries]
    except OSError:
        return range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


@functools.cache
def _kept() -> tuple[int, int]:
    """Open a null device and a descriptor for copies."""
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return null, os.dup(null)


@contextmanager
def copied(descriptor: int) -> Iterator[socket.socket]:
    """Copy a socket, as gRPC may close it meanwhile; OSError where it is closed, or is none."""
    with _copying:
        null, place = _kept()
        try:
            copy = socket.socket(fileno=os.dup2(descriptor, place, inheritable=False))
            try:
                yield copy
            finally:
                copy.detach()
        finally:
            os.dup2(null, place, inheritable=False)


def _connected() -> dict[Address, int]:
    peers = ((_peer(descriptor), descriptor) for descriptor in descriptors())
    return {peer: descriptor for peer, descriptor in peers if peer is not None}


def _peer(descriptor: int) -> Address | None:
    """Return the peer of a connected socket; None of anything else."""
    answers = _answers
    answers.size.value = _SOCKADDR_BYTES
    if _libc.getpeername(descriptor, answers.address, answers.size_at):
        return None
    return _parsed(answers.address.raw[: answers.size.value])


@functools.lru_cache(8192)
def _parsed(sockaddr: bytes) -> Address | None:
    """Return host and port of a struct sockaddr_in or sockaddr_in6."""
    family, port = int.from_bytes(sockaddr[:2], sys.byteorder), int.from_bytes(sockaddr[2:4])
    if family == socket.AF_INET:
        return socket.inet_ntop(family, sockaddr[4:8]), port
    if family == socket.AF_INET6:
        return _plain(socket.inet_ntop(family, sockaddr[8:24])), port
    return None


def _info(descriptor: int | None, address: Address) -> bytes:
    """Return the struct tcp_info of a connection; empty where that is not known."""
    if descriptor is None:
        return b""
    answers = _answers
    answers.size.value = _TCP_INFO_BYTES
    failed = _libc.getsockopt(
        descriptor, socket.IPPROTO_TCP, socket.TCP_INFO, answers.info, answers.size_at
    )
    if failed or answers.size.value < _TCP_INFO_BYTES:
        return b""
    info = answers.info.raw
    # gRPC may have closed it, and the descriptor be another's.
    return info if _peer(descriptor) == address else b""


def _received_bytes(info: bytes) -> int:
    return int(struct.unpack_from("=Q", info, _BYTES_RECEIVED_AT)[0])


def _sent_bytes(info: bytes) -> int:
    return int(struct.unpack_from("=Q", info, _BYTES_ACKED_AT)[0])


def _shut(descriptor: int | None, address: Address) -> bool:
    """Shut a socket down if it still is the one of this peer; tell whether it was."""
    if descriptor is None:
        return False
    try:
        with copied(descriptor) as copy:
            host, port = copy.getpeername()[:2]
            if (_plain(host), port) != address:
                return False
            copy.shutdown(socket.SHUT_RDWR)
            _drain(copy)
    except (OSError, ValueError):
        return False
    return True


def _drain(shut: socket.socket) -> None:
    """Take what a peer has sent before its connection was shut down: gRPC would parse it all."""
    with suppress(BlockingIOError):
        while shut.recv(_DRAINED_BYTES, socket.MSG_DONTWAIT):
            pass


def _silent_ms(descriptor: int, address: Address) -> int:
    """Return the time since a peer last sent something; 0 where that is not known."""
    info = _info(descriptor, address)
    return int(struct.unpack_from("=I", info, _SILENT_MS_AT)[0]) if info else 0
