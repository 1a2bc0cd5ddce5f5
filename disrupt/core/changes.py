"""The registry's feed: what changed, and how far a reader has come."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from disrupt.errors import InvalidRequestError, Violation

if TYPE_CHECKING:
    from disrupt.core.media import StoredItem

EPOCH_BYTES = 16
_CURSOR_BYTES = EPOCH_BYTES + 8
PLAIN_CURSOR_CHARACTERS = 32
"""Length of ``Cursor.to_text``, which no sealed cursor has."""


@dataclass(frozen=True, slots=True, order=False)
class Cursor:
    """How far a reader has come: every change up to ``sequence`` of this epoch.

    Sequences may skip numbers. A restored registry begins a new epoch; a cursor of an older one is
    refused (CursorExpiredError).
    """

    epoch: bytes
    sequence: int

    def to_text(self) -> str:
        """Return it as text for operators; callers get it sealed."""
        return base64.urlsafe_b64encode(self.epoch + self.sequence.to_bytes(8)).decode()

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """Inverse of ``to_text``; anything else is an InvalidRequestError."""
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        if len(raw) != _CURSOR_BYTES:
            raise not_a_cursor()
        return cls(raw[:EPOCH_BYTES], int.from_bytes(raw[EPOCH_BYTES:]))


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


@dataclass(frozen=True, slots=True)
class Removal:
    """A media item is gone, or its addition has been erased since.

    Removing an unknown item changes nothing.
    """

    sequence: int
    number: int
    item_id: bytes
    bank: int


Change = Addition | Removal
