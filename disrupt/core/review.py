"""Items as the hotline's staff see them, and the conditions by which they list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from disrupt.core.acts import Action
from disrupt.core.changes import Cursor
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.outcomes import DisputeSummary, MatchOutcome
from disrupt.core.states import ItemState, WaitReason

ALL_STATES = frozenset(ItemState)

BY_STAFF = {
    ItemState.ENABLED: Action.ENABLE,
    ItemState.DISABLED: Action.DISABLE,
    ItemState.REJECTED: Action.REJECT,
}
"""The states that staff set, and the act of it."""

TAG_BYTES = 8
TAGGED_DAYS = 30
"""Days after which the tags of a case and of an origin are erased: from the last registration."""

UNDO_WITHIN_S = 7 * 24 * 3600
"""Time in which an act on many items can be undone."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions that an item must all meet to be listed.

    ``banks`` are numbers. ``first_day`` and ``last_day``, ISO dates (UTC) and inclusive, bound the
    day of registration; empty ones do not. ``outcome`` is the last one that an organisation
    reported; false positives are disputes. ``case_tag`` and ``origin_tag`` are of ``TAG_BYTES``,
    ``key_id`` is the key by which it was registered, ``least_hashes`` a number of
    hashes that it has or exceeds, and ``wait_reason`` why it waits now. ``disputed``: only items
    with disputes of organisations with a valid key that staff have not settled; ``needs_staff``:
    only those that staff have to decide about. None, and what is empty or 0, set no condition.
    """

    banks: frozenset[int]
    states: frozenset[ItemState] = ALL_STATES
    first_day: str = ""
    last_day: str = ""
    item_ids: frozenset[bytes] = frozenset()
    outcome: MatchOutcome | None = None
    disputed: bool = False
    needs_staff: bool = False
    case_tag: bytes = b""
    origin_tag: bytes = b""
    key_id: str = ""
    least_hashes: int = 0
    wait_reason: WaitReason | None = None

    @property
    def names_some(self) -> bool:
        """Tell whether it names more than banks, states and days: nobody changes all of these."""
        return bool(
            self.item_ids
            or self.case_tag
            or self.origin_tag
            or self.key_id
            or self.least_hashes
            or self.wait_reason
            or self.outcome
            or self.disputed
            or self.needs_staff
        )


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One item that is not withdrawn, without its hashes and its case.

    ``state_since_s`` (seconds since 1970, UTC) is when the state was set, None if it is that of the
    registration. ``organisations`` counts those whose last report said so, without false
    positives, which are ``disputes``: None where none of an organisation with a valid key counts.
    The tags of its case and of its origin are empty once they are erased, ``wait_reason`` is None
    unless it waits.
    """

    number: int
    item_id: bytes
    bank: int
    kind: MediaKind
    assurance: Assurance
    state: ItemState
    state_since_s: int | None
    registered_on: str
    organisations: Mapping[MatchOutcome, int]
    hashes: int
    key_id: str
    case_tag: bytes
    origin_tag: bytes
    wait_reason: WaitReason | None
    disputes: DisputeSummary | None = None


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Counts of the items that conditions name, by bank, day and state, their cases and hashes."""

    items: int
    cases: int
    hashes: int
    banks: Mapping[int, int]
    days: Mapping[str, int]
    states: Mapping[ItemState, int]


@dataclass(frozen=True, slots=True)
class Done:
    """An act on many items, or its undoing: how many it changed, and a cursor that has it.

    ``act`` is its number in the record, 0 if it changed none and was not noted.
    """

    act: int
    items: int
    cursor: Cursor
