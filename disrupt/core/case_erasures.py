"""Erasing a case whose PIN is lost: two keys ask for it, and whoever has the PIN can stop it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from disrupt.core.policy import ApiKey, Right

CONFIRM_WITHIN_S = 24 * 3600
"""Time in which a second key has to ask for the same; later, it is the first one again."""

DELAY_S = 7 * 24 * 3600
"""Time from then to the erasure."""


@dataclass(frozen=True, slots=True)
class CaseErasure:
    """The erasure of a case that was asked for; ``due_at_s`` is None until a second key asks too.

    Times are seconds since 1970 (UTC). ``items`` is the number of items of the case, ``case_tag``
    that by which staff tell it from others, and ``asked_by`` the id of the key that asked first.
    """

    asked_at_s: int
    due_at_s: int | None
    items: int
    case_tag: bytes
    asked_by: str


def partners(key: ApiKey, keys: tuple[ApiKey, ...], day: str) -> frozenset[str]:
    """Return the ids of the keys that may have asked before ``key`` does, so that it confirms.

    They are valid, have the right to review, and are another person's as far as the server can
    know: a key that takes the place of another has its name, which nobody changes.
    """
    return frozenset(
        other.key_id
        for other in keys
        if other.valid_on(day)
        and Right.REVIEW in other.rights
        and other.name.casefold() != key.name.casefold()
    )


def day_of(at_s: int | None) -> str:
    """Return the ISO date (UTC) of a time, empty for None."""
    return "" if at_s is None else datetime.fromtimestamp(at_s, UTC).date().isoformat()
