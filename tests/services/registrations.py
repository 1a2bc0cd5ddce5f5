"""Make registrations for tests of their use cases."""

from __future__ import annotations

import secrets

import numpy as np

from disrupt.core.cases import AgeBand
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.registrations import CaseAccess, MediaItem, RegistrationRequest
from disrupt.services.pins import Pins

DAY = "2026-11-25"
PIN = "12345678"
PEPPER = b"p" * 32
PINS = Pins(PEPPER)


def item(*qualities: int) -> MediaItem:
    array = np.zeros(len(qualities), FINGERPRINT)
    array["quality"] = qualities
    array["profile"] = 1
    array["hash"] = np.frombuffer(secrets.token_bytes(32 * len(qualities)), np.uint8).reshape(
        -1, 32
    )
    return MediaItem(MediaKind.IMAGE, array)


def request(
    *items: MediaItem, case: str = "", pin: str = PIN, age: AgeBand = AgeBand.UNSURE
) -> RegistrationRequest:
    return RegistrationRequest(
        secrets.token_bytes(16), CaseAccess(case, pin), age, items or (item(90),)
    )


def with_crops(picture: MediaItem, crops: int) -> MediaItem:
    """Return the picture with hashes of plan 1."""
    more = item(*[90] * crops).fingerprints
    more["plan"], more["ordinal"] = 1, range(crops)
    return MediaItem(picture.kind, np.concatenate([picture.fingerprints, more]))
