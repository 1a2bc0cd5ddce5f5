"""Match ids: answers of lookups, sealed, so that the server need not store them."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from disrupt.errors import InvalidRequestError, Violation

_VERSION = 1
_HEADER = struct.Struct(">BH")  # version, day since 1970
_BODY = struct.Struct(">16s4sIH")  # item id, key id, time in s, distance in bits
_NONCE_BYTES = 12
_TAG_BYTES = 16
_LENGTH = _HEADER.size + _NONCE_BYTES + _BODY.size + _TAG_BYTES
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class MatchToken:
    """Content of a match id: the item, the key that got it, time (s since 1970), distance."""

    item_id: bytes
    key_id: str
    time_s: int
    distance_bits: int


def not_a_match_id() -> InvalidRequestError:
    """Return the error for a match id that is forged, or that another organisation got: alike."""
    return InvalidRequestError.of(
        Violation("match_id", "no match id that your organisation got: pass one back unaltered")
    )


class MatchTokens:
    """Seal and open match ids with AES-256-GCM. Thread-safe.

    The nonces are random: at most 2³² of them under one key (NIST SP 800-38D, 8.3), so each day has
    a key of its own, derived from the secret.
    """

    def __init__(self, secret: bytes) -> None:
        """Take the ``secret``, 32 random bytes."""
        self._secret = secret
        self._of_day = lru_cache(maxsize=4)(self._cipher)

    def seal(
        self, item_ids: Sequence[bytes], distances_bits: Sequence[int], key_id: str, time_s: int
    ) -> list[bytes]:
        """Return the match ids of matches, 57 bytes each."""
        if not item_ids:
            return []
        header = _HEADER.pack(_VERSION, time_s // _DAY_S)
        cipher, key = self._of_day(time_s // _DAY_S), bytes.fromhex(key_id)
        nonces = os.urandom(_NONCE_BYTES * len(item_ids))
        sealed = []
        for at, (item_id, distance_bits) in enumerate(zip(item_ids, distances_bits, strict=True)):
            nonce = nonces[at * _NONCE_BYTES : (at + 1) * _NONCE_BYTES]
            body = _BODY.pack(item_id, key, time_s, distance_bits)
            sealed.append(header + nonce + cipher.encrypt(nonce, body, header))
        return sealed

    def open(self, match_id: bytes) -> MatchToken:
        """Invert ``seal``. Raises InvalidRequestError for what was not sealed here."""
        header, sealed = match_id[: _HEADER.size], match_id[_HEADER.size :]
        try:
            version, day = _HEADER.unpack(header)
            if version != _VERSION or len(match_id) != _LENGTH:
                raise InvalidTag  # noqa: TRY301 all that is refused is refused alike
            body = self._of_day(day).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], header)
        except (InvalidTag, struct.error):
            raise not_a_match_id() from None
        item_id, key, time_s, distance_bits = _BODY.unpack(body)
        return MatchToken(item_id, key.hex(), time_s, distance_bits)

    def _cipher(self, day: int) -> AESGCM:
        info = b"disrupt match id\0" + day.to_bytes(4)
        return AESGCM(hmac.digest(self._secret, info, hashlib.sha256))
