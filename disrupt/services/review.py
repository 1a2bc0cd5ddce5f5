"""What the hotline's staff see of items, and decide about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from disrupt.core.acts import Act, ActFilter, Action, ActRecord
from disrupt.core.case_erasures import CaseErasure, partners
from disrupt.core.changes import Cursor
from disrupt.core.outcomes import Settlement
from disrupt.core.policy import COMMON, TEST_BANK, ApiKey, Right, without_hidden
from disrupt.core.review import Done, ItemCounts, ItemFilter, ReviewedItem
from disrupt.core.states import ItemState
from disrupt.errors import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
    Violation,
)
from disrupt.registry.records import ItemReports, StatesSet
from disrupt.registry.registry import RegistryWriter


@dataclass(frozen=True, slots=True)
class Decided:
    """The result of a decision: the items as they are then, and a cursor that includes it.

    ``changed`` is how many of them it changed.
    """

    items: Sequence[ReviewedItem]
    cursor: Cursor
    changed: int


@dataclass(frozen=True, slots=True)
class Reviewer:
    """The use cases of ReviewService. Thread-safe.

    ``key`` is that of the caller: its banks are those whose items it sees. ``at_s`` is the time, in
    seconds since 1970 (UTC). An item that is unknown, withdrawn or in another bank is a
    NotFoundError, and nothing is changed then.
    """

    registry: RegistryWriter

    def key(self, key_id: str, *, day: str) -> ApiKey:
        """Return the caller's key.

        UnauthenticatedError if it was revoked a moment ago, or has expired by a day (ISO date,
        UTC).
        """
        stored = self.registry.keys()
        key = next((key for key in stored if key.key_id == key_id and key.valid_on(day)), None)
        if key is None:
            raise UnauthenticatedError("This key was revoked, or has expired.")
        key.require(Right.REVIEW)
        return without_hidden(key, self.registry.banks())

    def banks(self, key: ApiKey, names: Collection[str]) -> frozenset[int]:
        """Return the numbers of the named banks, of all of the key for none.

        InvalidRequestError for an unknown bank, PermissionDeniedError for one that is not the
        key's, as that of pictures in common use is not.
        """
        return frozenset(self._bank(key, name) for name in names) or key.banks

    def listed_banks(self, key: ApiKey, names: Collection[str]) -> frozenset[int]:
        """Return what ``banks`` does, or the bank of pictures in common use if it alone is named.

        Every key of right REVIEW may list that.
        """
        if set(names) == {COMMON.name}:
            return frozenset({COMMON.number})
        return self.banks(key, names)

    def sees_all(self, key: ApiKey) -> bool:
        """Tell whether a key sees every bank that operators have made."""
        banks = self.registry.banks()
        return all(bank.is_fixed or bank.number in key.banks for bank in banks)

    def acts(
        self, key: ApiKey, limit: int, before: int | None, wanted: ActFilter
    ) -> Sequence[ActRecord]:
        """Return a page of acts on items of banks of the key, and on pictures in common use."""
        return self.registry.acts(limit, before, key.banks | {COMMON.number}, wanted)

    def common_picture(self, item_id: bytes) -> ReviewedItem:
        """Return a picture in common use."""
        wanted = ItemFilter(frozenset({COMMON.number}), item_ids=frozenset((item_id,)))
        items = self.registry.items_for_review(wanted, 1).items
        if not items:  # since it was added
            raise NotFoundError("The picture was taken out.")
        return items[0]

    def set_states(
        self, key: ApiKey, item_ids: Collection[bytes], state: ItemState, act: Act
    ) -> Decided:
        """Set the state of items."""
        done = self.registry.set_states(item_ids, state, act, banks=key.banks)
        return self._decided(key, item_ids, done)

    def preview(self, wanted: ItemFilter) -> ItemCounts:
        """Count what conditions name, which are in banks of the key."""
        return self.registry.count_items(wanted)

    def set_all_states(
        self, wanted: ItemFilter, state: ItemState, act: Act, *, expected: int
    ) -> Done:
        """Set the state of all items that conditions name, which are in banks of the key.

        InvalidRequestError where they name no more than states, banks and days.
        """
        if not wanted.names_some:
            raise InvalidRequestError.of(
                Violation(
                    "conditions",
                    "name a case, an origin, a key, items, an outcome, a number of hashes or a"
                    " reason for waiting too: states, banks and days alone name what others"
                    " registered",
                )
            )
        return self.registry.set_all_states(wanted, state, act, expected=expected)

    def undo(self, key: ApiKey, number: int, act: Act) -> Done:
        """Undo an act on many items, as far as they are in banks of the key."""
        return self.registry.undo(number, act, banks=key.banks)

    def move(self, key: ApiKey, item_ids: Collection[bytes], bank: str, act: Act) -> Decided:
        """Move items to a bank of the key.

        InvalidRequestError for the test bank, and for that of pictures in common use.
        """
        if bank == COMMON.name:
            raise InvalidRequestError.of(
                Violation(
                    "bank",
                    f"items of {bank!r} are added from the picture (`disrupt review common add`):"
                    " move none there",
                )
            )
        if bank == TEST_BANK:
            raise InvalidRequestError.of(
                Violation(
                    "bank", f"items of {bank!r} match only where it is named: move none there"
                )
            )
        to = self._bank(key, bank)
        done = self.registry.move_items(item_ids, to, act, banks=key.banks)
        return self._decided(key, item_ids, done)

    def confirm(self, key: ApiKey, item_ids: Collection[bytes], act: Act) -> Decided:
        """Confirm items, so that lookups answer REVIEWED."""
        done = self.registry.confirm_items(item_ids, act, banks=key.banks)
        return self._decided(key, item_ids, done)

    def settle(
        self,
        key: ApiKey,
        item_ids: Collection[bytes],
        settlement: Settlement,
        act: Act,
    ) -> Decided:
        """Settle what is disputed of items."""
        done = self.registry.settle_disputes(item_ids, settlement, act, banks=key.banks)
        return self._decided(key, item_ids, done)

    def show(self, key: ApiKey, item_id: bytes) -> tuple[ReviewedItem, ItemReports]:
        """Return an item, and what was reported of it."""
        reports = self.registry.item_reports(item_id, key.banks)
        wanted = ItemFilter(key.banks, item_ids=frozenset((reports.item_id,)))
        items = self.registry.items_for_review(wanted, 1).items
        if not items:  # since it was looked up
            raise NotFoundError("The item was withdrawn.")
        return items[0], reports

    def erase_case(self, key: ApiKey, number: str, act: Act, *, day: str) -> CaseErasure:
        """Ask that a case be erased whose PIN is lost, or confirm that another key asked."""
        others = partners(key, self.registry.keys(), day)
        return self.registry.ask_erasure(number, act, partners=others, banks=key.banks)

    def _bank(self, key: ApiKey, name: str) -> int:
        number = next((bank.number for bank in self.registry.banks() if bank.name == name), None)
        if number is None:
            raise InvalidRequestError.of(Violation("bank", f"no bank is named {name!r}"))
        if number not in key.banks:
            raise PermissionDeniedError(f"This key may not review the bank {name!r}.", bank=name)
        return number

    def _decided(self, key: ApiKey, item_ids: Collection[bytes], done: StatesSet) -> Decided:
        """Return the items as they are now, those that were withdrawn meanwhile left out."""
        named = frozenset(item_ids) | frozenset(done.item_ids)
        page = self.registry.items_for_review(ItemFilter(key.banks, item_ids=named), len(named))
        return Decided(page.items, done.cursor, len(done.item_ids))


def act_of(key: ApiKey, action: Action, at_s: int, reason: str = "") -> Act:
    """Return the act of a key. InvalidRequestError for a reason that is no code."""
    return Act(key.key_id, key.organisation, action, at_s, reason)
