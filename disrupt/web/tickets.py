"""Waiting tickets: a request that found no place keeps the one it had in the line."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import struct
import time
from collections.abc import Callable

from disrupt.web.turns import Place

_FORM = struct.Struct(">QQQ32s")
"""Round, number, end in seconds of the clock, MAC."""


class Tickets:
    """Seal places into tickets, and open them again. Tickets of an earlier process are void.

    A ticket holds for the origin and the body (by its SHA-256) that it was given to, so that it
    gives nobody else's request a better place, nor another one of the same caller.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def seal(self, place: Place, origin: bytes, digest: bytes) -> str:
        """Return a ticket, in ASCII. However often a place is sealed, it ends at one time."""
        mac = self._mac(place, origin, digest)
        return base64.urlsafe_b64encode(_FORM.pack(*place, mac)).decode()

    def open(self, ticket: str, origin: bytes, digest: bytes) -> Place | None:
        """Return the place that a ticket keeps; None for one that is void, which is no error."""
        try:
            form = _FORM.unpack(base64.b64decode(ticket, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError, struct.error):
            return None
        place = Place(*form[:3])
        right = hmac.compare_digest(form[3], self._mac(place, origin, digest))
        return place if right and self._clock() <= place.ends_s else None

    def _mac(self, place: Place, origin: bytes, digest: bytes) -> bytes:
        text = struct.pack(">QQQB", *place, len(origin)) + origin + digest
        return hmac.digest(self._secret, text, "sha256")
