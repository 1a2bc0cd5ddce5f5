"""Open HTTP/2 connections that break the protocol: they begin messages and never end them."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Self, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADERS, _SETTINGS, _CONTINUATION = 1, 4, 9
_HEADER_TO_INDEX = b"\x40\x01a\x00"
_INDEXED_HEADER = b"\xbe"


def begun_headers(count: int) -> bytes:
    """Return the bytes of a connection with a call of so many headers, a byte each, without an end.

    They acknowledge no settings, so that the server does not hold the client to its own.
    """
    settings = _frame(_SETTINGS, 0, b"")
    begun = _frame(_HEADERS, 1, _HEADER_TO_INDEX)
    more = _frame(_CONTINUATION, 1, _INDEXED_HEADER * 16_000)
    return _PREFACE + settings + begun + more * math.ceil(count / 16_000)


def _frame(kind: int, call: int, body: bytes) -> bytes:
    return len(body).to_bytes(3) + bytes([kind, 0]) + call.to_bytes(4) + body


class Wire(asyncio.Protocol):
    """One connection, plaintext. Not for several event loops."""

    def __init__(self) -> None:
        self.calls: set[int] = set()
        """Calls that the server has not ended."""
        self._h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._moved = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to HOST:PORT."""
        host, _, port = address.rpartition(":")
        _, wire = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return wire

    @property
    def is_open(self) -> bool:
        """True while the server accepts calls on this connection."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Implement asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, _error: Exception | None) -> None:
        """Implement asyncio.Protocol."""
        self._transport = None
        self.calls.clear()
        self._moved.set()
        self._may_write.set()

    def pause_writing(self) -> None:
        """Implement asyncio.Protocol."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Implement asyncio.Protocol."""
        self._may_write.set()

    def data_received(self, data: bytes) -> None:
        """Implement asyncio.Protocol."""
        try:
            for event in self._h2.receive_data(data):
                if isinstance(event, DataReceived):
                    self._h2.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id or 0
                    )
                elif isinstance(event, StreamEnded | StreamReset):
                    self._end(event.stream_id or 0)
                elif isinstance(event, ConnectionTerminated):
                    self.close()
        except ProtocolError:
            self.close()
        self._flush()
        self._moved.set()

    def begin(self, method: str, key: str | None) -> int | None:
        """Begin a call by its headers only; return None where the server takes no more calls."""
        headers = [
            *((":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "abuse")),
            *(("te", "trailers"), ("content-type", "application/grpc")),
            *([("authorization", f"Bearer {key}")] if key else []),
        ]
        try:
            call = self._h2.get_next_available_stream_id()
            self._h2.send_headers(call, headers)
        except ProtocolError:
            return None
        self.calls.add(call)
        self._flush()
        return call

    async def send(self, call: int, data: bytes) -> None:
        """Send bytes of a call as the server makes room for them, until it ends the call."""
        with suppress(ProtocolError):  # the server has ended the connection
            await self._send(call, data)

    async def _send(self, call: int, data: bytes) -> None:
        left = memoryview(data)
        while left and call in self.calls:
            room = min(self._h2.local_flow_control_window(call), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._moved.clear()
                await self._moved.wait()
            else:
                self._h2.send_data(call, bytes(left[:room]))
                left = left[room:]
                self._flush()
            await self._may_write.wait()

    def close(self) -> None:
        """Drop the connection."""
        if self._transport and not self._transport.is_closing():
            self._transport.abort()

    def _end(self, call: int) -> None:
        self.calls.discard(call)
        with suppress(ProtocolError):  # it is reset already
            self._h2.reset_stream(call)

    def _flush(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())
