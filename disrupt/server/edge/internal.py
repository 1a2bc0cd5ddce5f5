"""The internal listener: machines of one deployment call each other over mutual TLS.

A certificate names its machine (CN) and, as a DNS name, its role. Only certificates of the
deployment's own authority are accepted. A writer checks the key for which a machine calls, too.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import grpc
from grpc import aio

from disrupt.core.policy import ApiKey
from disrupt.errors import ConfigurationError, PermissionDeniedError, UnauthenticatedError
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import Continuation, Handler, no_such_call, refusal
from disrupt.server.edge.methods import FOR_MACHINES, METHODS
from disrupt.server.edge.receiving import Context
from disrupt.server.edge.today import today
from disrupt.server.metrics.certificates import show_expiry

WRITER, MATCH = "writer", "match"
"""Roles of certificates: of a machine that writes the registry, and of one that answers lookups."""

WRITER_CALLS = (
    *(path for path, method in METHODS.items() if method.is_relayed),
    *FOR_MACHINES,
)
"""Begins of the calls that machines which answer lookups make of the writer."""

_NAMES = "x509_subject_alternative_name"
"""Where gRPC shows the names of a caller's certificate."""

_PING_PAUSE_MS = 1000
"""Pause after which a caller may ask again whether a connection works, or gRPC hangs up on it."""

_RECONNECT_MS = 500
_ALIVE_MS = 2000
"""Time after which a silent connection is asked whether it works, and for its answer."""


_KEYS_S = 1.0
"""Age from which on keys are read anew."""


class InternalCalls(aio.ServerInterceptor):
    """Answer some calls, to certificates of one role; refuse all others."""

    def __init__(self, role: str, calls: tuple[str, ...]) -> None:
        """Answer methods that begin with any of ``calls``."""
        self._role = role
        self._calls = calls

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Implement aio.ServerInterceptor."""
        if not details.method.startswith(self._calls):
            return refusal(no_such_call())
        handler = await continuation(details)
        return handler and self._for_role(handler)

    def _for_role(self, handler: Handler) -> Handler:
        """Check the certificate when a call is answered: interceptors are not shown it."""
        behaviour: Any = handler.stream_unary or handler.stream_stream

        async def answer(request: object, context: Context) -> Any:  # noqa: ANN401 any message
            answered = behaviour
            if self._role.encode() not in context.auth_context()[_NAMES]:
                answered = refusal(_other_role(self._role)).stream_stream
            return await answered(request, context)

        made = (
            grpc.stream_unary_rpc_method_handler
            if handler.stream_unary
            else grpc.stream_stream_rpc_method_handler
        )
        return made(answer, handler.request_deserializer, handler.response_serializer)


class ValidKeys:
    """The keys that are valid now, by id, as read a second ago at most. For one event loop."""

    def __init__(self, registry: RegistryReader) -> None:
        self._registry = registry
        self._keys: dict[str, ApiKey] = {}
        self._read_s = -math.inf
        self._reading = asyncio.Lock()

    async def get(self, key_id: str) -> ApiKey:
        """Return a key. Raises UnauthenticatedError where none of this id is valid.

        An unknown key may have been made a moment ago: it is searched for once more a second later.
        """
        key = await self._get(key_id)
        if key is None and key_id:
            await asyncio.sleep(_KEYS_S)
            key = await self._get(key_id)
        if key is None:
            raise UnauthenticatedError(
                "The key for which this machine asks is not known, has expired, or was revoked."
            )
        return key

    async def _get(self, key_id: str) -> ApiKey | None:
        async with self._reading:
            now_s = time.monotonic()
            if now_s - self._read_s >= _KEYS_S:
                keys, day = await asyncio.to_thread(self._registry.keys), today()
                self._keys = {key.key_id: key for key in keys if key.valid_on(day)}
                self._read_s = now_s
        return self._keys.get(key_id)


def _other_role(role: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"This call needs a certificate of the role {role}.")


def options(config: Config) -> list[tuple[str, int]]:
    """Return gRPC's options for a server that listens internally."""
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_PAUSE_MS),
    ]


def listen(server: aio.Server, config: Config) -> None:
    """Let a server listen as the settings say. Raises ConfigurationError."""
    try:
        key, certificate, authority = _files(config)
        show_expiry(certificate)
        credentials = grpc.ssl_server_credentials(
            [(key, certificate)], authority, require_client_auth=True
        )
        server.add_secure_port(str(config.internal_listen), credentials)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"Cannot listen on {config.internal_listen}: check internal_listen, internal_cert,"
            f" internal_key and internal_ca ({error})."
        ) from error


def channel(target: str, role: str, config: Config) -> aio.Channel:
    """Return a channel to a machine of a role, or to the first of several that listens.

    It notices within some seconds that a machine is cut off. Raises ConfigurationError.
    """
    try:
        key, certificate, authority = _files(config)
    except OSError as error:
        raise ConfigurationError(
            f"Check internal_cert, internal_key and internal_ca ({error})."
        ) from error
    return aio.secure_channel(
        target,
        grpc.ssl_channel_credentials(authority, key, certificate),
        options=[
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", _ALIVE_MS),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS),
            ("grpc.keepalive_time_ms", _ALIVE_MS),
            ("grpc.keepalive_timeout_ms", _ALIVE_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.ssl_target_name_override", role),
            ("grpc.default_authority", role),
            ("grpc.enable_http_proxy", 0),
        ],
    )


def _files(config: Config) -> tuple[bytes, bytes, bytes]:
    """Return key, certificate and authority, as PEM. Raises OSError."""
    if not (config.internal_key and config.internal_cert and config.internal_ca):
        raise ConfigurationError("internal_cert, internal_key and internal_ca are needed.")
    return (
        config.internal_key.read_bytes(),
        config.internal_cert.read_bytes(),
        config.internal_ca.read_bytes(),
    )
