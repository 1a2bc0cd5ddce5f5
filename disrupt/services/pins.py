"""PINs at rest: argon2id over an HMAC of the PIN under a pepper that the database does not hold."""

from __future__ import annotations

import hashlib
import hmac
import threading

from argon2 import PasswordHasher, profiles
from argon2.exceptions import VerifyMismatchError

_PARAMETERS = profiles.RFC_9106_LOW_MEMORY
"""Second recommendation of RFC 9106, section 4: 64 MiB, 3 passes, 4 lanes.

The first one's 2 GiB for each attempt would let a few callers exhaust the machine.
"""


class Pins:
    """Hashes and verifies PINs. Thread-safe; at most ``concurrency`` at once take their 64 MiB."""

    def __init__(self, pepper: bytes, *, concurrency: int = 2) -> None:
        """``pepper``: 32 random bytes."""
        self._pepper = pepper
        self._hasher = PasswordHasher.from_parameters(_PARAMETERS)
        self._slots = threading.BoundedSemaphore(concurrency)
        self._nobodys = self.hash("")

    def hash(self, pin: str) -> str:
        """Encoded hash of a PIN, with a salt of its own."""
        with self._slots:
            return self._hasher.hash(self._peppered(pin))

    def verify(self, encoded: str | None, pin: str) -> bool:
        """Whether the PIN is right; the same work where there is no case (``encoded`` None)."""
        with self._slots:
            try:
                self._hasher.verify(encoded or self._nobodys, self._peppered(pin))
            except VerifyMismatchError:
                return False
        return encoded is not None

    def _peppered(self, pin: str) -> bytes:
        return hmac.digest(self._pepper, b"disrupt pin\0" + pin.encode(), hashlib.sha256)
