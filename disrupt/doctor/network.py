"""Check the address to listen on, and the certificate that is shown there."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from disrupt.doctor.findings import Check, Finding, fail, ok, warn

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")
_EXPIRES_SOON = timedelta(days=21)
_RENEW = "Renew the certificate, and restart the server."


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the certificate chain and of its private key."""

    certificate: Path
    key: Path


def checks(listen: str | None, tls: Tls | None) -> tuple[Check, ...]:
    """Return the checks that the given settings allow."""
    selected = []
    if listen is not None:
        selected.append(Check("address", lambda: address(listen, tls), "Choose another address."))
    if tls is not None:
        selected.append(Check("tls", lambda: certificate(tls, datetime.now(UTC)), _RENEW))
    return tuple(selected)


def address(listen: str, tls: Tls | None) -> Iterator[Finding]:
    """Check that HOST:PORT can be bound, or is served already, and is not public without TLS."""
    parsed = _ADDRESS.fullmatch(listen)
    if not parsed or int(parsed["port"]) >= 2**16:
        yield fail("address", f"{listen!r} is no address.", "Write HOST:PORT or [IPV6]:PORT.")
        return
    host, port = parsed["v6"] or parsed["name"], int(parsed["port"])
    if tls is None and not _is_loopback(host):
        yield fail(
            "address",
            f"{listen} can be reached from other machines, and no TLS certificate is given: the"
            " server refuses to start.",
            "Give --tls-cert and --tls-key, or listen on 127.0.0.1.",
        )
        return
    family, kind, protocol, _, where = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            yield warn(
                "address",
                f"{listen} cannot be taken: {error.strerror}.",
                "Fine where the server is running already (`disrupt health` tells); otherwise stop"
                " what holds the port, or choose another.",
            )
            return
    yield ok("address", f"{listen} can be listened on.")


def certificate(tls: Tls, now: datetime) -> Iterator[Finding]:
    """Check that the chain is readable, fits the key, and is valid now and for some weeks."""
    try:
        chain = x509.load_pem_x509_certificates(tls.certificate.read_bytes())
        key = load_pem_private_key(tls.key.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        yield fail(
            "tls",
            f"The certificate or its key cannot be read: {error}",
            "Give PEM files: the certificate with its chain, and a private key without password.",
        )
        return
    leaf = chain[0]
    days = (leaf.not_valid_after_utc - now).days
    names = ", ".join(_names(leaf))
    if _public(leaf.public_key()) != _public(key.public_key()):
        yield fail(
            "tls", "The private key is not that of the certificate.", "Give the pair that belongs."
        )
    elif not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        yield fail(
            "tls",
            f"The certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to"
            f" {leaf.not_valid_after_utc:%Y-%m-%d}, and not now: no client will connect.",
            _RENEW,
        )
    elif not names:
        yield fail(
            "tls",
            "The certificate names no host in its subjectAltName: no client will accept it.",
            "Have it issued for the names that clients use.",
        )
    elif leaf.not_valid_after_utc - now < _EXPIRES_SOON:
        yield warn("tls", f"The certificate for {names} expires in {days} days.", _RENEW)
    elif tls.key.stat().st_mode & 0o077:
        yield warn("tls", "Other users may read the private key.", f"chmod 600 {tls.key}")
    else:
        yield ok("tls", f"The certificate is for {names}, and valid for {days} more days.")


def _names(leaf: x509.Certificate) -> list[str]:
    with contextlib.suppress(x509.ExtensionNotFound):
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = names.get_values_for_type(x509.IPAddress)
        return [*names.get_values_for_type(x509.DNSName), *map(str, addresses)]
    return []


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
