"""Make certificates of servers and proxies: self-signed, from a key made on the spot."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files."""

    certificate: Path
    key: Path


def self_signed(*hosts: str, days: float = 90) -> tuple[bytes, bytes]:
    """Return key and certificate of host names and IP addresses, as PEM.

    The certificate is valid since yesterday, and for ``days`` more days.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(map(_name, hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def in_one_file(pem: Path, *hosts: str) -> Path:
    """Write key and certificate of ``self_signed`` to one file, as HAProxy reads them."""
    pem.write_bytes(b"".join(self_signed(*hosts)))
    return pem


def pair(directory: Path, host: str, *, days: float = 90) -> Pair:
    """Write key and certificate of ``self_signed`` to files."""
    written = Pair(directory / "cert.pem", directory / "key.pem")
    private, certificate = self_signed(host, days=days)
    written.certificate.write_bytes(certificate)
    written.key.touch(mode=0o600)
    written.key.write_bytes(private)
    return written
