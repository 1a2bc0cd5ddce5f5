"""Address a server and open channels to it: key, TLS, channel options."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import grpc

from disrupt.errors import ConfigurationError

_Channel = TypeVar("_Channel")

DEFAULT_SERVER = "127.0.0.1:50051"

MAX_ANSWER_BYTES = 256 * 2**20
"""Largest answer that is accepted: a full batch whose every hash has many matches."""

LOOKUPS = "disrupt.lookups"
"""Service of the health protocol that serves while a process answers lookups, however stale."""

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)
_KEY = re.compile(r"[\x21-\x7e]+")
_MAX_PORT = 65535


_BALANCED = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": LOOKUPS},
    }
)
"""Service configuration: gRPC takes turns at the addresses whose health says that they serve."""

_ALIVE_MS = 2_000
"""Interval of keepalive pings to each of several machines, and time allowed for the answer.

A call that waits for a machine which is cut off fails within both, and is tried on another.
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and credentials of a server; without ``credentials`` plaintext, on loopback only.

    ``server`` may be several addresses, between commas: then ``target`` names them all for gRPC.
    """

    server: str
    target: str
    loopback: bool
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    credentials: grpc.ChannelCredentials | None = field(repr=False)
    certificate_name: str | None = None
    """Name that the server's certificate must be for, if it is not the name in ``server``."""

    @property
    def options(self) -> list[tuple[str, int | str]]:
        """Channel options. Each channel has its own TCP connection, to reach different workers."""
        options: list[tuple[str, int | str]] = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 200),
            # Calls within this time of a failed connection fail at once. It is short, so that
            # they find a server that is back.
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ]
        if "," in self.server:
            options += [
                ("grpc.service_config", _BALANCED),
                ("grpc.keepalive_time_ms", _ALIVE_MS),
                ("grpc.keepalive_timeout_ms", _ALIVE_MS),
                ("grpc.http2.max_pings_without_data", 0),
            ]
        if self.loopback:
            options.append(("grpc.enable_http_proxy", 0))
        if self.certificate_name:
            options.append(("grpc.ssl_target_name_override", self.certificate_name))
        return options

    def open(self) -> grpc.Channel:
        """Open a channel; it connects with its first call."""
        return self._open(grpc.secure_channel, grpc.insecure_channel)

    def open_async(self) -> grpc.aio.Channel:
        """Open a channel of the running event loop."""
        return self._open(grpc.aio.secure_channel, grpc.aio.insecure_channel)

    def _open(self, secure: Callable[..., _Channel], insecure: Callable[..., _Channel]) -> _Channel:
        if self.credentials is None:
            return insecure(self.target, options=self.options)
        return secure(self.target, self.credentials, options=self.options)


def connect(server: object, key: object, tls_ca: object = None) -> Connection:
    """Make the Connection to a ``server``.

    It is ``HOST:PORT`` or ``[IPV6]:PORT``. Several, between commas, are IP addresses of machines
    that answer alike: calls take turns at those that answer, and over TLS each shows a certificate
    for the first address. Plaintext on loopback, TLS everywhere else. ``tls_ca`` (PEM bytes, or the
    path of a PEM file) names the authorities to trust instead of the system's, and switches TLS on
    for loopback too.
    Raises ConfigurationError for what cannot work; its metadata name the ``setting``: ``server``,
    ``key`` or ``tls_ca``.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ConfigurationError(
            "The key is empty, no text, or has characters that no key has; copy it again, without"
            " spaces and line breaks.",
            setting="key",
        )
    metadata = (("authorization", f"Bearer {key}"),)
    return replace(connect_without_key(server, tls_ca), metadata=metadata)


def connect_without_key(server: object, tls_ca: object = None) -> Connection:
    """Make the Connection for health checks, which need no key."""
    parts = server.split(",") if isinstance(server, str) else [server]
    addresses = [_address(part) for part in parts]
    servers = [address.text for address in addresses]
    target = f"dns:///{servers[0]}"
    if len(addresses) > 1:
        target = _target(addresses)
    loopback = all(_is_loopback(address.host) for address in addresses)
    credentials = None
    if tls_ca is not None or not loopback:
        credentials = grpc.ssl_channel_credentials(root_certificates=_certificates(tls_ca))
    return Connection(
        server=",".join(servers),
        target=target,
        loopback=loopback,
        metadata=(),
        credentials=credentials,
        certificate_name=addresses[0].host if len(addresses) > 1 else None,
    )


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    text: str


def _address(text: object) -> _Address:
    """Return host, and HOST:PORT. Raises ConfigurationError."""
    address = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    port = int((address and address["port"]) or 0)
    if not address or not 0 < port <= _MAX_PORT:
        what = "has no port" if address and not address["port"] else "is no server address"
        raise ConfigurationError(
            f"{text!r} {what}: write HOST:PORT, as in {DEFAULT_SERVER}.", setting="server"
        )
    if address["v6"]:
        return _Address(address["v6"], f"[{address['v6']}]:{port}")
    return _Address(address["name"], f"{address['name']}:{port}")


def _target(addresses: Sequence[_Address]) -> str:
    """Return the name by which gRPC knows several addresses. Raises ConfigurationError."""
    try:
        versions = {ipaddress.ip_address(address.host).version for address in addresses}
    except ValueError:
        versions = set()
    if len(versions) != 1:
        raise ConfigurationError(
            "Several servers are given as IP addresses, all of version 4 or all of version 6. Or"
            " give one name that has several addresses.",
            setting="server",
        )
    return f"ipv{versions.pop()}:" + ",".join(address.text for address in addresses)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _certificates(tls_ca: object) -> bytes | None:
    if tls_ca is None:
        return None
    if not isinstance(tls_ca, bytes | str | Path):
        raise ConfigurationError(
            "Give the certificates to trust as PEM bytes, or as the path of a PEM file, "
            f"not as {type(tls_ca).__name__}.",
            setting="tls_ca",
        )
    try:
        certificates = tls_ca if isinstance(tls_ca, bytes) else Path(tls_ca).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"Cannot read the file of certificates to trust (tls_ca): {why}.", setting="tls_ca"
        ) from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=certificates.decode("ascii")
        )
    except (ssl.SSLError, ValueError) as error:  # ValueError: nothing, or not ASCII
        raise ConfigurationError(
            "The certificates to trust (tls_ca) must be a PEM file (-----BEGIN CERTIFICATE-----)"
            f" that is whole: {error}",
            setting="tls_ca",
        ) from error
    return certificates
