"""Plan a registration: the items that it adds to a case, those it replaces, and its answer.

The rules are those of ``core.renewals``: a case has each picture or video once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, insert, select

from disrupt.core.media import MediaKind
from disrupt.core.plausibility import pictures
from disrupt.core.registrations import Outcome
from disrupt.core.renewals import identity_of, new_hashes, stays
from disrupt.core.states import SHOWN, ItemState, WaitReason
from disrupt.registry.records import HeldItem, NewItem, Registration
from disrupt.registry.sql import banks, queries, schema


class Standing(NamedTuple):
    """The state of an item, since when it has it, and why it waits."""

    state: ItemState
    since_s: int | None = None
    wait_reason: WaitReason | None = None
    is_paid: bool | None = None


@dataclass(slots=True)
class Added:
    """An item to add, with its number in the case and the day of its first registration."""

    item: NewItem
    bank: int
    number: int
    registered_on: str
    standing: Standing


@dataclass(slots=True)
class CaseUpdate:
    """Items to add, stored items to remove, and what the case then holds for each item.

    ``replaced`` maps the ids of new or kept items to the rows whose place they take;
    ``numbers_given`` is the newest number in the case. ``reviewed_banks`` are those whose
    registrations wait, ``live_pictures`` how many pictures go live at once, ``paid_pictures`` how
    many that wait for their turns are paid for.
    """

    numbers_given: int
    reviewed_banks: frozenset[int]
    live_pictures: float = 0.0
    paid_pictures: float = 0.0
    added: list[Added] = field(default_factory=list)
    replaced: dict[bytes, Sequence[Row[Any]]] = field(default_factory=dict)
    held: list[HeldItem] = field(default_factory=list)

    def replace(self, item_id: bytes, rows: Sequence[Row[Any]]) -> None:
        """Put an item in the place of stored ones."""
        if rows:
            self.replaced[item_id] = rows

    def review_reason(self, item: NewItem, bank: int) -> WaitReason | None:
        """Say why an item waits for a review, if it does."""
        if bank in self.reviewed_banks:
            return WaitReason.BANK
        if item.is_unlike_a_picture:
            return WaitReason.UNLIKE_A_PICTURE
        return WaitReason.COMMON if item.is_common else None

    def wait_reason(
        self, item: NewItem, bank: int, hashes: int, most_pictures: float
    ) -> WaitReason | None:
        """Say why new hashes of an item wait; if they do not, count the pictures they are worth."""
        reason, worth = self.review_reason(item, bank), pictures(hashes)
        if reason is not None:
            return reason
        if self.live_pictures + worth > most_pictures:
            return WaitReason.LIMIT
        self.live_pictures += worth
        return None

    def is_paid(self, item: NewItem, reason: WaitReason | None, most_pictures: float) -> bool:
        """Tell whether an item that waits is paid for; if so, count the pictures it is worth."""
        worth = pictures(len(item.fingerprints))
        is_paid = reason == WaitReason.LIMIT and self.paid_pictures + worth <= most_pictures
        self.paid_pictures += worth * is_paid
        return is_paid

    @property
    def growth(self) -> int:
        """By how many items the case grows."""
        return len(self.added) - sum(map(len, self.replaced.values()))


def plan_update(
    connection: Connection, case: Row[Any], registration: Registration, day: str
) -> CaseUpdate:
    """Compare the items of a registration with those of its case, and with each other."""
    # Where nothing identifies what an item shows, it equals no other.
    identities = [
        identity_of(item.kind, item.fingerprints) or item.item_id for item in registration.items
    ]
    best = dict[bytes, NewItem]()
    for identity, item in zip(identities, registration.items, strict=True):
        before = best.get(identity)
        if before is None or not stays(before.fingerprints, item.fingerprints):
            best[identity] = item
    stored = _stored(connection, case.id, best)
    reviewed = frozenset(bank.number for bank in banks.banks(connection) if not bank.goes_live)
    update = CaseUpdate(case.numbers_given, reviewed)
    held = {
        identity: _settle(update, item, stored.get(identity, ()), registration, day)
        for identity, item in best.items()
    }
    for identity in identities:
        update.held.append(held[identity])
        held[identity] = held[identity]._replace(outcome=Outcome.KEPT)
    return update


def note_identities(
    connection: Connection,
    case_id: int,
    items: Iterable[tuple[int, MediaKind, NDArray[np.void]]],
) -> None:
    """Store what identifies items of a case: numbers, kinds and fingerprints."""
    rows = [
        {"item": number, "case_id": case_id, "identity": identity_of(kind, fingerprints)}
        for number, kind, fingerprints in items
    ]
    if rows:
        connection.execute(insert(schema.identities), rows)


def _settle(
    update: CaseUpdate,
    item: NewItem,
    stored: Sequence[Row[Any]],
    registration: Registration,
    day: str,
) -> HeldItem:
    """Decide between a new item and the stored ones of its identity; return what the case holds."""
    best, kept = item.fingerprints, None
    bank = stored[-1].bank if stored and registration.keeps_banks else registration.bank
    before = [queries.unpacked(row.number, row.fingerprints) for row in stored]
    for row, fingerprints in zip(stored, before, strict=True):
        if stays(fingerprints, best):
            best, kept = fingerprints, row
    standing = _inherited(stored) if stored else None
    if kept is None:
        standing = _with_new_hashes(update, item, bank, registration, before, standing)
        if standing is None:  # what lookups find of the picture stays until this may go live
            best, kept, standing = before[-1], stored[-1], _inherited(stored)
    if kept is not None and kept.bank == bank:
        update.replace(kept.item_id, [row for row in stored if row is not kept])
        return _held(
            kept.item_id, kept.hashes, kept.number_in_case, Outcome.KEPT, _inherited([kept])
        )
    assert standing is not None  # noqa: S101 nothing is kept of an item without any stored
    if stored:
        number, day = stored[0].number_in_case, stored[0].registered_on
    else:
        number = update.numbers_given = update.numbers_given + 1
    update.added.append(Added(replace(item, fingerprints=best), bank, number, day, standing))
    update.replace(item.item_id, stored)
    outcome = Outcome.RENEWED if stored else Outcome.ADDED
    return _held(item.item_id, len(best), number, outcome, standing)


def _held(
    item_id: bytes, hashes: int, number: int, outcome: Outcome, standing: Standing
) -> HeldItem:
    """Make the answer for an item, with its state."""
    reason = standing.wait_reason if standing.state == ItemState.WAITING else None
    return HeldItem(item_id, hashes, number, outcome, standing.state, reason)


def _with_new_hashes(
    update: CaseUpdate,
    item: NewItem,
    bank: int,
    registration: Registration,
    before: Sequence[NDArray[np.void]],
    inherited: Standing | None,
) -> Standing | None:
    """Return how an item stands with what it brings; None if that would hide what is shown.

    What waits, or staff have hidden, goes on doing so, and so costs nothing.
    """
    if inherited is not None and inherited.state not in SHOWN:
        if inherited.state != ItemState.WAITING:
            return inherited
        reason = update.review_reason(item, bank) or inherited.wait_reason
        is_paid = inherited.is_paid or update.is_paid(item, reason, registration.paid_pictures)
        return inherited._replace(wait_reason=reason, is_paid=is_paid)
    hashes = new_hashes(before, item.fingerprints)
    reason = update.wait_reason(item, bank, hashes, registration.live_pictures)
    if reason is None:
        return Standing(ItemState.LIVE)
    if inherited is not None:
        return None
    is_paid = update.is_paid(item, reason, registration.paid_pictures)
    return Standing(ItemState.WAITING, None, reason, is_paid)


def _inherited(stored: Sequence[Row[Any]]) -> Standing:
    """Return how stored items stand together: as a hidden one if any is."""
    row = next((row for row in stored if row.state not in SHOWN), stored[-1])
    reason = None if row.wait_reason is None else WaitReason(row.wait_reason)
    return Standing(ItemState(row.state), row.state_since_s, reason, row.is_paid)


def _stored(
    connection: Connection, case_id: int, identities: Collection[bytes]
) -> dict[bytes, list[Row[Any]]]:
    """Return the items of a case that have one of these identities, oldest first."""
    items, identified = schema.items.c, schema.identities.c
    stored_as = schema.fingerprints.c
    rows = connection.execute(
        select(items.number, items.item_id, items.bank, items.hashes, stored_as.fingerprints)
        .add_columns(items.number_in_case, items.registered_on, items.state, items.state_since_s)
        .add_columns(items.wait_reason, items.is_paid)
        .add_columns(identified.identity)
        .join_from(schema.identities, schema.items)
        .join(schema.fingerprints, stored_as.number == items.number, isouter=True)
        .where(identified.case_id == case_id, identified.identity.in_(identities))
        .order_by(items.number)
    )
    stored = dict[bytes, list[Row[Any]]]()
    for row in rows:
        stored.setdefault(row.identity, []).append(row)
    return stored
