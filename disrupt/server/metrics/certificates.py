"""Show until when the certificate of a process is valid."""

from __future__ import annotations

from contextlib import suppress

from cryptography import x509

from disrupt.server.metrics import families


def show_expiry(certificate: bytes) -> None:
    """Set the metric of a certificate, PEM, that this process serves.

    Does nothing where it is none, which whoever listens says.
    """
    with suppress(ValueError):
        valid_until = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
        families.CERTIFICATE_EXPIRY.set(value=valid_until.timestamp())
