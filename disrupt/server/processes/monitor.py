"""The monitor process: shows what all processes of the server count, over HTTP.

It answers as long as it and the supervisor live, whatever became of the others.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import structlog
import uvicorn
from prometheus_client import CollectorRegistry

from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.http_connections import Protocol, keep_addresses_out_of_the_log
from disrupt.registry import opening
from disrupt.registry.contract import RegistryReader
from disrupt.server.admission.shares import place
from disrupt.server.config import Config, is_loopback
from disrupt.server.days import today
from disrupt.server.metrics import families, gauges, readiness
from disrupt.server.metrics.exposition import Exposition, Names
from disrupt.server.metrics.figures import Figures
from disrupt.server.metrics.site import site
from disrupt.server.processes.serving import BEAT_S, READY, beat, say
from disrupt.server.supervision import forever, vital
from disrupt.services.keys import KeyRing

_NICE = 5
_LOOK_S = 5.0
"""Pause between two looks at the disk and the registry."""
_CONNECTIONS_MAX = 32
_HEADERS_S = 10.0
_REQUEST_S = 10.0
_KEEP_ALIVE_S = 5

_log = structlog.get_logger(__name__)


async def run(config: Config, figures: Figures, listener: socket.socket) -> None:
    """Serve on a bound socket until SIGTERM."""
    os.nice(_NICE)  # lookups go first
    directory = DataDirectory(config.data_dir)
    with opening.reading(directory) as reader:
        named = _Named(reader)
        storage = gauges.Storage(reader, directory.index)
        row = figures.row(families.MONITOR)
        fault = ""

        def look() -> str:
            try:
                named.look()
                storage.show(row)
            except (DisruptError, OSError) as error:  # shown by readiness, as figures grow old
                return str(error)
            return ""

        async def looking() -> None:
            nonlocal fault
            before, fault = fault, await asyncio.to_thread(look)
            if fault and fault != before:  # when it begins, not at every look
                _log.error("storage_unreadable", reason=fault)

        await looking()
        task = vital("storage", forever(looking, _LOOK_S))
        registry = CollectorRegistry()
        registry.register(Exposition(figures, lambda: named.names))
        await _serve(config, figures, registry, listener)
        task.cancel()


async def _serve(
    config: Config, figures: Figures, registry: CollectorRegistry, listener: socket.socket
) -> None:
    keep_addresses_out_of_the_log()
    application = site(
        registry,
        lambda: [*readiness.faults(figures, config.erase_within_h)],
        has_name=not is_loopback(listener.getsockname()[0]),
    )
    server = _Server(
        uvicorn.Config(
            application,
            http=_Connection,
            log_config=None,
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_KEEP_ALIVE_S,
            server_header=False,
            lifespan="off",
            ws="none",
        )
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    beating = vital("heartbeat", forever(beat, BEAT_S))
    say(READY)
    await server.serve([listener])
    beating.cancel()


class _Connection(Protocol):
    """One of _CONNECTIONS_MAX: where there are more, the oldest ends, so that nobody fills them."""

    _open: ClassVar[dict[_Connection, None]] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 uvicorn's
        super().__init__(*arguments, headers_s=_HEADERS_S, request_s=_REQUEST_S, **options)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for this connection."""
        super().connection_made(transport)
        self._open[self] = None
        if len(self._open) > _CONNECTIONS_MAX:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave room to others."""
        super().connection_lost(exc)
        self._open.pop(self, None)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the supervisor alone handles SIGINT."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle none."""
        yield

    def stop(self) -> None:
        """End ``serve``."""
        self.should_exit = True


class _Named:
    """Names of organisations and banks, by the numbers under which they are counted."""

    def __init__(self, reader: RegistryReader) -> None:
        self._reader = reader
        self.names: Names = {}

    def look(self) -> None:
        """Read them. Raises DisruptError."""
        ring = KeyRing(
            self._reader.keys(), self._reader.banks(), self._reader.organisations(), day=today()
        )
        organisations = {place(number): name for name, number in ring.numbers.items()}
        banks = {number % families.BANKS_MAX: name for number, name in ring.bank_names.items()}
        self.names = {"organisation": {0: "without a key"} | organisations, "bank": banks}
