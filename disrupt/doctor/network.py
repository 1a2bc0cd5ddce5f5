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

from disrupt.certificates import misfit
from disrupt.doctor.findings import Check, Finding, fail, ok, warn

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")
_EXPIRES_SOON = timedelta(days=21)
_RENEW_AUTHORITY = "Put the next authority into the file beside it; no restart is needed."
_RENEW = "Renew the certificate, and restart the server."


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the certificate chain and of its private key."""

    certificate: Path
    key: Path


def checks(
    listen: str | None,
    tls: Tls | None,
    client_listen: str | None = None,
    client_ca: Path | None = None,
) -> tuple[Check, ...]:
    """Return the checks that the given settings allow."""
    selected = []
    if client_listen is not None:
        taken = "Choose another address."
        selected.append(Check("client address", lambda: address(client_listen, tls), taken))
    if client_ca is not None:
        look = lambda: authorities(client_ca, datetime.now(UTC))  # noqa: E731 as the others below
        selected.append(Check("client_ca", look, _RENEW_AUTHORITY))
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
    if why := misfit(tls.certificate, tls.key):
        yield fail(
            "tls",
            f"{why}.",
            "Give PEM files: the certificate with its chain, and its private key without password.",
        )
        return
    leaf = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    days = (leaf.not_valid_after_utc - now).days
    names = ", ".join(_names(leaf))
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
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


def authorities(client_ca: Path, now: datetime) -> Iterator[Finding]:
    """Check that the authorities for client certificates are readable, and valid for some weeks."""
    try:
        certificates = x509.load_pem_x509_certificates(client_ca.read_bytes())
    except ValueError as error:
        yield fail(
            "client_ca", f"{client_ca} cannot be read: {error}", "Give a PEM file of certificates."
        )
        return
    for authority in certificates:
        name = authority.subject.rfc4514_string()
        end = f"{authority.not_valid_after_utc:%Y-%m-%d}"
        if not authority.not_valid_before_utc <= now <= authority.not_valid_after_utc:
            yield fail(
                "client_ca",
                f"The authority {name} is not valid now, but until {end}: nobody with a certificate"
                " of it can connect.",
                _RENEW_AUTHORITY,
            )
        elif authority.not_valid_after_utc - now < _EXPIRES_SOON:
            yield warn("client_ca", f"The authority {name} expires on {end}.", _RENEW_AUTHORITY)
        else:
            yield ok("client_ca", f"Client certificates of {name} are accepted until {end}.")


def _names(leaf: x509.Certificate) -> list[str]:
    with contextlib.suppress(x509.ExtensionNotFound):
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = names.get_values_for_type(x509.IPAddress)
        return [*names.get_values_for_type(x509.DNSName), *map(str, addresses)]
    return []


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
