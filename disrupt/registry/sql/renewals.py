"""Plan a registration: the items that it adds to a case, those it replaces, and its answer.

The rules are those of ``core.renewals``: a case has each picture or video once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, insert, select

from disrupt.core.media import MediaKind
from disrupt.core.registrations import Outcome
from disrupt.core.renewals import identity_of, stays
from disrupt.core.states import SHOWN, ItemState
from disrupt.registry.contract import HeldItem, NewItem, Registration
from disrupt.registry.sql import queries, schema


@dataclass(slots=True)
class Added:
    """An item to add, with its number in the case and the day of its first registration.

    It takes over the state of the stored item that it replaces, and since when that has it.
    """

    item: NewItem
    bank: int
    number: int
    registered_on: str
    state: ItemState
    state_since_s: int | None


@dataclass(slots=True)
class CaseUpdate:
    """Items to add, stored items to remove, and what the case then holds for each item.

    ``replaced`` maps the ids of new or kept items to the rows whose place they take;
    ``numbers_given`` is the newest number in the case.
    """

    numbers_given: int
    added: list[Added] = field(default_factory=list)
    replaced: dict[bytes, Sequence[Row[Any]]] = field(default_factory=dict)
    held: list[HeldItem] = field(default_factory=list)

    def replace(self, item_id: bytes, rows: Sequence[Row[Any]]) -> None:
        """Put an item in the place of stored ones."""
        if rows:
            self.replaced[item_id] = rows

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
    update = CaseUpdate(case.numbers_given)
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
    for row in stored:
        stored_fingerprints = queries.unpacked(row.number, row.fingerprints)
        if stays(stored_fingerprints, best):
            best, kept = stored_fingerprints, row
    if kept is not None and kept.bank == bank:
        update.replace(kept.item_id, [row for row in stored if row is not kept])
        return HeldItem(kept.item_id, kept.hashes, kept.number_in_case, Outcome.KEPT)
    state, since_s = registration.state, None
    if stored:
        number, day = stored[0].number_in_case, stored[0].registered_on
        state, since_s = _inherited(stored)
    else:
        number = update.numbers_given = update.numbers_given + 1
    new = replace(item, fingerprints=best)
    update.added.append(Added(new, bank, number, day, state, since_s))
    update.replace(item.item_id, stored)
    if stored:
        return HeldItem(item.item_id, len(best), number, Outcome.RENEWED)
    return HeldItem(item.item_id, len(best), number, waits=state == ItemState.WAITING)


def _inherited(stored: Sequence[Row[Any]]) -> tuple[ItemState, int | None]:
    """Return the state that an item takes over, and its time: a hidden one if any is."""
    row = next((row for row in stored if row.state not in SHOWN), stored[-1])
    return ItemState(row.state), row.state_since_s


def _stored(
    connection: Connection, case_id: int, identities: Collection[bytes]
) -> dict[bytes, list[Row[Any]]]:
    """Return the items of a case that have one of these identities, oldest first."""
    items, identified = schema.items.c, schema.identities.c
    stored_as = schema.fingerprints.c
    rows = connection.execute(
        select(items.number, items.item_id, items.bank, items.hashes, stored_as.fingerprints)
        .add_columns(items.number_in_case, items.registered_on, items.state, items.state_since_s)
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
