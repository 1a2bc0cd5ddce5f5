"""The registry's feed: what changed, and how far a reader has come."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from disrupt.errors import InvalidRequestError, Violation

if TYPE_CHECKING:
    from disrupt.core.media import StoredItem

EPOCH_BYTES = 16
MARK_BYTES = 8
NO_MARK = bytes(MARK_BYTES)
"""The mark of the beginning, sequence 0, at which no change was committed."""
_MARK_FROM = EPOCH_BYTES + 8


@dataclass(frozen=True, slots=True, order=False)
class Cursor:
    """A reader's place in the feed: it has every change up to ``sequence`` of this epoch.

    Sequences may skip numbers. A restored registry begins a new epoch; a cursor of an older one is
    refused (CursorExpiredError). ``mark`` are the random bytes that the registry drew when it
    committed that change, so that a cursor names a point of one history: an older copy of a
    registry that has grown to the same sequence has another mark there.
    """

    epoch: bytes
    sequence: int
    mark: bytes = NO_MARK

    def to_bytes(self) -> bytes:
        """Return 32 bytes."""
        return self.epoch + self.sequence.to_bytes(8) + self.mark

    @classmethod
    def from_bytes(cls, raw: bytes) -> Cursor:
        """Parse what ``to_bytes`` returns; anything else is an InvalidRequestError."""
        if len(raw) != _MARK_FROM + MARK_BYTES:
            raise not_a_cursor()
        sequence = int.from_bytes(raw[EPOCH_BYTES:_MARK_FROM])
        return cls(raw[:EPOCH_BYTES], sequence, raw[_MARK_FROM:])

    def to_text(self) -> str:
        """Return the cursor as text for operators; callers get it sealed."""
        return base64.urlsafe_b64encode(self.to_bytes()).decode()

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """Parse what ``to_text`` returns; anything else is an InvalidRequestError."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        return cls.from_bytes(raw)


class History(Protocol):
    """The history of one registry."""

    def knows(self, cursor: Cursor) -> bool:
        """Tell whether the cursor is a point of this history, in its present epoch."""

    def lacks(self) -> Cursor | None:
        """Return the cursor noted beside this registry, if it does not know it; else None."""


def not_a_cursor() -> InvalidRequestError:
    """Make the error for a text that is no cursor."""
    return InvalidRequestError.of(
        Violation(
            "cursor",
            "not a cursor of this service: pass one back unaltered, or leave it empty",
        )
    )


@dataclass(frozen=True, slots=True)
class Addition:
    """A media item came in."""

    sequence: int
    item: StoredItem
    mark: bytes = NO_MARK

    @property
    def number(self) -> int:
        """Return the number of the item."""
        return self.item.number


@dataclass(frozen=True, slots=True)
class Removal:
    """A media item is gone, or its addition has been erased since.

    Removing an unknown item changes nothing.
    """

    sequence: int
    number: int
    item_id: bytes
    bank: int
    mark: bytes = NO_MARK


@dataclass(frozen=True, slots=True)
class StateChange:
    """A media item was hidden, and matches no more; or it is shown again, then as ``item``.

    Hiding is no removal: the registry keeps the item. An addition comes as this, without the item,
    if that is hidden now, or was hidden since and is shown by a later change. So at most one of the
    changes after any cursor shows an item, and none shows one that a reader at that cursor has.
    """

    sequence: int
    number: int
    item_id: bytes
    bank: int
    item: StoredItem | None
    mark: bytes = NO_MARK


Change = Addition | Removal | StateChange


def shown_item(change: Change) -> StoredItem | None:
    """Return the item that is matched from this change on; None if the change takes one away."""
    return None if isinstance(change, Removal) else change.item
