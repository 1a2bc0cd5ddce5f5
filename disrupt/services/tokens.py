"""Match ids: answers of lookups, sealed, so that the server need not store them."""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from disrupt.core.lookups import MATCH_ID_BYTES_MAX, MATCHED_VERSIONS_MAX
from disrupt.core.outcomes import MatchedVersion
from disrupt.errors import InvalidRequestError, Violation

_VERSION = 1
_HEADER = struct.Struct(">BHB")  # version, day since 1970, stored versions
_BODY = struct.Struct(">16s4sI")  # item id, key id, time in s
_MATCHED = struct.Struct(">HHH")  # plan, ordinal, distance in bits
_NONCE_BYTES = 12
_TAG_BYTES = 16
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class MatchToken:
    """Content of a match id: the item, the key that got it, time (s since 1970), and versions.

    ``match`` are 12 random bytes that tell this match from others; ``versions`` are the stored
    versions that matched, the nearest first.
    """

    item_id: bytes
    key_id: str
    time_s: int
    match: bytes
    versions: tuple[MatchedVersion, ...]


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
        self,
        item_ids: Sequence[bytes],
        versions: Sequence[Sequence[MatchedVersion]],
        key_id: str,
        time_s: int,
    ) -> list[bytes]:
        """Return the match ids of matches: 56 bytes each, and 6 for each of its versions."""
        if not item_ids:
            return []
        cipher, key = self._of_day(time_s // _DAY_S), bytes.fromhex(key_id)
        nonces = os.urandom(_NONCE_BYTES * len(item_ids))
        sealed = []
        for at, (item_id, matched) in enumerate(zip(item_ids, versions, strict=True)):
            nonce = nonces[at * _NONCE_BYTES : (at + 1) * _NONCE_BYTES]
            header = _HEADER.pack(_VERSION, time_s // _DAY_S, len(matched))
            body = _BODY.pack(item_id, key, time_s)
            body += b"".join(_MATCHED.pack(*version) for version in matched)
            sealed.append(header + nonce + cipher.encrypt(nonce, body, header))
        return sealed

    def open(self, match_id: bytes) -> MatchToken:
        """Invert ``seal``.

        Several match ids of one key and item, joined, are one with the nearest versions of all; it
        is the ``match`` that the first of them is. Raises InvalidRequestError for anything else.
        """
        first, *further = self._tokens(match_id)
        nearest: dict[tuple[int, int], MatchedVersion] = {}
        for token in (first, *further):
            if (token.item_id, token.key_id) != (first.item_id, first.key_id):
                raise not_a_match_id()
            for version in token.versions:
                known = nearest.setdefault(version[:2], version)
                nearest[version[:2]] = min(known, version)
        versions = sorted(nearest.values(), key=attrgetter("distance_bits"))
        return replace(first, versions=tuple(versions[:MATCHED_VERSIONS_MAX]))

    def _tokens(self, match_ids: bytes) -> list[MatchToken]:
        """Open joined match ids, at least one."""
        tokens = list[MatchToken]()
        if len(match_ids) > MATCH_ID_BYTES_MAX:
            raise not_a_match_id()
        rest = match_ids
        while rest or not tokens:
            header, sealed = rest[: _HEADER.size], rest[_HEADER.size :]
            try:
                version, day, count = _HEADER.unpack(header)
                if version != _VERSION:
                    raise InvalidTag  # noqa: TRY301 all that is refused is refused alike
                end = _NONCE_BYTES + _BODY.size + count * _MATCHED.size + _TAG_BYTES
                match = sealed[:_NONCE_BYTES]
                body = self._of_day(day).decrypt(match, sealed[_NONCE_BYTES:end], header)
            except (InvalidTag, ValueError, struct.error):
                raise not_a_match_id() from None
            item_id, key, time_s = _BODY.unpack_from(body)
            versions = map(MatchedVersion._make, _MATCHED.iter_unpack(body[_BODY.size :]))
            tokens.append(MatchToken(item_id, key.hex(), time_s, match, tuple(versions)))
            rest = sealed[end:]
        return tokens

    def _cipher(self, day: int) -> AESGCM:
        info = b"disrupt match id\0" + day.to_bytes(4)
        return AESGCM(hmac.digest(self._secret, info, hashlib.sha256))
