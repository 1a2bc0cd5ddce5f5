"""Items as the hotline's staff see them, and the conditions by which they list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from disrupt.core.media import Assurance, MediaKind
from disrupt.core.outcomes import DisputeSummary, MatchOutcome
from disrupt.core.states import ItemState

ALL_STATES = frozenset(ItemState)


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions that an item must all meet to be listed.

    ``banks`` are numbers. ``first_day`` and ``last_day``, ISO dates (UTC) and inclusive, bound the
    day of registration; empty ones do not. ``outcome`` is the last one that an organisation
    reported, or FALSE_POSITIVE where one disputes a match; None, and empty ``item_ids``, set no
    condition. ``disputed``: only items with disputes of organisations with a valid key that staff
    have not settled; ``needs_staff``: only those that staff have to decide about.
    """

    banks: frozenset[int]
    states: frozenset[ItemState] = ALL_STATES
    first_day: str = ""
    last_day: str = ""
    item_ids: frozenset[bytes] = frozenset()
    outcome: MatchOutcome | None = None
    disputed: bool = False
    needs_staff: bool = False


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One item that is not withdrawn, without its hashes and its case.

    ``state_since_s`` (seconds since 1970, UTC) is when the state was set, None if it is that of the
    registration. ``organisations`` counts those whose last report said so, without false
    positives, which are ``disputes``: None where none of an organisation with a valid key counts.
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
    disputes: DisputeSummary | None = None
