"""Certificates for tests: self-signed, from a key made on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files."""

    certificate: Path
    key: Path

    def subject(self) -> x509.Name:
        """Return whom the certificate is for."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).subject

    def private_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the key."""
        key = load_pem_private_key(self.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key


def pair(directory: Path, name: str, *, days: int = 90, issuer: Pair | None = None) -> Pair:
    """Write a certificate for a name, valid since yesterday and for ``days`` more days.

    It signs itself unless there is an ``issuer``.
    """
    directory.mkdir(exist_ok=True)
    written = Pair(directory / "cert.pem", directory / "key.pem")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject() if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(issuer.private_key() if issuer else key, hashes.SHA256())
    )
    written.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    written.key.touch(mode=0o600)
    written.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return written
