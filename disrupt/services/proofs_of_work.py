"""Proofs of work, by which what waits has its turn before others of its network.

A challenge of ALTCHA shows a key that PBKDF2 derives from a number below a limit; a device has to
find that number, and on average tries half of them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import secrets
from dataclasses import dataclass, field

from altcha import v2 as altcha

VALID_S = 3600
"""Seconds in which a challenge has to be solved, and its proof spent."""

_ALGORITHM, _ITERATIONS = "PBKDF2/SHA-256", 5000
"""An attempt takes some milliseconds, beside which a call of WebCrypto is short. The server makes
one for each challenge, and none for a proof."""


@dataclass(slots=True)
class Purse:
    """What a proof still pays for, in pictures, until ``expires_s`` (seconds since 1970, UTC)."""

    left: float = 0.0
    expires_s: float = 0.0


@dataclass(slots=True)
class ProofsOfWork:
    """Make challenges, and keep account of what their proofs pay for.

    ``attempts`` are those of a proof for one picture, on average; 0 asks for none. A proof pays for
    as many pictures as its challenge was for, in any number of registrations by one key and from
    one network, until the server restarts: then nothing is known of what was spent.
    ``caller`` is the id of the key, ``origin`` the token of the network, ``at_s`` the time, in
    seconds since 1970 (UTC). ``challenge`` is thread-safe, ``purse`` is for one thread at a time.
    """

    attempts: int = 0
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    _purses: dict[str, Purse] = field(default_factory=dict, init=False)
    """Purses by the signatures of their challenges."""

    def challenge(self, caller: str, origin: bytes, pictures: int, *, at_s: float) -> str:
        """Return the JSON of a challenge that pays for so many pictures; empty for none."""
        if not self.attempts:
            return ""
        challenge = altcha.create_challenge(
            _ALGORITHM,
            _ITERATIONS,
            counter=secrets.randbelow(2 * self.attempts * pictures),
            expires_at=math.ceil(at_s) + VALID_S,
            data={"pictures": pictures},
            hmac_secret=self._secret_of(b"challenge", caller, origin),
            hmac_key_secret=self._secret_of(b"key", caller, origin),
        )
        return json.dumps(challenge.to_dict())

    def purse(self, proof: str, caller: str, origin: bytes, *, at_s: float) -> Purse:
        """Return the purse of a proof, which the caller takes from; an empty one if it is no proof.

        A proof is what ALTCHA's forms send: base64 of the JSON of ``challenge`` and ``solution``.
        """
        self._purses = {of: each for of, each in self._purses.items() if each.expires_s > at_s}
        checked = altcha.verify_solution(
            proof,
            self._secret_of(b"challenge", caller, origin),
            hmac_key_secret=self._secret_of(b"key", caller, origin),
        )
        if not checked.verified:
            return Purse()
        challenge = altcha.Payload.from_base64(proof).challenge.to_dict()
        signed = challenge["parameters"]
        new = Purse(signed["data"]["pictures"], signed["expiresAt"])
        return self._purses.setdefault(challenge["signature"], new)

    def _secret_of(self, label: bytes, caller: str, origin: bytes) -> bytes:
        """Return what signs challenges of one key and network, so that they are of no other."""
        message = b"\0".join((label, caller.encode(), origin))
        return hmac.digest(self._secret, message, hashlib.sha256)
