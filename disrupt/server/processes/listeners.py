"""The addresses on which a worker takes connections, with their certificates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import structlog
from grpc import aio

from disrupt.certificates import misfit
from disrupt.errors import ConfigurationError
from disrupt.server.config import Config

_RENEWED_S = 60.0
"""Time for which a client may resume a session, for which its certificate is not verified again:
one that has expired since is taken so long, and no more."""

_log = structlog.get_logger(__name__)


def listen(server: aio.Server, config: Config) -> None:
    """Open the ports of the configuration. Raises ConfigurationError where that is not possible."""
    if config.tls_cert is None or config.tls_key is None:
        _open(config.listen, "listen", lambda: server.add_insecure_port(config.listen))
        return
    own = (config.tls_cert, config.tls_key)
    _listen_with(server, config.listen, Credentials(*own), "listen, tls_cert and tls_key")
    if config.client_listen is not None:
        strict = Credentials(*own, config.client_ca)
        settings = "client_listen, client_ca, tls_cert and tls_key"
        _listen_with(server, config.client_listen, strict, settings)


def check(config: Config) -> None:
    """Raise ConfigurationError where the files of certificates cannot be used."""
    if config.tls_cert is not None and config.tls_key is not None:
        try:
            Credentials(config.tls_cert, config.tls_key, config.client_ca).read()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"TLS is not possible: {error}.") from error


def _listen_with(server: aio.Server, address: str, credentials: Credentials, settings: str) -> None:
    _open(address, settings, lambda: server.add_secure_port(address, credentials.of_listener()))


def _open(address: str, settings: str, add_port: Callable[[], object]) -> None:
    try:
        add_port()
    except (OSError, RuntimeError, ValueError) as error:
        message = f"Cannot listen on {address}: check {settings} ({error})."
        raise ConfigurationError(message) from error


class Credentials:
    """Certificate and key of a listener, read again once their files have changed.

    So a renewed certificate needs no restart: it is shown from the next connection on. Files that
    do not fit leave those that were read before. With authorities, only clients connect that show
    a certificate of theirs; all is read again each minute then, so that sessions from before
    cannot be resumed.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        authorities: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take PEM files: the certificate chain, its private key, and authorities of clients."""
        self._certificate, self._key, self._authorities = certificate, key, authorities
        self._clock = clock
        self._seen: object = None
        self._read_s = -math.inf

    def of_listener(self) -> grpc.ServerCredentials:
        """Return the credentials of a listener. Errors as ``read``."""
        return grpc.dynamic_ssl_server_credentials(
            self.read(),
            self.changed,  # type: ignore[arg-type]  # the stubs do not know of None
            require_client_authentication=self._authorities is not None,
        )

    def read(self) -> grpc.ServerCertificateConfiguration:
        """Read the files. Raises OSError and ValueError, which say what is wrong with which."""
        self._seen, self._read_s = self._versions(), self._clock()
        if why := misfit(self._certificate, self._key):
            raise ValueError(why)
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        authorities = None if self._authorities is None else self._authorities.read_bytes()
        if authorities is not None and b"-----BEGIN CERTIFICATE-----" not in authorities:
            raise ValueError("client_ca has no certificate in PEM")
        return grpc.ssl_server_certificate_configuration([pair], authorities)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what to use from now on; None if that stays. gRPC asks for each connection."""
        try:
            is_due = self._authorities and self._clock() >= self._read_s + _RENEWED_S
            return self.read() if is_due or self._versions() != self._seen else None
        except (OSError, ValueError) as error:
            _log.error("certificates_unreadable", reason=str(error))
            return None

    def _versions(self) -> object:
        files = filter(None, (self._certificate, self._key, self._authorities))
        return [
            (status.st_ino, status.st_mtime_ns, status.st_size)
            for status in (file.stat() for file in files)
        ]
