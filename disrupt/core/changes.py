"""The registry's feed: what changed, and how far a reader has come."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from disrupt.errors import InvalidRequestError, Violation

if TYPE_CHECKING:
    from disrupt.core.media import StoredItem

EPOCH_BYTES = 16
MARK_BYTES = 8
_UNMARKED_BYTES = EPOCH_BYTES + 8
_SIZES_BYTES = {_UNMARKED_BYTES, _UNMARKED_BYTES + MARK_BYTES}
PLAIN_CURSOR_CHARACTERS = 32
"""Length of ``Cursor.to_text`` without a mark, which no sealed cursor has."""


@dataclass(frozen=True, slots=True, order=False)
class Cursor:
    """A reader's place in the feed: it has every change up to ``sequence`` of this epoch.

    Sequences may skip numbers. A restored registry begins a new epoch; a cursor of an older one is
    refused (CursorExpiredError). ``mark`` are the random bytes that the registry drew when it
    committed that change, so that a cursor names a point of one history: an older copy of a
    registry that has grown to the same sequence has another mark there. It is empty at sequence 0,
    and at changes from before there were marks.
    """

    epoch: bytes
    sequence: int
    mark: bytes = b""

    def to_bytes(self) -> bytes:
        """Return 24 bytes, or 32 with a mark."""
        return self.epoch + self.sequence.to_bytes(8) + self.mark

    @classmethod
    def from_bytes(cls, raw: bytes) -> Cursor:
        """Parse what ``to_bytes`` returns; anything else is an InvalidRequestError."""
        if len(raw) not in _SIZES_BYTES:
            raise not_a_cursor()
        sequence = int.from_bytes(raw[EPOCH_BYTES:_UNMARKED_BYTES])
        return cls(raw[:EPOCH_BYTES], sequence, raw[_UNMARKED_BYTES:])

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
        """Cursor noted beside this registry that it does not know; None if there is none."""


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
    """A media item came in, and is LIVE."""

    sequence: int
    item: StoredItem
    mark: bytes = b""

    @property
    def number(self) -> int:
        """Number of the item."""
        return self.item.number

    @property
    def item_id(self) -> bytes:
        """Id of the item."""
        return self.item.item_id

    @property
    def bank(self) -> int:
        """Number of the item's bank."""
        return self.item.bank


@dataclass(frozen=True, slots=True)
class Removal:
    """A media item is gone, or this was its addition and shows it no more.

    An addition shows its item until that is erased, or its state changes. Removing an unknown item
    changes nothing.
    """

    sequence: int
    number: int
    item_id: bytes
    bank: int
    mark: bytes = b""
    item: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """The state of a media item changed: from here on, lookups find ``item``.

    None: they find nothing. Only the newest change of state shows an item, and only while that is
    LIVE; so whoever has read all changes before has no longer what this one shows.
    """

    sequence: int
    number: int
    item_id: bytes
    bank: int
    item: StoredItem | None
    mark: bytes = b""


Change = Addition | Removal | StateChange
"""``item`` is what lookups find after it, None for nothing."""
