"""HTTP/2 over a plain socket, for calls that begin a message and do not end it."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _WINDOW = 0, 1, 3, 4, 6, 8
_INITIAL_WINDOW = 4
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_FRAME_BYTES_MAX = 16384

STRANGE_HOST = "127.9.9.9"
"""Address that the connections come from: another than that of gRPC's own clients."""


class Wire:
    """One connection. It obeys flow control, and reads only when asked to."""

    def __init__(self, address: str, *, window: int = 2**31 - 1) -> None:
        """Open a connection that takes ``window`` bytes of each answer."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), 60, (STRANGE_HOST, 0))
        settings = struct.pack(">HI", _INITIAL_WINDOW, window)
        all_answers = _frame(_WINDOW, 0, 0, (2**31 - 1 - 65535).to_bytes(4))
        self._socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + all_answers)
        self._unread = b""
        self._room = self._first_room = 65535
        self._rooms: dict[int, int] = {}
        self._is_settled = False
        """Whether the server's settings were acknowledged, or the connection is over."""
        self.ended: set[int] = set()
        """Calls that the server has ended."""
        self.answered_bytes = Counter[int]()
        """What came of the answers of each call."""

    def begin(self, method: str, key: str | None, data: bytes = b"") -> int:
        """Begin a call, and send bytes of it."""
        call = 2 * len(self._rooms) + 1
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": method,
            ":authority": "test",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        block = b"".join(b"\0" + _text(name) + _text(value) for name, value in headers.items())
        self._rooms[call] = self._first_room
        self._socket.sendall(_frame(_HEADERS, _END_HEADERS, call, block))
        self.send(call, data)
        return call

    def send(self, call: int, data: bytes) -> int:
        """Send as much as there is room for; how much that was."""
        sent = 0
        while call not in self.ended:
            size = min(len(data) - sent, _FRAME_BYTES_MAX, self._room, self._rooms[call])
            if size <= 0:
                break
            self._socket.sendall(_frame(_DATA, 0, call, data[sent : sent + size]))
            sent += size
            self._room -= size
            self._rooms[call] -= size
        return sent

    def reset(self, call: int) -> None:
        """Give a call up."""
        self._socket.sendall(_frame(_RESET, 0, call, (8).to_bytes(4)))

    def read(self, seconds: float = 0.0) -> None:
        """Read what the server says within so long."""
        until_s = time.monotonic() + seconds
        while select.select([self._socket], [], [], max(0.0, until_s - time.monotonic()))[0]:
            data = b""
            with suppress(ConnectionError):
                data = self._socket.recv(1 << 20)
            if not data:
                self.ended.update(self._rooms)
                self._is_settled = True
                return
            self._unread += data
            while len(self._unread) >= 9 + (size := int.from_bytes(self._unread[:3])):
                kind, flags = self._unread[3:5]
                call = int.from_bytes(self._unread[5:9]) & 0x7FFFFFFF
                body, self._unread = self._unread[9 : 9 + size], self._unread[9 + size :]
                self._hear(kind, flags, call, body)

    def settle(self) -> None:
        """Acknowledge the server's settings."""
        self.until(lambda: self._is_settled)

    def until(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        """Read until something holds."""
        give_up_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < give_up_s
            self.read(0.05)

    def _hear(self, kind: int, flags: int, call: int, body: bytes) -> None:
        if kind == _DATA:
            self.answered_bytes[call] += len(body)
        if kind == _WINDOW:
            more = int.from_bytes(body)
            if call:
                self._rooms[call] += more
            else:
                self._room += more
        elif kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(body), 6):
                name, value = struct.unpack_from(">HI", body, at)
                if name == _INITIAL_WINDOW:
                    for stream in self._rooms:
                        self._rooms[stream] += value - self._first_room
                    self._first_room = value
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
            self._is_settled = True
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, body))
        elif kind == _RESET or (kind in {_DATA, _HEADERS} and flags & _END_STREAM):
            self.ended.add(call)

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()


@contextmanager
def wires(
    address: str, count: int, *, window: int = 2**31 - 1, settle_s: float = 0.2
) -> Iterator[list[Wire]]:
    """Open several connections, once the server has said how much it takes."""
    opened = [Wire(address, window=window) for _ in range(count)]
    try:
        for wire in opened:  # in good time, or the server ends those that come last
            wire.settle()
        time.sleep(settle_s)
        for wire in opened:
            wire.read()
        yield opened
    finally:
        for wire in opened:
            wire.close()


def begun(size_bytes: int, data: bytes = b"") -> bytes:
    """Return the beginning of a message of ``size_bytes``."""
    return b"\0" + size_bytes.to_bytes(4) + data


def _frame(kind: int, flags: int, call: int, body: bytes) -> bytes:
    return len(body).to_bytes(3) + bytes([kind, flags]) + call.to_bytes(4) + body


def _text(value: str) -> bytes:
    """Encode a string of HPACK, of less than 254 bytes."""
    encoded = value.encode(errors="surrogateescape")
    size = len(encoded)
    return (bytes([size]) if size < 0x7F else bytes([0x7F, size - 0x7F])) + encoded
