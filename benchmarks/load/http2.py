"""HTTP/2 connections of attackers, which may leave calls open. Each network is an address."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from contextlib import suppress
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

_HEADERS, _SETTINGS, _CONTINUATION = 1, 4, 9


async def connect(
    address: str, authority: str, network: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection with TLS from the loopback address 127.0.1.``network``."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cadata=authority)
    context.set_alpn_protocols(["h2"])
    return await asyncio.open_connection(
        host, int(port), ssl=context, local_addr=(f"127.0.1.{network}", 0)
    )


def many_headers(count: int) -> bytes:
    """Return the bytes of a connection with a call of so many headers, a byte each, without an end.

    They acknowledge no settings, so that nobody can hold the client to a limit.
    """

    def frame(kind: int, call: int, body: bytes) -> bytes:
        return len(body).to_bytes(3) + bytes([kind, 0]) + call.to_bytes(4) + body

    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(_SETTINGS, 0, b"")
    indexed = frame(_HEADERS, 1, b"\x40\x01a\x00")  # a header for the table, then references to it
    return preface + indexed + frame(_CONTINUATION, 1, b"\xbe" * 16_000) * (count // 16_000)


class Http2:
    """One connection. For one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls: set[int] = set()
        """Calls that the server has not ended."""
        self.statuses: Counter[str] = Counter()
        """Ended calls by gRPC's status, a number."""
        self._reader, self._writer = reader, writer
        self._h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._receiving = asyncio.ensure_future(self._receive())

    @classmethod
    async def open(cls, address: str, authority: str, network: int) -> Self:
        """Connect as ``connect`` does."""
        return cls(*await connect(address, authority, network))

    @property
    def is_open(self) -> bool:
        """True while the other side has not closed the connection."""
        return not self._receiving.done()

    def begin(self, method: str, key: str) -> int | None:
        """Begin a call; return its number, None where the other side takes no more."""
        headers = [
            *((":method", "POST"), (":scheme", "https"), (":path", method), (":authority", "a")),
            *(("te", "trailers"), ("content-type", "application/grpc")),
            ("authorization", f"Bearer {key}"),
        ]
        call = self._h2.get_next_available_stream_id()
        try:
            self._h2.send_headers(call, headers)
        except ProtocolError:
            return None
        self.calls.add(call)
        self._flush()
        return call

    def send(self, call: int, data: bytes, *, end: bool = False) -> None:
        """Send as many bytes of a call as there is room for, unless it is ended."""
        with suppress(ProtocolError):
            data = data[: self._h2.local_flow_control_window(call)]
            size = self._h2.max_outbound_frame_size
            for at in range(0, len(data), size):
                self._h2.send_data(call, data[at : at + size], end_stream=end)
        self._flush()

    async def _receive(self) -> None:
        with suppress(ProtocolError, OSError):
            while data := await self._reader.read(1 << 16):
                for event in self._h2.receive_data(data):
                    if isinstance(event, ResponseReceived | TrailersReceived):
                        self.statuses.update(
                            str(value)
                            for name, value in event.headers or ()
                            if str(name) == "grpc-status"
                        )
                    elif isinstance(event, DataReceived):
                        self._h2.acknowledge_received_data(
                            event.flow_controlled_length or 0, event.stream_id or 0
                        )
                    elif isinstance(event, StreamEnded | StreamReset):
                        self.calls.discard(event.stream_id or 0)
                self._flush()
        self.calls.clear()

    def _flush(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._h2.data_to_send())
