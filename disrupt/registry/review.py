"""The part of the registry's contract for reviews: states of items, and the record of acts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from disrupt.core.acts import Act, ActRecord
from disrupt.core.changes import Cursor
from disrupt.core.disputes import Version
from disrupt.core.outcomes import Dispute, MatchOutcome, Settlement
from disrupt.core.review import ItemFilter, ReviewedItem
from disrupt.core.states import ItemState

NUMBERS_AT_ONCE = 5_000
"""Most items that a read of items for review looks at: some tens of milliseconds."""


class ReviewPage(NamedTuple):
    """A page of items; ``before`` is where the next one goes on, 0 at the end."""

    items: Sequence[ReviewedItem]
    before: int


@dataclass(frozen=True, slots=True)
class StatesSet:
    """The result of a change by staff: the items that it changed, and a cursor that has it."""

    item_ids: tuple[bytes, ...]
    cursor: Cursor


class ReportedOutcome(NamedTuple):
    """The latest outcome that an organisation reported of an item, and its day (ISO, UTC)."""

    organisation: str
    outcome: MatchOutcome
    day: str


@dataclass(frozen=True, slots=True)
class ItemReports:
    """What was reported of an item, by organisation, whether or not it has a valid key.

    ``disputes`` have those that staff have settled, too. ``below_bits`` are the distances below
    which alone narrowed versions are answered.
    """

    item_id: bytes
    outcomes: Sequence[ReportedOutcome]
    disputes: Sequence[Dispute]
    below_bits: Mapping[Version, int]


class ReviewReader(Protocol):
    """Reading for reviews, as ``contract.RegistryReader`` reads."""

    def items_for_review(
        self, wanted: ItemFilter, limit: int, before: int | None = None
    ) -> ReviewPage:
        """Return up to ``limit`` (≥ 1) items from where a page before ends; None: from the first.

        First those that are matched and that staff have to decide about, then the others; of both
        the newest first. Looks at ``NUMBERS_AT_ONCE`` items in one of the states, so that a
        page may be empty though more follow.
        """

    def count_states(self) -> Mapping[ItemState, int]:
        """Count the items of each state but LIVE; states without an item are left out."""

    def acts(
        self, limit: int, before: int | None = None, banks: Collection[int] | None = None
    ) -> Sequence[ActRecord]:
        """Return up to ``limit`` (≥ 1) acts of numbers below ``before`` (None: all), newest first.

        With ``banks``, without those that name another bank. An act on an item names it also once
        it was withdrawn.
        """

    def item_reports(self, item_id: bytes, banks: Collection[int] | None = None) -> ItemReports:
        """Return what was reported of an item, which may have taken the place of the one named.

        NotFoundError as for ``set_states``.
        """

    def count_disputes(self) -> Mapping[str, int]:
        """Count the items that are matched and that staff have to decide about, by reason.

        The reasons are those of ``DisputeSummary.needs_staff``; all of them are there.
        """


class ReviewWriter(ReviewReader, Protocol):
    """Writing for reviews, as ``contract.RegistryWriter`` writes."""

    def set_states(
        self,
        item_ids: Collection[bytes],
        state: ItemState,
        act: Act,
        *,
        banks: Collection[int] | None = None,
    ) -> StatesSet:
        """Set the state of items, of whatever cases, and note one act for each item changed.

        Idempotent: an item that has the state is not changed. The id of an item that was replaced
        names what took its place.
        NotFoundError if any id is of no item, of a withdrawn one, or of one in another bank than
        ``banks`` (None: any); then nothing is changed.
        Readers of the feed see an item go or come only where it is matched now and was not before,
        or the other way round. A state is in the database alone: a restored backup has those of its
        time.
        """

    def move_items(
        self,
        item_ids: Collection[bytes],
        bank: int,
        act: Act,
        *,
        banks: Collection[int] | None = None,
    ) -> StatesSet:
        """Move items to a bank, in their state, and note one act for each item moved.

        Idempotent; errors as for ``set_states``. In the feed an item goes from its old bank and
        comes to the new one, where it is matched; so a reader of one bank sees it go or come.
        """

    def confirm_items(
        self,
        item_ids: Collection[bytes],
        act: Act,
        *,
        banks: Collection[int] | None = None,
    ) -> StatesSet:
        """Raise the assurance of items to REVIEWED, and note one act for each item changed.

        Idempotent; errors as for ``set_states``. In the feed an item that is matched goes, and
        comes with its new assurance.
        """

    def settle_disputes(
        self,
        item_ids: Collection[bytes],
        settlement: Settlement,
        act: Act,
        *,
        banks: Collection[int] | None = None,
    ) -> StatesSet:
        """Settle disputes of items, and note one act for each item of which one was changed.

        All are widened, or those upheld that are not settled yet: what staff have widened stays so.
        Idempotent; errors as for ``set_states``.
        """
