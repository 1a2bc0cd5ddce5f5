"""Base of the clients for the hotline's staff."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import grpc

from disrupt.client import calls
from disrupt.client.calls import TIMEOUT_S
from disrupt.client.retries import RetryPolicy

_Stub = TypeVar("_Stub")


class StaffClient(Generic[_Stub]):
    """A connection to a server. A context; arguments as MatchClient's.

    Methods of subclasses raise classes of disrupt.errors only.
    """

    _stub_type: Callable[[grpc.Channel], _Stub]

    def __init__(
        self,
        server: str,
        *,
        key: str,
        tls_ca: bytes | str | Path | None = None,
        client_cert: bytes | str | Path | None = None,
        client_key: bytes | str | Path | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: RetryPolicy | None = None,
    ) -> None:
        pair = client_cert, client_key
        self._settings = calls.client_settings(server, key, tls_ca, 1, timeout_s, retries, pair)
        self._channel = self._settings.connection.open()
        self._stub = self._stub_type(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: object) -> Any:  # noqa: ANN401 of any message
        return calls.call(lambda: method, request, self._settings)
