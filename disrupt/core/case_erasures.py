"""Erasing a case whose PIN is lost: one person of staff requests it, another one confirms it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from disrupt.core.policy import ApiKey

WAITS_FOR_SECOND_KEY_S = 24 * 3600
"""Time in which a request has to be confirmed; a later one is made anew."""

DELAY_S = 7 * 24 * 3600
"""Time from the confirmation to the erasure: whoever has the PIN can stop it meanwhile."""


@dataclass(frozen=True, slots=True)
class CaseErasure:
    """The erasure of one case without its PIN; times in seconds since 1970 (UTC).

    ``requested_by`` and ``confirmed_by`` are ids of keys. ``confirmed_at_s`` is None until the
    second key confirms it. ``due_at_s`` is None until then, and after a restore until the server
    sets it anew. ``erased_on`` is an ISO date, empty until the case is erased.
    """

    requested_by: str
    requested_at_s: int
    confirmed_by: str = ""
    confirmed_at_s: int | None = None
    due_at_s: int | None = None
    erased_on: str = ""

    @property
    def is_confirmed(self) -> bool:
        """Return True once the second key has confirmed it."""
        return self.confirmed_at_s is not None

    @property
    def is_pending(self) -> bool:
        """Return True while it is confirmed and the case not erased."""
        return self.is_confirmed and not self.erased_on

    @property
    def lapses_at_s(self) -> int:
        """Return when a request that nobody has confirmed ends."""
        return self.requested_at_s + WAITS_FOR_SECOND_KEY_S

    def has_lapsed(self, at_s: int) -> bool:
        """Tell whether it was not confirmed in time."""
        return not self.is_confirmed and at_s >= self.lapses_at_s

    def is_due(self, at_s: int) -> bool:
        """Tell whether the case is to be erased now."""
        return self.is_pending and self.due_at_s is not None and at_s >= self.due_at_s


def day_of(at_s: int | None) -> str:
    """Return the ISO date (UTC) of a time, empty for None."""
    return "" if at_s is None else datetime.fromtimestamp(at_s, UTC).date().isoformat()


def same_holder(key: ApiKey, other: ApiKey) -> bool:
    """Tell whether two keys may be one person's, as far as the server can know.

    A key that takes the place of another has its name, which no call changes. So keys of one name
    are one person's, in whatever letter case, and of whatever organisations: those can be changed.
    """
    return key.name.casefold() == other.name.casefold()
