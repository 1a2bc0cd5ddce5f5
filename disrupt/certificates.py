"""Why a certificate and a key, as PEM files, do not fit: OpenSSL names neither of them."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

_PEM_MARKS = {"certificate": b"CERTIFICATE-----", "private key": b"PRIVATE KEY-----"}


def misfit(certificate: Path, key: Path) -> str:
    """Say which of two files cannot be used, and why; empty where they belong together."""
    contents = []
    for path, what in ((certificate, "certificate"), (key, "private key")):
        try:
            content = path.read_bytes()
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        held = [each for each, mark in _PEM_MARKS.items() if mark in content]
        if what not in held:
            return f"{path} holds no {what} in PEM" + (f", but a {held[0]}" if held else "")
        contents.append(content)
    chain, private = contents
    try:
        certified = load_pem_x509_certificate(chain).public_key()
    except ValueError:
        return f"{certificate} holds a damaged certificate"
    try:
        own = load_pem_private_key(private, password=None).public_key()
    except TypeError:
        return f"{key} is protected by a password, which nobody is there to give"
    except (ValueError, UnsupportedAlgorithm):
        return f"{key} holds a damaged private key, or one of an unknown kind"
    return "" if certified == own else f"{key} is the key of another certificate"
