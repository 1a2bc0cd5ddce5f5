"""PDQ hashes as values: 256 bits, in the byte order of PDQ's published hex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from disrupt.errors import InvalidRequestError, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

HASH_BYTES = 32
HASH_BITS = 256

_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")

MIN_QUALITY = 50
"""Least PDQ quality of stored hashes, and in lookups of videos and of a caller's hashes; PDQ's
authors advise to discard 49 and below."""

MIN_LOOKUP_QUALITY = 40
"""Least PDQ quality in lookups of a picture: a blurred or low-contrast copy of a picture that was
stored at 50 may have a few less."""

MAX_DISTANCE_BITS = 31
"""Largest distance that is a match unless a bank says less (PDQ's published recommendation)."""

OPERATOR_MAX_DISTANCE_BITS = 63
"""Largest distance an operator may ask for; the index is exact up to here."""


@dataclass(frozen=True, slots=True)
class PdqHash:
    """One hash of 32 bytes."""

    value: bytes

    def __post_init__(self) -> None:
        """Refuse another type or length: InvalidRequestError."""
        if not isinstance(self.value, bytes):
            raise InvalidRequestError.of(
                Violation(
                    "hash",
                    f"a PDQ hash is {HASH_BYTES} bytes, not {type(self.value).__name__};"
                    " PdqHash.from_hex makes one of hex digits",
                )
            )
        if len(self.value) != HASH_BYTES:
            raise InvalidRequestError.of(
                Violation(
                    "hash",
                    f"a PDQ hash has {HASH_BYTES} bytes, this has {len(self.value)}",
                )
            )

    @classmethod
    def from_hex(cls, text: str) -> PdqHash:
        """Parse 64 hex digits of either case; anything else is an InvalidRequestError."""
        try:
            digits = text.strip()
            # fromhex alone accepts white space between the digits.
            value = bytes.fromhex(digits) if len(digits) == 2 * HASH_BYTES else b""
        except (AttributeError, TypeError, ValueError):
            value = b""
        if len(value) != HASH_BYTES:
            raise InvalidRequestError.of(
                Violation(
                    "hash",
                    f"write a PDQ hash as {2 * HASH_BYTES} hex digits (0-9, a-f)",
                )
            )
        return cls(value)

    def hex(self) -> str:
        """Return 64 lowercase hex digits, as PDQ publishes them."""
        return self.value.hex()

    def distance_bits(self, other: PdqHash) -> int:
        """Return the Hamming distance, 0-256."""
        return (int.from_bytes(self.value) ^ int.from_bytes(other.value)).bit_count()


def stack(hashes: Iterable[PdqHash]) -> NDArray[np.uint8]:
    """Stack hashes into one array of shape (n, 32)."""
    return unpack(b"".join(pdq_hash.value for pdq_hash in hashes))


def unpack(packed: bytes) -> NDArray[np.uint8]:
    """View packed bytes as a read-only array of shape (n, 32).

    InvalidRequestError if a part of a hash is left over.
    """
    if len(packed) % HASH_BYTES:
        raise InvalidRequestError.of(
            Violation("hashes", f"{len(packed)} bytes are not a multiple of {HASH_BYTES}")
        )
    return np.frombuffer(packed, np.uint8).reshape(-1, HASH_BYTES)


def refuse_hex_digits(packed: bytes) -> None:
    """Raise InvalidRequestError if packed hashes are hex digits, of which 64 are one hash.

    Read as bytes, the digits of one hash are two hashes that are near nothing. A call is refused if
    all of its bytes are digits: that is the mistake, while one hash that happens to look so, or was
    made to, keeps no other from being looked up. Two hashes of random bits have such bytes with a
    probability of (22/256)**64, about 1e-68.
    """
    if packed.isalnum() and len(packed) % (2 * HASH_BYTES) == 0 and _HEX_DIGITS.issuperset(packed):
        raise InvalidRequestError.of(
            Violation(
                "hashes",
                f"these bytes are hex digits; a hash is {HASH_BYTES} bytes, which"
                f" {2 * HASH_BYTES} digits write: send bytes.fromhex(digits)",
            )
        )


def distances_bits(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return Hamming distances along the last axis, 0-256; the shapes broadcast."""
    distances: NDArray[np.uint16] = np.bitwise_count(left ^ right).sum(axis=-1, dtype=np.uint16)
    return distances
