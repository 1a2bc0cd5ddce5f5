"""Connections of the door over HTTP, parsed in half of h11's time."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from disrupt.http_server import Asking

_HEAD_BYTES_MAX = 1 << 16
"""Bytes that come together and are no part of a body; httptools has no bound for them."""


class Quick(Asking, HttpToolsProtocol):
    """A connection that httptools parses."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on; end it where headers have no end."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > _HEAD_BYTES_MAX:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Begin with a request."""
        self._head_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._head_bytes = 0
        super().on_body(body)
