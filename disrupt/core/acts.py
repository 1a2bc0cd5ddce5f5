"""The record of acts: what staff, operators and the server itself did."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from disrupt.errors import InvalidRequestError, Violation

OPERATOR = "operator"
"""Actor of commands on the server's machine. No key has this id."""

SERVER = "server"
"""Actor of what the server does by its own rules. No key has this id."""

REASON = re.compile(r"[a-z_]{0,32}")
"""Pattern of a reason, a code of small letters and underscores."""


class Action(IntEnum):
    """Kind of an act; the numbers are those of proto/ and of stored columns."""

    ENABLE = 1
    DISABLE = 2
    REJECT = 3
    RELEASE = 5
    """An item's turn came, or its wait for a review ended without one."""
    HOLD = 6
    """An item waits for a review."""
    MOVE = 7
    CONFIRM = 8
    WIDEN = 9
    """Disputes of an item were found wrong."""
    UPHOLD = 10
    """Disputes of an item were found right."""
    UNDO = 11
    """An act on many items was undone."""
    COMMON_ADDED = 12
    """A picture in common use was added."""
    COMMON_ADDED_ALTHOUGH_MATCHED = 13
    """The same, although it matches a registered picture."""
    COMMON_REMOVED = 14
    """A picture was taken out of those in common use, and erased."""
    ERASE_REQUESTED = 20
    ERASE_CONFIRMED = 21
    ERASE_STOPPED = 22
    CASE_ERASED = 23
    KEY_ADDED = 40
    KEY_CHANGED = 41
    KEY_REVOKED = 42
    QUOTA_SET = 43
    PARTNER_SET = 44
    """An organisation is named to people affected in another way, or no more."""
    BANK_ADDED = 60
    BANK_CHANGED = 61
    LIST_ADDED = 62
    LIST_REMOVED = 63
    """A partner's list was removed; its items are withdrawn."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who did what, and when (``at_s``: seconds since 1970, UTC).

    ``actor`` is the id of a key, OPERATOR or SERVER; ``organisation`` that of the key, else empty;
    of QUOTA_SET and PARTNER_SET it is the one of which something was set.
    ``reason`` is a code of up to 32 small letters and underscores, so that nobody can write down a
    PIN or a hash: InvalidRequestError for anything else.
    """

    actor: str
    organisation: str
    action: Action
    at_s: int
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no code."""
        if not REASON.fullmatch(self.reason):
            raise InvalidRequestError.of(
                Violation("reason", "not a code of up to 32 characters of a-z and _")
            )


@dataclass(frozen=True, slots=True)
class ActFilter:
    """Conditions that an act must all meet to be listed: by default none.

    ``at_s`` is from ``from_s`` on and before ``until_s``; no ``actions`` stand for all.
    """

    from_s: int = 0
    until_s: int | None = None
    actions: frozenset[Action] = frozenset()


ANY_ACT = ActFilter()


@dataclass(frozen=True, slots=True)
class ActRecord:
    """One act as stored, and what it was on; ``number`` ascends.

    ``item_id`` is empty, ``case``, an internal number, and ``bank`` are 0, and ``key_id`` is empty
    unless the act was on such a thing. ``case_tag`` is the tag that the case has now, or empty.
    ``items`` is how many an act on many changed, None of others; ``undone`` the number of the act
    that an UNDO undid, else 0.
    """

    number: int
    act: Act
    item_id: bytes
    case: int
    bank: int
    key_id: str
    case_tag: bytes = b""
    items: int | None = None
    undone: int = 0
