"""PINs at rest: argon2id over an HMAC of the PIN under a pepper that the database does not hold."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError

from disrupt.errors import DataDirectoryError

_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
"""OWASP's first choice for argon2id; with more, guessers would make the machine spend more.

See docs/decisions.md, "Hash PINs with 19 MiB".
"""

_log = structlog.get_logger(__name__)


class Pins:
    """Hash and verify PINs. Thread-safe; one thread at a time takes the memory for it.

    Checks go first: the throttle keeps them few, and withdrawals wait for them.
    """

    def __init__(self, pepper: bytes) -> None:
        """Take the ``pepper``, 32 random bytes."""
        self._pepper = pepper
        self._hasher = PasswordHasher(
            memory_cost=_MEMORY_KIB, time_cost=_PASSES, parallelism=_LANES
        )
        self._free = threading.Condition()
        self._busy = False
        self._checks = 0
        """Checks that wait."""

    def hash(self, pin: str) -> str:
        """Return the encoded hash of a PIN, with a salt of its own."""
        with self._memory(is_check=False):
            return self._hasher.hash(self.proof(pin))

    def verify(self, encoded: str, proof: bytes) -> bool:
        """Tell whether an encoded hash is of the PIN of which ``proof`` is.

        DataDirectoryError where the hash is damaged, or there is no memory to check it.
        """
        with self._memory(is_check=True):
            try:
                return self._hasher.verify(encoded, proof)
            except VerifyMismatchError:
                return False
            except (VerificationError, ValueError) as error:
                # of an error that quotes the hash only the kind
                reason = str(error) if isinstance(error, VerificationError) else ""
                _log.error("pin_hash_unreadable", reason=reason or type(error).__name__)
                raise DataDirectoryError(
                    "The PIN of this case cannot be checked: its record is damaged. Nothing was"
                    " changed. Tell those who run the server."
                ) from None

    @contextmanager
    def _memory(self, *, is_check: bool) -> Iterator[None]:
        """Wait until no other thread hashes and, unless this one checks, none waits to check."""
        with self._free:
            self._checks += is_check
            self._free.wait_for(lambda: not self._busy and (is_check or not self._checks))
            self._checks -= is_check
            self._busy = True
        try:
            yield
        finally:
            with self._free:
                self._busy = False
                self._free.notify_all()

    def proof(self, pin: str) -> bytes:
        """Return the MAC of a PIN under the pepper, 32 bytes, which argon2id then hashes."""
        return hmac.digest(self._pepper, b"disrupt pin\0" + pin.encode(), hashlib.sha256)
