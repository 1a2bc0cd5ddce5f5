"""Cursors as callers hold them: sealed, so that they reveal nothing and cannot be forged."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from disrupt.core.changes import EPOCH_BYTES, Cursor, not_a_cursor
from disrupt.core.policy import Scope
from disrupt.errors import CursorExpiredError, InvalidRequestError, Violation

NEW_DAYS = 35
"""Days for which a cursor of new items is taken: a platform that asks once a month is in time. It
also bounds how far back such cursors tell when something was registered."""

_KEY_BYTES = 64
_SALT_BYTES = 8
_SAME = bytes(_SALT_BYTES)
_TIME_BYTES = 4
_DAY_BYTES = 4
_DIGEST_BYTES = 8


class SealedCursors:
    """Seal and open cursors with AES-SIV (RFC 5297). Thread-safe.

    Two texts of one cursor differ, so that nobody sees whether something changed in between.
    """

    def __init__(self, secret: bytes) -> None:
        """Derive the key from ``secret``, 32 random bytes that may have other uses."""
        key = HKDFExpand(SHA256(), _KEY_BYTES, b"disrupt cursor").derive(secret)
        self._cipher = AESSIV(key)
        key = HKDFExpand(SHA256(), _KEY_BYTES, b"disrupt since").derive(secret)
        self._new_cipher = AESSIV(key)

    def seal(self, cursor: Cursor, *, same: bool = False, newest_at_s: int = 0) -> str:
        """Return 80 characters; with ``same``, always the same, for a replayed answer.

        ``newest_at_s`` is a time at which no change followed (s since 1970), 0 where one did.
        """
        salt = _SAME if same else os.urandom(_SALT_BYTES)
        body = self._cipher.encrypt(cursor.to_bytes() + newest_at_s.to_bytes(_TIME_BYTES), [salt])
        return base64.urlsafe_b64encode(salt + body).decode()

    def open(self, text: str) -> Cursor:
        """Invert ``seal``. Raises InvalidRequestError for what was not sealed here."""
        return self.open_dated(text)[0]

    def open_dated(self, text: str) -> tuple[Cursor, int]:
        """Return the cursor, and its ``newest_at_s``. Raises as ``open``."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            body = self._cipher.decrypt(raw[_SALT_BYTES:], [raw[:_SALT_BYTES]])
        except (UnicodeEncodeError, binascii.Error, InvalidTag):
            raise not_a_cursor() from None
        return Cursor.from_bytes(body[:-_TIME_BYTES]), int.from_bytes(body[-_TIME_BYTES:])

    def seal_since(self, day: int, epoch: bytes, key_id: str, scope: Scope) -> str:
        """Return the text for a lookup that had all that was new before a day, always the same.

        ``day`` counts from 1970-01-01; ``epoch`` is the registry's. The text is of the key
        that asked, and of the banks and distances that it searched.
        """
        body = epoch + day.to_bytes(_DAY_BYTES) + _digest(key_id) + _view(scope)
        return base64.urlsafe_b64encode(self._new_cipher.encrypt(body, None)).decode()

    def open_since(self, text: str, today: int, epoch: bytes, key_id: str, scope: Scope) -> int:
        """Return the day of a text that ``seal_since`` made, for a lookup of ``today``.

        InvalidRequestError for what was not sealed here, is of another key, or of a day to come.
        CursorExpiredError for that of another epoch, of other banks or distances, or of a day more
        than NEW_DAYS ago.
        """
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            body = self._new_cipher.decrypt(raw, None)
        except (UnicodeEncodeError, ValueError, InvalidTag):
            raise _refused(
                "not a cursor of this service: pass the next_since of an answer back unaltered"
            ) from None
        of_epoch, rest = body[:EPOCH_BYTES], body[EPOCH_BYTES:]
        day, of_key = int.from_bytes(rest[:_DAY_BYTES]), rest[_DAY_BYTES:-_DIGEST_BYTES]
        if of_key != _digest(key_id):
            raise _refused("the cursor is of another key")
        if of_epoch != epoch:
            raise _expired("The registry was restored since")
        if rest[-_DIGEST_BYTES:] != _view(scope):
            raise _expired("The lookup searches other banks, or at other distances, than then")
        if day > today:
            raise _refused("the cursor is of a day to come: a server's clock is, or was, wrong")
        if day < today - NEW_DAYS:
            raise _expired(f"The cursor is more than {NEW_DAYS} days old")
        return day


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]


def _view(scope: Scope) -> bytes:
    return _digest(repr(sorted(scope.limits.items())))


def _refused(why: str) -> InvalidRequestError:
    return InvalidRequestError.of(
        Violation("since", f"{why}; leave it empty to look up everything, and for a new cursor")
    )


def _expired(why: str) -> CursorExpiredError:
    return CursorExpiredError(
        f"{why}. Nothing was looked up. Look everything up again, with an empty cursor."
    )
