"""HTTP/1.1 connections that end in time, for uvicorn, which bounds neither headers nor answers."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Protocol(H11Protocol):
    """A connection on which each request, and each pause before one, ends in time."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 uvicorn's
        headers_s: float,
        request_s: float,
        **options: Any,  # noqa: ANN401 uvicorn's
    ) -> None:
        """``headers_s``: until headers are whole; ``request_s``: from then to the answer's end."""
        super().__init__(*arguments, **options)
        self._headers_s = headers_s
        self._request_s = request_s
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its time."""
        super().connection_made(transport)
        self._end_after(self._headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def handle_events(self) -> None:
        """Handle what came; give a request that begins with it its time."""
        before = self.cycle
        try:
            super().handle_events()
        except h11.LocalProtocolError:  # no answer can be given any more
            self.transport.abort()
        if self.cycle is not before and not self.cycle.response_complete:
            self._end_after(self._request_s)

    def on_response_complete(self) -> None:
        """Give the next request its time."""
        self._end_after(self._headers_s)
        super().on_response_complete()

    def _end_after(self, time_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(time_s, self.transport.abort)


def keep_addresses_out_of_the_log() -> None:
    """Have uvicorn and asyncio log nothing: their lines hold the addresses of callers."""
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
