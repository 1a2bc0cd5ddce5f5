"""Address a server and open channels to it: key, TLS, channel options."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from disrupt.errors import ConfigurationError

_Channel = TypeVar("_Channel")

DEFAULT_PORT = 50051
DEFAULT_SERVER = f"127.0.0.1:{DEFAULT_PORT}"

MAX_ANSWER_BYTES = 256 * 2**20
"""Largest answer that is accepted: a full batch whose every hash has many matches."""

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
)
_KEY = re.compile(r"[\x21-\x7e]+")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and credentials of a server; without ``credentials`` plaintext, on loopback only."""

    server: str
    loopback: bool
    metadata: tuple[tuple[str, str], ...] = field(repr=False)
    credentials: grpc.ChannelCredentials | None = field(repr=False)

    @property
    def uses_tls(self) -> bool:
        """Tell whether channels speak TLS."""
        return self.credentials is not None

    @property
    def options(self) -> list[tuple[str, int]]:
        """Channel options. Each channel has its own TCP connection, to reach different workers."""
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 200),
            # Calls within this time of a failed connection fail at once. It is short, so that
            # they find a server that is back.
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ]
        return [*options, ("grpc.enable_http_proxy", 0)] if self.loopback else options

    def open(self) -> grpc.Channel:
        """Open a channel; it connects with its first call."""
        return self._open(grpc.secure_channel, grpc.insecure_channel)

    def open_async(self) -> grpc.aio.Channel:
        """Open a channel of the running event loop."""
        return self._open(grpc.aio.secure_channel, grpc.aio.insecure_channel)

    def _open(self, secure: Callable[..., _Channel], insecure: Callable[..., _Channel]) -> _Channel:
        target = f"dns:///{self.server}"
        if self.credentials is None:
            return insecure(target, options=self.options)
        return secure(target, self.credentials, options=self.options)


def connect(
    server: object,
    key: object,
    tls_ca: object = None,
    client_cert: object = None,
    client_key: object = None,
) -> Connection:
    """Make the Connection to a ``server``.

    It is ``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT``; the port is 50051 by default. Plaintext on
    loopback, TLS everywhere else. ``tls_ca`` (PEM bytes, or the path of a PEM file)
    names the authorities to trust instead of the system's, and switches TLS on for loopback too.
    So do ``client_cert``, the certificate chain that this client shows, and ``client_key``, its
    private key, given as ``tls_ca`` is.
    Raises ConfigurationError for what cannot work; its metadata name the ``setting``: ``server``,
    ``key``, ``tls_ca``, ``client_cert`` or ``client_key``.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ConfigurationError(
            "The key is empty, no text, or has characters that no key has; copy it again, without"
            " spaces and line breaks.",
            setting="key",
        )
    metadata = (("authorization", f"Bearer {key}"),)
    connection = connect_without_key(server, tls_ca, client_cert, client_key)
    return replace(connection, metadata=metadata)


def connect_without_key(
    server: object, tls_ca: object = None, client_cert: object = None, client_key: object = None
) -> Connection:
    """Make the Connection for health checks, which need no key."""
    address = _ADDRESS.fullmatch(server) if isinstance(server, str) else None
    port = int((address and address["port"]) or DEFAULT_PORT)
    if not address or not 0 < port <= _MAX_PORT:
        raise ConfigurationError(
            f"{server!r} is no server address: write HOST:PORT, as in {DEFAULT_SERVER}.",
            setting="server",
        )
    host = address["v6"] or address["name"]
    loopback = is_loopback(host)
    certificate, private_key = _client_pair(client_cert, client_key)
    credentials = None
    if tls_ca is not None or certificate is not None or not loopback:
        credentials = grpc.ssl_channel_credentials(
            _certificates(tls_ca, "tls_ca", "the certificates to trust"), private_key, certificate
        )
    return Connection(
        server=f"[{host}]:{port}" if address["v6"] else f"{host}:{port}",
        loopback=loopback,
        metadata=(),
        credentials=credentials,
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host, by name or address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _client_pair(client_cert: object, client_key: object) -> tuple[bytes | None, bytes | None]:
    """Return the certificate that this client shows, and its key; None where none are given."""
    if (client_cert is None) != (client_key is None):
        raise ConfigurationError(
            "client_cert and client_key belong together: give both or none.",
            setting="client_key" if client_key is None else "client_cert",
        )
    certificate = _certificates(client_cert, "client_cert", "the client certificate")
    private_key = _pem(client_key, "client_key", "the key of the client certificate")
    if certificate is None or private_key is None:
        return None, None
    try:
        key = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"The key of the client certificate (client_key) must be a PEM file without a password:"
            f" {error}",
            setting="client_key",
        ) from error
    leaf = x509.load_pem_x509_certificates(certificate)[0]
    if key.public_key() != leaf.public_key():
        raise ConfigurationError(
            "The private key (client_key) is not that of the client certificate (client_cert).",
            setting="client_key",
        )
    return certificate, private_key


def _certificates(given: object, setting: str, what: str) -> bytes | None:
    certificates = _pem(given, setting, what)
    if certificates is None:
        return None
    try:
        x509.load_pem_x509_certificates(certificates)
    except ValueError as error:
        raise ConfigurationError(
            f"The file of {what} ({setting}) must be PEM (-----BEGIN CERTIFICATE-----), and whole:"
            f" {error}",
            setting=setting,
        ) from error
    return certificates


def _pem(given: object, setting: str, what: str) -> bytes | None:
    """Return PEM bytes, which are given or are the content of a file."""
    if given is None:
        return None
    if not isinstance(given, bytes | str | Path):
        raise ConfigurationError(
            f"Give {what} as PEM bytes, or as the path of a PEM file, not as"
            f" {type(given).__name__}.",
            setting=setting,
        )
    try:
        return given if isinstance(given, bytes) else Path(given).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"Cannot read the file of {what} ({setting}): {why}.", setting=setting
        ) from error
