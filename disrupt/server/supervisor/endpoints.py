"""Where the supervisor is asked: metrics over HTTP, commands on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

import disrupt
from disrupt.data_directory import DataDirectory
from disrupt.server.config import Config
from disrupt.server.edge.states import answer_on, bound
from disrupt.server.metrics.rows import Rows
from disrupt.server.supervisor import monitoring
from disrupt.server.supervisor.handover import Listener

_log = structlog.get_logger(__name__)


class Endpoints:
    """The supervisor's own servers. Where one fails it is logged, since serving is worth more."""

    def __init__(self, config: Config, metrics: Listener | None, health: Listener | None) -> None:
        """Take the sockets that the program before passed on."""
        self._config = config
        self.metrics = metrics
        self.health = health
        self._servers: list[asyncio.Server] = []

    async def open(
        self,
        rows: Rows,
        states: Callable[[], list[dict[str, Any]]],
        reload: Callable[[int], Awaitable[dict[str, object]]],
    ) -> None:
        """Serve metrics of ``rows``, the states of processes, and reloads."""
        metrics_address = await self._serve_metrics(rows, states)
        certificate = self._config.tls_cert

        async def answer_states(_caller: int) -> dict[str, object]:
            return {
                "version": disrupt.__version__,
                "role": self._config.role,
                "address": self._config.serves_at,
                "metrics": metrics_address,
                "tls_cert": certificate and str(certificate.absolute()),
                "processes": states(),
            }

        path = DataDirectory(self._config.data_dir).health_socket.absolute()
        try:
            listener = self.health.socket() if self.health else bound(path)
            server = await answer_on(listener, {"states": answer_states, "reload": reload})
        except OSError as error:
            _log.error("health_socket_failed", reason=str(error))
            return
        self._servers.append(server)
        self.health = Listener(wanted="", descriptor=listener.fileno())

    def close(self) -> None:
        """Serve no more."""
        for server in self._servers:
            server.close()
        DataDirectory(self._config.data_dir).health_socket.unlink(missing_ok=True)

    async def _serve_metrics(self, rows: Rows, states: Callable[[], list[dict[str, Any]]]) -> str:
        """Serve metrics; return the address, empty where there is none."""
        listen, kept = self._config.metrics_listen, self.metrics
        self.metrics = None
        try:
            if kept and kept.wanted == listen:
                listener = kept.socket()
            else:
                if kept:
                    kept.socket().close()
                if not listen:
                    return ""
                listener = monitoring.bound(listen)
            server = await monitoring.serve(listener, rows, states, self._config.role)
        except OSError as error:
            _log.error("metrics_not_served", address=listen, reason=error.strerror)
            return ""
        self._servers.append(server)
        self.metrics = Listener(wanted=listen, descriptor=listener.fileno())
        return monitoring.address_of(listener)
