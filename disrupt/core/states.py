"""States of media items: whether lookups find an item, and why not."""

from __future__ import annotations

from enum import IntEnum


class ItemState(IntEnum):
    """State of an item; the numbers are those of proto/ and of stored columns.

    Lookups find items that are LIVE or ENABLED, and no others. No state is a withdrawal: the
    fingerprints stay, and the person affected can withdraw the item in every state.
    """

    LIVE = 1
    ENABLED = 2
    """Staff have decided that lookups find it."""
    WAITING = 3
    """It waits for its turn or for a review, see ``WaitReason``."""
    DISABLED = 5
    """Staff have switched it off."""
    REJECTED = 6
    """Staff have decided that it is not what the bank is for."""

    @property
    def matches(self) -> bool:
        """Tell whether lookups find items of this state."""
        return self in SHOWN


class WaitReason(IntEnum):
    """Reason for which a new item waits; the numbers are those of proto/ and of stored columns.

    An item that staff have made WAITING has none.
    """

    LIMIT = 1
    """More was registered than goes live at once: it takes turns (``registry.turns``)."""
    UNLIKE_A_PICTURE = 2
    """Its hashes are too far from each other to be those of one picture."""
    BANK = 3
    """Registrations of its bank wait for a review."""
    COMMON = 4
    """It is near a picture in common use."""


SHOWN = frozenset({ItemState.LIVE, ItemState.ENABLED})
"""The states in which lookups find an item."""
