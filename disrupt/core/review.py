"""Items and cases as staff see them, without pictures, hashes and case numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from disrupt.core.cases import CaseStatus
from disrupt.core.media import Assurance, ItemState, MediaKind, StateReason
from disrupt.core.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Days:
    """A range of ISO dates (UTC), both inclusive; an empty one is no bound."""

    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions that an item must all meet to be listed. An empty field, or None, sets none.

    ``banks`` are numbers, and those that may be seen at all. ``least_reports`` is the least number
    of matches that were reported; ``outcome`` one that an organisation has reported. ``case_of`` is
    the id of an item of the case.
    """

    banks: frozenset[int]
    states: frozenset[ItemState] = frozenset()
    assurances: frozenset[Assurance] = frozenset()
    registered: Days = field(default_factory=Days)
    changed: Days = field(default_factory=Days)
    outcome: Outcome | None = None
    least_reports: int = 0
    case_of: bytes | None = None


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One item that is not withdrawn; ``number``, and ``case`` of its case, are internal.

    Days as in ``StateRecord``. ``registered_on`` is, of an item from before days were noted, the
    day on which its case was opened. ``organisations`` counts, for each outcome, those that have
    reported it; ``reports`` counts matches.
    """

    number: int
    case: int
    item_id: bytes
    bank: int
    kind: MediaKind
    state: ItemState
    reason: StateReason | None
    changed_on: str
    registered_on: str
    assurance: Assurance
    organisations: Mapping[Outcome, int]
    reports: int


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Conditions that a case must all meet to be listed. A case without items is in no bank."""

    banks: frozenset[int]
    statuses: frozenset[CaseStatus] = frozenset()
    opened: Days = field(default_factory=Days)


@dataclass(frozen=True, slots=True)
class ReviewedCase:
    """One case; ``number`` is internal, and not its case number.

    ``states`` counts its items by state, ``rejected`` those of the disabled ones that were
    rejected, and ``item_id`` is the oldest, empty where none is left.
    """

    number: int
    status: CaseStatus
    opened_on: str
    closed_on: str
    states: Mapping[ItemState, int]
    rejected: int
    item_id: bytes
