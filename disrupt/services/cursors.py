"""Cursors as callers hold them: sealed, so that they reveal nothing and cannot be forged."""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from disrupt.core.changes import Cursor, not_a_cursor

_KEY_BYTES = 64
_SALT_BYTES = 8
_SAME = bytes(_SALT_BYTES)


class SealedCursors:
    """Seal and open cursors with AES-SIV (RFC 5297). Thread-safe.

    Two texts of one cursor differ, so that nobody sees whether something changed in between.
    """

    def __init__(self, secret: bytes) -> None:
        """Derive the key from ``secret``, 32 random bytes that may have other uses."""
        key = HKDFExpand(SHA256(), _KEY_BYTES, b"disrupt cursor").derive(secret)
        self._cipher = AESSIV(key)

    def seal(self, cursor: Cursor, *, same: bool = False) -> str:
        """Return 76 characters; with ``same``, always the same, for a replayed answer."""
        salt = _SAME if same else os.urandom(_SALT_BYTES)
        body = self._cipher.encrypt(cursor.to_bytes(), [salt])
        return base64.urlsafe_b64encode(salt + body).decode()

    def open(self, text: str) -> Cursor:
        """Invert ``seal``. Raises InvalidRequestError for what was not sealed here."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            body = self._cipher.decrypt(raw[_SALT_BYTES:], [raw[:_SALT_BYTES]])
        except (UnicodeEncodeError, binascii.Error, InvalidTag):
            raise not_a_cursor() from None
        return Cursor.from_bytes(body)
