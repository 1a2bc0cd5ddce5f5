"""The part of the registry's contract for reviews: states of items, and the record of acts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from disrupt.core.acts import Act, ActRecord
from disrupt.core.changes import Cursor
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.states import ItemState

NUMBERS_AT_ONCE = 5_000
"""Most items that a read of items for review looks at: some tens of milliseconds."""

ALL_STATES = frozenset(ItemState)


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions that an item must all meet to be listed.

    ``banks`` are numbers. ``first_day`` and ``last_day``, ISO dates (UTC) and inclusive, bound the
    day of registration; empty ones do not. Empty ``item_ids`` set no condition.
    """

    banks: frozenset[int]
    states: frozenset[ItemState] = ALL_STATES
    first_day: str = ""
    last_day: str = ""
    item_ids: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class ReviewedItem:
    """One item that is not withdrawn, without its hashes and its case.

    ``state_since_s`` (seconds since 1970, UTC) is when the state was set, None if it is that of the
    registration.
    """

    number: int
    item_id: bytes
    bank: int
    kind: MediaKind
    assurance: Assurance
    state: ItemState
    state_since_s: int | None
    registered_on: str


class ReviewPage(NamedTuple):
    """A page of items, newest first; ``before`` is where the next one goes on, 0 at the end."""

    items: Sequence[ReviewedItem]
    before: int


@dataclass(frozen=True, slots=True)
class StatesSet:
    """The result of a change of states: the items that it changed, and a cursor that has it."""

    item_ids: tuple[bytes, ...]
    cursor: Cursor


class ReviewReader(Protocol):
    """Reading for reviews, as ``contract.RegistryReader`` reads."""

    def items_for_review(
        self, wanted: ItemFilter, limit: int, before: int | None = None
    ) -> ReviewPage:
        """Return up to ``limit`` (≥ 1) items, newest first, of numbers below ``before``.

        None: from the newest. Looks at ``NUMBERS_AT_ONCE`` items in one of the states, so that a
        page may be empty though more follow.
        """

    def count_states(self) -> Mapping[ItemState, int]:
        """Count the items of each state but LIVE; states without an item are left out."""

    def acts(self, limit: int, before: int | None = None) -> Sequence[ActRecord]:
        """Return up to ``limit`` (≥ 1) acts of numbers below ``before`` (None: all), newest first.

        An act on an item names it also once it was withdrawn.
        """


class ReviewWriter(ReviewReader, Protocol):
    """Writing for reviews, as ``contract.RegistryWriter`` writes."""

    def set_states(
        self,
        item_ids: Collection[bytes],
        state: ItemState,
        act: Act,
        *,
        from_states: Collection[ItemState] = ALL_STATES,
    ) -> StatesSet:
        """Set the state of items, of whatever cases, and note one act for each item changed.

        Idempotent: an item that has the state is not changed, nor is one in none of
        ``from_states``. The id of an item that was replaced names what took its place.
        NotFoundError if any id is of no item, or of a withdrawn one; then nothing is changed.
        Readers of the feed see an item go or come only where it is matched now and was not before,
        or the other way round. A state is in the database alone: a restored backup has those of its
        time.
        """
