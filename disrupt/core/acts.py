"""Acts of staff and operators, in a chain that shows what was changed in it later.

The digest of an act is made over the digest of the act before and over the act itself, so that
whoever changes, removes, inserts or moves an act has to compute all later digests anew. A chain
does not show that its newest acts are missing: compare its newest digest with one kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

OPERATOR = "operator"
"""Actor of commands on the server's machine. No key has this id: those are hexadecimal."""

SERVER = "server"
"""Actor of what the server does by its own rules."""

DIGEST_BYTES = 32
FIRST_DIGEST = bytes(DIGEST_BYTES)
"""Digest that the first act is chained to."""

_CONTEXT = b"disrupt act 1\0"

Said = str | int | Sequence[str]
"""A value in the subject of an act."""


class Action(IntEnum):
    """Kind of an act. The numbers are those of proto/ and of stored columns."""

    KEY_CREATED = 1
    KEY_REVOKED = 2
    KEY_CHANGED = 3
    KEY_ROTATED = 4
    BANK_CREATED = 5
    BANK_CHANGED = 6
    ORGANISATION_CHANGED = 7
    ITEMS_ENABLED = 10
    ITEMS_DISABLED = 11
    ITEMS_REJECTED = 12
    ITEMS_MOVED = 13
    ITEMS_CONFIRMED = 14
    ITEMS_SET_WAITING = 15
    NEGATIVES_ADDED = 20
    NEGATIVES_REMOVED = 21
    ERASURE_REQUESTED = 40
    ERASURE_CONFIRMED = 41
    ERASURE_CANCELLED = 42
    ERASURE_STOPPED = 43
    """By whoever has the PIN."""
    ERASURE_REFUSED = 44
    CASE_ERASED = 45


@dataclass(frozen=True, slots=True)
class Act:
    """Who did what, when (seconds since 1970, UTC), and to what.

    ``actor`` is the id of the key that did it over the network, OPERATOR or SERVER. The caller says
    in ``subject`` what the registry cannot know, as a reason; the registry adds what it changed.
    A subject has ids of items and keys, names of banks, codes and days: never a hash of a picture,
    a case number or the name of a person.
    """

    actor: str
    action: Action
    at_s: int
    subject: Mapping[str, Said] = field(default_factory=dict)

    def on(self, **subject: Said) -> Act:
        """Return the act with more in its subject."""
        return replace(self, subject={**self.subject, **subject})

    def subject_text(self) -> str:
        """Return the subject as canonical JSON: ASCII, keys sorted, no spaces."""
        return json.dumps(self.subject, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class ActRecord:
    """One act as stored: numbers ascend from 1 without gaps.

    ``action`` is a plain number, as a later version may know more of them; ``subject`` is JSON.
    """

    number: int
    at_s: int
    actor: str
    action: int
    subject: str
    digest: bytes


def digest(before: bytes, number: int, at_s: int, actor: str, action: int, subject: str) -> bytes:
    """Return the SHA-256 of an act, ``before`` being that of the act before it."""
    row = json.dumps([number, at_s, actor, int(action), subject], separators=(",", ":"))
    return hashlib.sha256(_CONTEXT + before + row.encode()).digest()


def recorded(act: Act, before: ActRecord | None) -> ActRecord:
    """Return the row of an act that follows the newest one, None for the first."""
    number = before.number + 1 if before else 1
    plain = (number, act.at_s, act.actor, int(act.action), act.subject_text())
    return ActRecord(*plain, digest(before.digest if before else FIRST_DIGEST, *plain))


class Verification:
    """Verify a chain page by page.

    ``acts`` and ``digest`` are of the last act that follows those before it, ``broken`` is the
    number of the first that does not, or None.
    """

    def __init__(self, after: int = 0, digest: bytes = FIRST_DIGEST) -> None:
        """Begin after an act that was verified, by number and digest; 0 for the first."""
        self.acts = after
        self.digest = digest
        self.broken: int | None = None

    def read(self, records: Iterable[ActRecord]) -> None:
        """Verify the next acts, oldest first; does nothing once one was broken."""
        for record in records:
            if self.broken is not None:
                return
            if record.number != self.acts + 1 or record.digest != self._expected(record):
                self.broken = record.number
                return
            self.acts, self.digest = record.number, record.digest

    def _expected(self, record: ActRecord) -> bytes:
        """Return the digest that an act should have, empty for what is no act."""
        plain = (record.number, record.at_s, record.actor, record.action, record.subject)
        try:
            return digest(self.digest, *plain)
        except (TypeError, ValueError):  # SQLite stores any type in any column
            return b""
